package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"agentvault/proxy/event"
)

// To a child of HTTP/1.0 the end of its connection is the end of a body without a length: one
// that broke off is not ended like a whole one.
func TestBrokenBodyStaysBrokenForOldChildren(t *testing.T) {
	for _, whole := range []bool{true, false} {
		for _, plain := range []bool{true, false} {
			t.Run(fmt.Sprintf("whole %t plain %t", whole, plain), func(t *testing.T) {
				s := start(t, options{protocol: "http/1.1", plain: plain, change: func(s *Service) { s.Insecure = true }, raw: func(c net.Conn) {
					if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
					if whole {
						_, _ = io.WriteString(c, "0\r\n\r\n")
					}
				}})
				var c net.Conn
				if plain {
					c, _ = s.connect(s.host)
				} else {
					c = s.tls(s.host, "", "http/1.1")
				}
				_, _ = io.WriteString(c, "GET / HTTP/1.0\r\nHost: "+s.host+"\r\n\r\n")
				text, err := io.ReadAll(c)
				if (err == nil) != whole || whole && !strings.HasSuffix(string(text), "\r\n\r\nhello") {
					t.Errorf("%q %v", text, err)
				}
				if e := s.last(); (e.Verdict == event.Failed) == whole {
					t.Errorf("event %+v", e)
				}
			})
		}
	}
}
