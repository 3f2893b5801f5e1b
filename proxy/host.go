package proxy

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"agentvault/proxy/rule"
)

// splitAuthority takes HOST, HOST:PORT or [V6]:PORT apart and makes the host canonical
// (rule.CanonicalHost). Every comparison of hosts is between results of this function.
func splitAuthority(authority string, defaultPort int) (host string, port int, err error) {
	name, port := authority, defaultPort
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		name = authority[:i]
		n, err := strconv.ParseUint(authority[i+1:], 10, 16)
		if err != nil || n == 0 {
			return "", 0, fmt.Errorf("host %q: the port is not 1 to 65535", authority)
		}
		port = int(n)
		if strings.ContainsRune(name, ':') && !strings.HasPrefix(name, "[") {
			return "", 0, fmt.Errorf("host %q: an IPv6 address stands in brackets", authority)
		}
	}
	host, err = rule.CanonicalHost(name)
	return host, port, err
}

// joinAuthority is the inverse of splitAuthority; the default port is left out.
func joinAuthority(host string, port, defaultPort int) string {
	if port != defaultPort {
		return net.JoinHostPort(host, strconv.Itoa(port))
	}
	if strings.IndexByte(host, ':') >= 0 {
		return "[" + host + "]"
	}
	return host
}
