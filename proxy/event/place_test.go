package event

import "testing"

func TestHostPort(t *testing.T) {
	for _, tt := range []struct {
		scheme, host string
		port         int
		want         string
	}{
		{"https", "api.test", 443, "api.test"},
		{"https", "api.test", 8443, "api.test:8443"},
		{"https", "api.test", 80, "api.test:80"},
		{"http", "api.test", 80, "api.test"},
		{"http", "api.test", 443, "api.test:443"},
		{"ws", "api.test", 80, "api.test"},
		{"tcp", "10.0.0.5", 5432, "10.0.0.5:5432"},
		{"tcp", "vpn.test", 443, "vpn.test"},
		{"https", "::1", 8443, "[::1]:8443"},
		{"https", "[::1]", 8443, "[::1]:8443"},
		{"https", "::1", 443, "::1"},
		{"", "api.test", 0, "api.test"},
	} {
		e := Event{Scheme: tt.scheme, Host: tt.host, Port: tt.port}
		if got := e.HostPort(); got != tt.want {
			t.Errorf("%s %s %d: got %q, want %q", tt.scheme, tt.host, tt.port, got, tt.want)
		}
	}
}
