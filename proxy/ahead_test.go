package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"agentvault/proxy/rule"
)

// tunnelOf is what the proxy makes of a CONNECT to the session's upstream.
func (s *session) tunnelOf(t *testing.T) *tunnel {
	t.Helper()
	u, err := url.Parse("https://" + s.host)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return newTunnel(u.Hostname(), port, "")
}

// A program that has spoken TLS to a port is expected to do so again: the upstream is
// connected to before the child has said a word.
func TestDialsAheadByHabit(t *testing.T) {
	began, ended := make(chan bool, 10), make(chan bool, 10)
	s := start(t, options{protocol: "http/1.1", raw: counting(began, ended)})
	s.habits.learn(s.tunnelOf(t), false)
	if _, resp := s.connect(s.host); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	select {
	case <-began:
	case <-time.After(time.Minute):
		t.Fatal("nothing was dialled")
	}
}

// What was learnt of one host serves the next one, of the same program and port only.
func TestHabitIsLearnt(t *testing.T) {
	s := start(t, options{protocol: "http/1.1"})
	here := s.tunnelOf(t)
	if _, known := s.habits.guess(here); known {
		t.Fatal("known before anything was said")
	}
	s.tls(s.host, "", "http/1.1")
	if http2, known := s.habits.guess(newTunnel("next.example.test", here.port, "")); http2 || !known {
		t.Errorf("after HTTP/1.1: %t, %t", http2, known)
	}
	s.tls(s.host, "", "h2", "http/1.1")
	if http2, known := s.habits.guess(here); !http2 || !known {
		t.Errorf("after HTTP/2: %t, %t", http2, known)
	}
	for _, other := range []*tunnel{newTunnel(here.host, here.port+1, ""), newTunnel(here.host, here.port, "git/2.39")} {
		if _, known := s.habits.guess(other); known {
			t.Errorf("port %d of %q is known too", other.port, other.client)
		}
	}
	c, _ := s.connect(s.host)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+s.host+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, c)
	if _, known := s.habits.guess(here); known {
		t.Error("known after no TLS was spoken")
	}
}

// A wrong guess costs a connection and nothing else.
func TestWrongHabit(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint(http2), func(t *testing.T) {
			s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }})
			s.habits.learn(s.tunnelOf(t), http2)
			child := 2
			if http2 {
				child = 1
			}
			resp, body := s.do(s.client(child), "GET", "https://"+s.host+"/", nil)
			if resp.StatusCode != 200 || resp.ProtoMajor != child || body != resp.Proto {
				t.Errorf("%s: the upstream was asked in %q, we were answered in %s", resp.Status, body, resp.Proto)
			}
		})
	}
}

// A habit leads to no host that will be refused.
func TestHabitAsksNothingOfRefused(t *testing.T) {
	for _, policy := range []Policy{Deny, Ask} {
		s := start(t, options{unmatched: policy, protocol: "http/1.1",
			service: func(r *rule.Service) { r.Hosts = []rule.Host{{Name: "other.example.test"}} }})
		s.habits.learn(s.tunnelOf(t), false)
		if _, resp := s.connect(s.host); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		d := s.transports.dialers[0]
		d.mu.Lock()
		if len(d.parked) != 0 {
			t.Errorf("%s: something is parked", policy)
		}
		d.mu.Unlock()
	}
}

func TestHabitsAreBounded(t *testing.T) {
	h := habits{of: make(map[habit]bool)}
	for i := range 2 * maxHabits {
		h.learn(newTunnel("a.test", 443, strconv.Itoa(i)), false)
	}
	if len(h.of) != maxHabits {
		t.Errorf("%d are kept", len(h.of))
	}
	h.learn(newTunnel("a.test", 443, "0"), true)
	if http2, _ := h.guess(newTunnel("a.test", 443, "0")); !http2 {
		t.Error("what is known does not change")
	}
}
