package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A body that is a byte too long to be looked at as a whole is a stream: its head leaves
// before the end of it has come.
func TestSmallBodyIsBounded(t *testing.T) {
	for _, over := range []int{0, 1} {
		t.Run(fmt.Sprintf("%d too many", over), func(t *testing.T) {
			next := make(chan bool)
			s := start(t, options{noHTTP2: true, handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(smallBody+over))
				_, _ = io.WriteString(w, "begun")
				w.(http.Flusher).Flush()
				<-next
				_, _ = io.WriteString(w, strings.Repeat("x", smallBody+over-len("begun")))
			}})
			begun := make(chan string)
			go func() {
				resp, err := s.client(1).Get(s.upstream.URL)
				if err != nil {
					t.Error(err)
					close(begun)
					return
				}
				first := make([]byte, len("begun"))
				_, _ = io.ReadFull(resp.Body, first)
				begun <- string(first)
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				close(begun)
			}()
			if over == 0 {
				close(next) // it waits for the end: headWait is long in these tests
			}
			if got := <-begun; got != "begun" {
				t.Errorf("got %q", got)
			}
			if over > 0 {
				close(next)
			}
			<-begun
		})
	}
}

// A child that goes on sending what nobody wants any more is not listened to for ever, not
// even where it has announced so little that net/http would read it all.
func TestUnwantedBodyIsCutOff(t *testing.T) {
	s := start(t, options{noHTTP2: true, handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}})
	c := s.tls(s.host, "", "http/1.1")
	if resp, _ := s.request(c, "PUT / HTTP/1.1\r\nHost: "+s.host+"\r\nContent-Length: 200000\r\n\r\nx"); resp.StatusCode != 413 {
		t.Fatal(resp.Status)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := io.WriteString(c, "x"); err != nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("it is")
		}
	}
}
