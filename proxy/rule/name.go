package rule

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// CanonicalHost returns the one spelling of a host name or address that this package
// compares: lower case, IDNA labels in their xn-- form, no trailing dot, addresses as
// net/netip prints them and without brackets. Underscores are legal, ports are not.
func CanonicalHost(s string) (string, error) {
	if isCanonical(s) {
		return s, nil
	}
	name := strings.TrimSuffix(s, ".")
	if inner, ok := strings.CutPrefix(name, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", fmt.Errorf("host %q: not an IPv6 address in brackets", s)
		}
		return addr.String(), nil
	}
	if strings.Contains(name, ":") {
		addr, err := netip.ParseAddr(name)
		if err != nil || addr.Zone() != "" {
			return "", fmt.Errorf("host %q: not an IPv6 address", s)
		}
		return addr.String(), nil
	}
	name, err := asciiName(name)
	if err != nil {
		return "", fmt.Errorf("host %q: %w", s, err)
	}
	labels := strings.Split(name, ".")
	for i, label := range labels {
		if labels[i], err = checkLabel(label); err != nil {
			return "", fmt.Errorf("host %q: %w", s, err)
		}
	}
	name = strings.Join(labels, ".")
	// RFC 1035, 2.3.4: 255 octets on the wire, which leaves 253 characters.
	if len(name) > 253 {
		return "", fmt.Errorf("host %q: longer than 253 characters", s)
	}
	if looksNumeric(labels[len(labels)-1]) {
		addr, err := netip.ParseAddr(name)
		if err != nil {
			return "", fmt.Errorf("host %q: ends in a number but is no IPv4 address", s)
		}
		return addr.String(), nil
	}
	return name, nil
}

// isCanonical is the way of nearly every call: a plain lower-case name, or an IPv4 address.
func isCanonical(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	if last := s[len(s)-1]; '0' <= last && last <= '9' {
		if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
			return true // netip takes no other spelling than the one that it prints
		}
	}
	start := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.':
			if i == start || i-start > 63 {
				return false
			}
			start = i + 1
		default:
			return false
		}
	}
	last := s[start:]
	return last != "" && len(last) <= 63 && !looksNumeric(last)
}

// looksNumeric tells a last label that resolvers may read as a part of an IPv4 address
// (127.1, 0x7f.1, 2130706433): such a host must be a whole, dotted address.
func looksNumeric(label string) bool {
	if label == "" {
		return false
	}
	if strings.HasPrefix(label, "0x") {
		return strings.Trim(label[2:], "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// international reads names outside ASCII as clients do (UTS 46, not transitional), but
// for the check of ASCII letters, which is made here: underscores are in use.
var international = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))

func asciiName(name string) (string, error) {
	if strings.IndexFunc(name, func(c rune) bool { return c >= utf8.RuneSelf }) < 0 {
		return name, nil
	}
	ascii, err := international.ToASCII(name)
	if err != nil || strings.HasPrefix(ascii, ".") || strings.HasSuffix(ascii, ".") {
		return "", errors.New("not a valid international name")
	}
	return ascii, nil
}

func checkLabel(label string) (string, error) {
	if label == "" {
		return "", errors.New("empty label")
	}
	label = strings.ToLower(label)
	for _, c := range label {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return "", fmt.Errorf("%q is not legal in a host name", c)
		}
	}
	if len(label) > 63 {
		return "", errors.New("a label is longer than 63 characters")
	}
	return label, nil
}

// IsLoopback reports whether a canonical name is this machine's own. It goes by the name:
// whoever can write the hosts file owns the machine already, but a DNS answer must not make a
// host "local".
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
