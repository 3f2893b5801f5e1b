package event

import (
	"strconv"
	"strings"
)

// HostPort is the host, with the port where that is not the scheme's own.
func (e *Event) HostPort() string { return HostPort(e.Scheme, e.Host, e.Port) }

// WithOperation is a path, or its template, with the operation of the call behind it: "/ GetItem".
func (e *Event) WithOperation(path string) string {
	if e.Operation == "" {
		return path
	}
	return path + " " + e.Operation
}

// HostPort is a host, with the port where that is not the scheme's own; 0 is no port.
func HostPort(scheme, host string, port int) string {
	plain := scheme == "http" || scheme == "ws"
	if port == 0 || port == 443 && !plain || port == 80 && plain {
		return host
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}
