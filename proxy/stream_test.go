package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"agentvault/proxy/event"
)

func TestStreamsEachFlush(t *testing.T) {
	for child := 1; child <= 2; child++ {
		for _, kind := range []string{"text/event-stream", "application/x-ndjson", ""} {
			t.Run(fmt.Sprintf("h%d %s", child, kind), func(t *testing.T) {
				next := make(chan string)
				s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
					if kind != "" {
						w.Header().Set("Content-Type", kind)
					}
					w.WriteHeader(200)
					w.(http.Flusher).Flush()
					for piece := range next {
						_, _ = io.WriteString(w, piece)
						w.(http.Flusher).Flush()
					}
				}})
				resp, err := s.client(child).Get(s.upstream.URL) // the head comes before any of the body
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				buffer := make([]byte, 100)
				for i := range 5 {
					piece := fmt.Sprintf("data: %d\n\n", i)
					next <- piece
					n, err := io.ReadAtLeast(resp.Body, buffer, len(piece))
					if err != nil || string(buffer[:n]) != piece {
						t.Fatalf("got %q %v", buffer[:n], err)
					}
				}
				close(next)
			})
		}
	}
}

// A body of a known length that comes slowly is passed on as it comes.
func TestSmallBodyTrickles(t *testing.T) {
	next := make(chan string)
	s := start(t, options{trickles: true, handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(10+len(sentinel)))
		for piece := range next {
			_, _ = io.WriteString(w, piece)
			w.(http.Flusher).Flush()
		}
	}})
	done := make(chan *http.Response)
	go func() {
		resp, err := s.client(1).Get(s.upstream.URL)
		if err != nil {
			t.Error(err)
		}
		done <- resp
	}()
	next <- "01234"
	resp := <-done
	defer resp.Body.Close()
	buffer := make([]byte, 10)
	if n, err := io.ReadFull(resp.Body, buffer[:5]); err != nil || string(buffer[:n]) != "01234" {
		t.Fatalf("got %q %v", buffer[:n], err)
	}
	next <- sentinel[:3]
	next <- sentinel[3:] + "5678"
	next <- "9"
	close(next)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || string(rest) != placeholder[:len(sentinel)]+"56789" {
		t.Errorf("got %q %v", rest, err)
	}
}

// An upstream that dies in the middle leaves a broken body, however it was framed.
func TestBrokenBodyStaysBroken(t *testing.T) {
	for child := 1; child <= 2; child++ {
		for _, head := range []string{"Content-Length: 100", "Content-Length: 100000", "Transfer-Encoding: chunked", "Content-Encoding: gzip\r\nTransfer-Encoding: chunked"} {
			t.Run(fmt.Sprintf("h%d %s", child, head), func(t *testing.T) {
				s := start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
					if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
						_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s\r\n\r\n5\r\n%s\r\n", head, sentinel[:5])
					}
				}})
				resp, err := s.client(child).Get(s.upstream.URL)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err == nil {
					t.Errorf("a clean end after %q", body)
				}
				if e := s.last(); e.Verdict != event.Failed || e.Code != CodeUpstream || e.Status != 200 {
					t.Errorf("event %+v", e)
				}
			})
		}
	}
}

// A broken body that held an echo is not given a length that makes it whole.
func TestBrokenEchoStaysBroken(t *testing.T) {
	s := start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n%s", sentinel)
		}
	}})
	resp, err := s.client(1).Get(s.upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != placeholder[:len(sentinel)] {
		t.Errorf("got %q %v", body, err)
	}
}

// A child that goes away takes the upstream's request with it.
func TestChildGoesAway(t *testing.T) {
	for child := 1; child <= 2; child++ {
		for _, streaming := range []bool{false, true} {
			t.Run(fmt.Sprintf("h%d streaming=%t", child, streaming), func(t *testing.T) {
				began, ended := make(chan bool), make(chan bool)
				s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					if streaming {
						w.(http.Flusher).Flush()
					}
					close(began)
					<-r.Context().Done()
					close(ended)
				}})
				ctx, cancel := context.WithCancel(context.Background())
				r, _ := http.NewRequestWithContext(ctx, "POST", s.upstream.URL, strings.NewReader("x"))
				go func() {
					if resp, err := s.client(child).Do(r); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				}()
				<-began
				cancel()
				select {
				case <-ended:
				case <-time.After(20 * time.Second):
					s.upstream.CloseClientConnections()
					t.Fatal("the upstream was not told")
				}
				if e := s.last(); !strings.Contains(e.Reason, "went away") {
					t.Errorf("event %+v", e)
				}
			})
		}
	}
}

func TestExpectContinue(t *testing.T) {
	t.Run("body wanted", func(t *testing.T) {
		for child := 1; child <= 2; child++ {
			s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				_, _ = fmt.Fprintf(w, "%d bytes", len(body))
			}})
			resp, body := s.do(s.client(child), "PUT", s.upstream.URL, bytes.NewReader(make([]byte, 1<<20)), "Expect", "100-continue")
			if body != "1048576 bytes" {
				t.Errorf("h%d: %s %s", child, resp.Status, body)
			}
		}
	})
	t.Run("answered without the body", func(t *testing.T) {
		s := start(t, options{noHTTP2: true, handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusExpectationFailed)
			_, _ = io.WriteString(w, "no")
		}})
		c := s.tls(s.host, "")
		resp, _ := s.request(c, "PUT / HTTP/1.1\r\nHost: "+s.host+"\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 417 || string(body) != "no" || !resp.Close {
			t.Errorf("%s %q, close %t", resp.Status, body, resp.Close)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the connection goes on")
		}
	})
}

// An answer that comes before the body was sent reaches a child that goes on sending.
func TestEarlyAnswer(t *testing.T) {
	s := start(t, options{noHTTP2: true, handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "too large")
	}})
	c := s.tls(s.host, "")
	resp, _ := s.request(c, "PUT / HTTP/1.1\r\nHost: "+s.host+"\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 1000))
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 413 || string(body) != "too large" || err != nil || !resp.Close {
		t.Errorf("%s %q %v, close %t", resp.Status, body, err, resp.Close)
	}
	if e := s.last(); e.Status != 413 {
		t.Errorf("event %+v", e)
	}
}

// An upstream that dies while the child waits with the rest of its body is seen.
func TestUpstreamDiesInDuplex(t *testing.T) {
	s := start(t, options{protocol: "http/1.1", raw: func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
		}
	}})
	resp, _ := s.request(s.tls(s.host, ""), "POST / HTTP/1.1\r\nHost: "+s.host+"\r\nContent-Length: 1000\r\n\r\nabc")
	if body, err := io.ReadAll(resp.Body); err == nil || string(body) != "hi" {
		t.Errorf("got %q %v", body, err)
	}
}

func TestInterimAnswers(t *testing.T) {
	for child := 1; child <= 2; child++ {
		t.Run(fmt.Sprintf("h%d", child), func(t *testing.T) {
			s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", "</"+sentinel+">")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
				_, _ = io.WriteString(w, "done")
			}})
			var hints []string
			ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, h.Get("Link"), h.Get("Connection")))
				return nil
			}})
			r, _ := http.NewRequestWithContext(ctx, "GET", s.upstream.URL, nil)
			resp, err := s.client(child).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if len(hints) != 1 || hints[0] != "103</"+placeholder+">" || resp.Header.Get("Link") != "" {
				t.Errorf("got %q, then %v", hints, resp.Header)
			}
		})
	}
}
