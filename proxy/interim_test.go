package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// The server of the child writes its own 100 when the body is first read, which is while the
// upstream's other interim answers are passed on: one after the other, never into one another.
func TestInterimAnswersDoNotMeet(t *testing.T) {
	const hints = 8
	s := start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
		b := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(b)
			if err != nil {
				return
			}
			early := "HTTP/1.1 103 Early Hints\r\nLink: </" + strings.Repeat("x", 500) + ">\r\n\r\n"
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"+strings.Repeat(early, hints))
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}})
	c := s.tls(s.host, "", "http/1.1")
	b := bufio.NewReader(c)
	for i := range 50 {
		_, _ = fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", s.host)
		seen := map[int]int{}
		for {
			resp, err := http.ReadResponse(b, &http.Request{Method: "POST"})
			if err != nil {
				t.Fatalf("request %d, after %v: %v", i, seen, err)
			}
			seen[resp.StatusCode]++
			if resp.StatusCode == 100 {
				_, _ = io.WriteString(c, "body")
			}
			if resp.StatusCode >= 200 {
				_, _ = io.Copy(io.Discard, resp.Body)
				break
			}
		}
		if seen[100] != 1 || seen[200] != 1 || seen[103] > hints {
			t.Fatalf("request %d: got %v", i, seen)
		}
	}
}
