package session

import (
	"net/netip"
	"slices"
	"strings"
)

// loopbackNames are never sent to the proxy: without them most clients ask it for the
// server that the agent itself has just started on this machine.
var loopbackNames = []string{"localhost", "127.0.0.1", "::1"}

// mergeNoProxy puts the lists together, each entry once. Of the parent's it leaves out
// what was true of the parent's proxy and is not of ours: "*", which would turn the
// session off without a word, and the cloud's metadata addresses, which hand out the
// credentials of the machine and which our proxy refuses.
func mergeNoProxy(configured, parent []string) []string {
	merged := slices.Clone(loopbackNames)
	add := func(host string) {
		if host != "" && !slices.Contains(merged, host) {
			merged = append(merged, host)
		}
	}
	for _, host := range configured {
		add(strings.TrimSpace(host))
	}
	for _, host := range parent {
		if host != "*" && !metadata(host) {
			add(host)
		}
	}
	return merged
}

// linkLocal is where clouds put their metadata: 169.254.169.254, and 169.254.170.2 and .23
// on Amazon's containers.
var linkLocal = netip.MustParsePrefix("169.254.0.0/16")

func metadata(host string) bool {
	if prefix, err := netip.ParsePrefix(host); err == nil {
		return prefix.Overlaps(linkLocal)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return linkLocal.Contains(addr.Unmap()) || host == "fd00:ec2::254"
	}
	return strings.HasPrefix(host, "metadata.google.internal") || host == "metadata"
}

// javaNoProxy writes the list as the JVM reads it: separated by '|', '*' at either end. A
// name stands for its subdomains too, as it does for curl and Go. Networks and ports
// cannot be said and are left out: such a host is then reached through the proxy.
func javaNoProxy(hosts []string) string {
	var out []string
	for _, host := range hosts {
		switch {
		case strings.ContainsAny(host, "/|") || strings.Count(host, ":") == 1:
		case strings.Contains(host, ":"):
			out = append(out, "["+strings.Trim(host, "[]")+"]")
		case isIPv4(host):
			out = append(out, host)
		default:
			name := strings.TrimPrefix(strings.TrimPrefix(host, "*"), ".")
			if name == host {
				out = append(out, name)
			}
			out = append(out, "*."+name)
		}
	}
	return strings.Join(out, "|")
}

func isIPv4(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Is4()
}

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}
