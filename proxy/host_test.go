package proxy

import "testing"

func TestSplitAuthority(t *testing.T) {
	for _, tt := range []struct {
		in, host string
		port     int
		bad      bool
	}{
		{in: "api.example.test", host: "api.example.test", port: 443},
		{in: "API.Example.test.:443", host: "api.example.test", port: 443},
		{in: "api.example.test:8443", host: "api.example.test", port: 8443},
		{in: "bücher.example", host: "xn--bcher-kva.example", port: 443},
		{in: "under_score.example.test", host: "under_score.example.test", port: 443},
		{in: "localhost", host: "localhost", port: 443},
		{in: "127.0.0.1:1", host: "127.0.0.1", port: 1},
		{in: "[::1]:8443", host: "::1", port: 8443},
		{in: "[0:0:0:0:0:0:0:1]", host: "::1", port: 443},

		{in: "", bad: true}, {in: ".", bad: true}, {in: "a..b", bad: true}, {in: "a b", bad: true},
		{in: "a:0", bad: true}, {in: "a:99999", bad: true}, {in: "a:+1", bad: true}, {in: "a:x", bad: true}, {in: "a:", bad: true},
		{in: "0x7f.1", bad: true}, {in: "2130706433", bad: true}, {in: "127.1", bad: true},
		{in: "[a]:1", bad: true}, {in: "user@host", bad: true}, {in: "host/path", bad: true}, {in: "a\x00b", bad: true},
	} {
		t.Run(tt.in, func(t *testing.T) {
			host, port, err := splitAuthority(tt.in, 443)
			if tt.bad {
				if err == nil {
					t.Fatalf("got %q %d, want an error", host, port)
				}
				return
			}
			if err != nil || host != tt.host || port != tt.port {
				t.Errorf("got %q %d %v, want %q %d", host, port, err, tt.host, tt.port)
			}
		})
	}
}

// What splitAuthority accepts is a fixed point: a second pass changes nothing.
func FuzzSplitAuthority(f *testing.F) {
	for _, s := range []string{"a.test:443", "[::1]:1", "BÜCHER.example.", "127.1", "a:b:c", "]:1", "[", "0x7f.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, err := splitAuthority(s, 443)
		if err != nil {
			return
		}
		again, port2, err := splitAuthority(joinAuthority(host, port, 443), 443)
		if err != nil || again != host || port2 != port {
			t.Fatalf("%q -> %q %d -> %q %d %v", s, host, port, again, port2, err)
		}
	})
}
