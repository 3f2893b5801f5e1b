package proxy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// ownKey is a credential of the agent's own; cookieValue what must not be shown either.
const (
	ownKey      = "own-key-0123456789-abcdef"
	cookieValue = "c00kie-0123456789"
)

// headOf waits for the end of the newest call and returns its headers by name, several
// lines joined by " | ". It fails where anything is in them that must not be.
func (s *session) headOf() (request, response map[string]string) {
	s.t.Helper()
	head, ok := s.Head(s.last().Call)
	if !ok {
		s.t.Fatal("no headers were kept")
	}
	text, err := json.Marshal(head)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, never := range []string{sentinel, placeholder, ownKey, cookieValue, base64.StdEncoding.EncodeToString([]byte(sentinel))[:24], "agentvault:token", "YWdlbnR2YXVsdDp0b2tlb"} {
		if strings.Contains(string(text), never) {
			s.t.Errorf("%q is shown: %s", never, text)
		}
	}
	return byName(head.Request), byName(head.Response)
}

func byName(fields []event.Field) map[string]string {
	m := make(map[string]string)
	for _, f := range fields {
		if m[f.Name] != "" {
			m[f.Name] += " | "
		}
		m[f.Name] += f.Value
	}
	return m
}

func want(t *testing.T, got map[string]string, wanted map[string]string) {
	t.Helper()
	for name, value := range wanted {
		if got[name] != value {
			t.Errorf("%s is shown as %q, want %q", name, got[name], value)
		}
	}
}

// Whatever puts the credential there, and however the child asked for it, its slot shows
// the service's name.
func TestHeadShowsTheServiceInItsSlot(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+placeholder))
	for _, tt := range []struct {
		name   string
		inject inject.Injector
		header []string
		want   map[string]string
	}{
		{"always", inject.Bearer{}, nil, map[string]string{"Authorization": "Bearer ‹api›"}},
		{"the placeholder", inject.Bearer{}, []string{"Authorization", "Bearer " + placeholder}, map[string]string{"Authorization": "Bearer ‹api›"}},
		{"inside basic", inject.Bearer{}, []string{"Authorization", basic}, map[string]string{"Authorization": "Basic ‹api›"}},
		{"over a key of its own", inject.Bearer{}, []string{"Authorization", "Bearer " + ownKey}, map[string]string{"Authorization": "Bearer ‹api›"}},
		{"a header of any name", inject.Header{Name: "X-Thing"}, nil, map[string]string{"X-Thing": "‹api›"}},
		{"a header with a prefix", inject.Header{Name: "Authorization", Prefix: "token "}, nil, map[string]string{"Authorization": "token ‹api›"}},
		{"another header than the service's", inject.Header{Name: "X-Thing"}, []string{"X-Api-Key", placeholder}, map[string]string{"X-Api-Key": "‹api›", "X-Thing": ""}},
		{"a cookie", inject.Cookie{Name: "sid"}, []string{"Cookie", "theme=" + cookieValue}, map[string]string{"Cookie": "‹api›"}},
		{"a query", inject.Query{Name: "key"}, []string{"X-Api-Key", ownKey}, map[string]string{"X-Api-Key": "‹own›"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, options{change: func(svc *Service) { svc.Inject = tt.inject }})
			defer s.Watch()()
			s.get("/", append(tt.header, "Accept", "text/plain")...)
			request, response := s.headOf()
			want(t, request, tt.want)
			want(t, request, map[string]string{"Accept": "text/plain"})
			want(t, response, map[string]string{"Content-Type": "text/plain; charset=utf-8"})
		})
	}
}

// The trailer is where gRPC says what went wrong.
func TestHeadHasTheTrailer(t *testing.T) {
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		w.Header().Set("X-Note", "head")
		_, _ = io.WriteString(w, "hi")
		w.Header().Set("Grpc-Status", "7")
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", "no right to "+sentinel)
	}})
	defer s.Watch()()
	s.get("/")
	_, response := s.headOf()
	want(t, response, map[string]string{"X-Note": "head", "Grpc-Status": "7", "Grpc-Message": "no right to ‹api›"})
}

// The agent's own credentials, and what an answer holds of the kind, are masked by where
// they stand.
func TestHeadMasksWhatOpensDoors(t *testing.T) {
	jwt := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
	s := start(t, options{noHTTP2: true, change: func(svc *Service) { svc.Always = false }, handler: func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Set-Cookie", "sid="+cookieValue+"; Path=/; HttpOnly")
		h.Add("Set-Cookie", cookieValue)
		h.Set("Location", "https://user:"+ownKey+"@files.example.test/a/b?X-Amz-Signature="+ownKey)
		h.Set("Link", "<https://api.example.test/x?cursor="+ownKey+">; rel=\"next\", <https://api.example.test/y>")
		h.Set("X-Refresh-Token", ownKey)
		h.Set("X-Session-Id", ownKey)
		h.Set("X-Note", "got "+sentinel+" and "+jwt)
		h.Set("Www-Authenticate", `Bearer realm="x"`)
		h.Set("X-Request-Id", "req-1")
	}})
	s.Know("api", s.secrets.item)
	defer s.Watch()()
	s.get("/", "Authorization", "Bearer "+ownKey, "X-Api-Key", ownKey, "Cookie", "sid="+cookieValue+"; theme="+cookieValue+"; "+cookieValue,
		"X-Csrf-Token", ownKey, "Referer", "https://app.example.test/cb?code="+ownKey, "Idempotency-Key", "one", "X-Trace", jwt, "X-Note", "for "+placeholder)
	request, response := s.headOf()
	want(t, request, map[string]string{
		"Authorization": "Bearer ‹own›", "X-Api-Key": "‹own›", "Cookie": "sid=‹own›; theme=‹own›; ‹own›", "X-Csrf-Token": "‹own›",
		"Referer": "https://app.example.test/cb?…", "Idempotency-Key": "one", "X-Trace": "‹token›", "X-Note": "for ‹api›",
		"Proxy-Authorization": "",
	})
	want(t, response, map[string]string{
		"Set-Cookie": "sid=‹masked›; Path=/; HttpOnly | ‹masked›", "Location": "https://‹own›@files.example.test/a/b?…",
		"Link":            "<https://api.example.test/x?…>; rel=\"next\", <https://api.example.test/y>",
		"X-Refresh-Token": "‹masked›", "X-Session-Id": "‹masked›", "X-Note": "got ‹api› and ‹token›", "Www-Authenticate": `Bearer realm="x"`, "X-Request-Id": "req-1",
	})
}

func TestHarmless(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"Location", "?code=1", "?…"},
		{"Location", "/cb#access_token=1", "/cb#…"},
		{"Location", "/cb?", "/cb?"},
		{"Location", "//user:pass@h/x", "//user:pass@h/x"}, // no scheme, so no login: browsers read it as one, servers do not send it
		{"Accept", "text/html, */*;q=0.8", "text/html, */*;q=0.8"},
		{"User-Agent", "bot/1 (+https://x.test/?a=1)", "bot/1 (+https://x.test/?…"},
		{"From", "me@example.test", "me@example.test"},
		{"X", "https://a:b@c", "https://‹own›@c"},
		{"X", "https://c/@a?b c?d", "https://c/@a?… c?d"},
		{"X", "eyJ", "eyJ"},
		{"X", "?#@", "?#@"},
	} {
		if got := harmless(tt.name, tt.in); got != tt.want {
			t.Errorf("%s: %q becomes %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}

// What is refused or waits shows what the child sent; a real secret in it is not kept.
func TestHeadOfRefusedCalls(t *testing.T) {
	asked := make(chan event.Head, 1)
	var s *session
	s = start(t, options{noHTTP2: true, unmatched: Ask, service: denySome, config: func(c *Config) {
		c.Ask = func(_ context.Context, e event.Event, held func()) Leave {
			held()
			head, _ := s.Head(e.Call)
			asked <- head
			return Leave{}
		}
	}})
	s.Know("api", s.secrets.item)
	defer s.Watch()()
	s.get("/denied", "Authorization", "Bearer "+ownKey, "X-A", "1")
	request, response := s.headOf()
	want(t, request, map[string]string{"Authorization": "Bearer ‹own›", "X-A": "1"})
	if len(response) != 0 {
		t.Errorf("an answer of ours is shown as the server's: %v", response)
	}
	s.get("/denied", "Authorization", "Bearer "+placeholder)
	request, _ = s.headOf()
	want(t, request, map[string]string{"Authorization": "Bearer ‹own›"})
	s.get("/asked", "X-A", "2")
	select {
	case head := <-asked:
		want(t, byName(head.Request), map[string]string{"X-A": "2"})
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was asked")
	}
	s.get("/", "X-A", sentinel)
	if head, ok := s.Head(s.last().Call); ok {
		t.Errorf("the headers of a leak were kept: %+v", head)
	}
}

// Nothing is kept without a watcher, the newest calls with one, and nothing after it.
func TestHeadsAreBounded(t *testing.T) {
	s := start(t, options{noHTTP2: true})
	s.get("/")
	if s.heads.ring != nil {
		t.Error("headers were kept for nobody")
	}
	stop, other := s.Watch(), s.Watch()
	c := s.client(1)
	s.do(c, "GET", s.upstream.URL+"/", nil, "X-Big", strings.Repeat("x", 30<<10), "X-Small", "1")
	first := s.last().Call
	head, _ := s.Head(first)
	if v := byName(head.Request)["X-Big"]; len(v) > headValue+len("…") || !strings.HasSuffix(v, "…") {
		t.Errorf("a long value is kept in %d bytes", len(v))
	}
	many := make([]string, 0, 600)
	for i := range 300 {
		many = append(many, fmt.Sprintf("X-Many-%d", i), strings.Repeat("y", 300))
	}
	s.do(c, "GET", s.upstream.URL+"/", nil, many...)
	head, _ = s.Head(s.last().Call)
	size := 0
	for _, f := range head.Request {
		size += len(f.Name) + len(f.Value)
	}
	if size > headBytes || len(head.Request) > headLines || head.More < 300-headLines {
		t.Errorf("%d lines of %d bytes are kept, %d more", len(head.Request), size, head.More)
	}
	for range KeepHeads {
		s.do(c, "GET", s.upstream.URL+"/", nil)
	}
	if _, ok := s.Head(first); ok || len(s.heads.ring) != KeepHeads {
		t.Errorf("kept for ever: %t, %d places", ok, len(s.heads.ring))
	}
	last := s.last().Call
	stop()
	stop()
	if _, ok := s.Head(last); !ok {
		t.Error("forgotten while somebody looks")
	}
	other()
	if _, ok := s.Head(last); ok || s.heads.ring != nil {
		t.Error("kept for nobody")
	}
}

// The log's events know nothing of it.
func TestHeadsStayOutOfTheLog(t *testing.T) {
	s := start(t, options{handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Answer", "header-of-the-answer")
		_, _ = io.WriteString(w, "ok")
	}})
	defer s.Watch()()
	s.get("/", "X-Asked", "header-of-the-request")
	s.last()
	for _, e := range s.seen() {
		if line := string(event.AppendJSON(nil, &e)); strings.Contains(line, "header-of") {
			t.Errorf("the log has %s", line)
		}
	}
}

func denySome(s *rule.Service) {
	s.Deny = []rule.Op{{Path: "/denied"}}
	s.Allow = []rule.Op{{Path: "/"}}
}
