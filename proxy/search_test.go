package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"agentvault/proxy/event"
	"agentvault/proxy/inject"
)

// The placeholder goes out as the secret where the service says that it may stand, and
// nowhere else; the framing fits.
func TestSearchedPlaces(t *testing.T) {
	const json = "application/json"
	body := inject.Place{In: "body", Name: "auth.key"}
	for _, tt := range []struct {
		name    string
		search  inject.Search
		path    string
		body    string
		header  []string
		copies  bool
		saw     string // path and query, then the body
		verdict event.Verdict
		code    string
		status  int
	}{
		{name: "a field", search: inject.Search{body}, body: `{"auth":{"key":"` + placeholder + `"}}`, saw: `/ {"auth":{"key":"` + sentinel + `"}}`, verdict: event.Injected},
		{name: "another field", search: inject.Search{body}, body: `{"text":"` + placeholder + `"}`, saw: `/ {"text":"` + placeholder + `"}`, verdict: event.Passed},
		{name: "not said", body: `{"auth":{"key":"` + placeholder + `"}}`, saw: `/ {"auth":{"key":"` + placeholder + `"}}`, verdict: event.Passed},
		{name: "path", search: inject.Search{{In: "path"}}, path: "/bot" + placeholder + "/x", saw: "/bot" + sentinel + "/x ", verdict: event.Injected},
		{name: "query", search: inject.Search{{In: "query", Name: "sig"}}, path: "/?sig=" + placeholder, saw: "/?sig=" + sentinel + " ", verdict: event.Injected},
		{name: "query of another name", search: inject.Search{{In: "query", Name: "sig"}}, path: "/?title=" + placeholder, code: CodePlaceholder, status: 403, verdict: event.Denied},
		{name: "header and body", search: inject.Search{body}, body: `{"auth":{"key":"` + placeholder + `"}}`, header: []string{"X-Api-Key", placeholder}, code: CodeCopies, status: 403, verdict: event.Denied},
		{name: "header and body, allowed", search: inject.Search{body}, copies: true, body: `{"auth":{"key":"` + placeholder + `"}}`, header: []string{"X-Api-Key", placeholder}, saw: `/ {"auth":{"key":"` + sentinel + `"}}`, verdict: event.Injected},
		{name: "compressed", search: inject.Search{body}, body: "{}", header: []string{"Content-Encoding", "br"}, code: CodeSearch, status: 415, verdict: event.Denied},
		{name: "too large", search: inject.Search{body}, body: strings.Repeat(" ", 2<<20), code: CodeSearch, status: 413, verdict: event.Denied},
		{name: "a secret in it", search: inject.Search{body}, body: `{"text":"` + sentinel + `"}`, code: CodeLeak, status: 403, verdict: event.Denied},
	} {
		for child := 1; child <= 2; child++ {
			for _, chunked := range []bool{false, true} {
				t.Run(fmt.Sprintf("h%d chunked=%t %s", child, chunked, tt.name), func(t *testing.T) {
					s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
						all, err := io.ReadAll(r.Body)
						if err != nil || r.ContentLength >= 0 && r.ContentLength != int64(len(all)) {
							t.Errorf("%d bytes of %d, %v", len(all), r.ContentLength, err)
						}
						w.Header().Set("X-Saw", fmt.Sprintf("%s %s", r.RequestURI, all))
					}, change: func(s *Service) { s.Always, s.Search, s.Copies = false, tt.search, tt.copies }})
					s.Know("api", s.secrets.item)
					var r io.Reader = strings.NewReader(tt.body)
					if chunked {
						r = struct{ io.Reader }{r}
					}
					path := tt.path
					if path == "" {
						path = "/"
					}
					resp, text := s.do(s.client(child), "POST", s.upstream.URL+path, r, append(tt.header, "Content-Type", json)...)
					want := strings.ReplaceAll(tt.saw, sentinel, placeholder) // an echo is masked
					if tt.code != "" {
						if got := code(t, resp, text); got != tt.code || resp.StatusCode != tt.status {
							t.Errorf("%d %s %s", resp.StatusCode, got, text)
						}
					} else if strings.TrimSpace(resp.Header.Get("X-Saw")) != strings.TrimSpace(want) {
						t.Errorf("saw %q, want %q", resp.Header.Get("X-Saw"), want)
					}
					if e := s.last(); e.Verdict != tt.verdict {
						t.Errorf("event %+v", e)
					}
				})
			}
		}
	}
}

// A body in which the placeholder was replaced is repeated with the rotated secret.
func TestSearchedBodyIsRetried(t *testing.T) {
	const rotated = "rotated-secret-0123456789"
	var saw []string
	var rotate func()
	s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) {
		all, _ := io.ReadAll(r.Body)
		saw = append(saw, string(all))
		rotate()
		if !strings.Contains(string(all), rotated) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}, change: func(s *Service) { s.Always, s.Search = false, inject.Search{{In: "body"}} }})
	rotate = func() { s.secrets.set(valued(rotated)) }
	resp, _ := s.do(s.client(1), "POST", s.upstream.URL, strings.NewReader(`{"k":"`+placeholder+`"}`), "Content-Type", "application/json")
	if resp.StatusCode != 200 || fmt.Sprint(saw) != fmt.Sprint([]string{`{"k":"` + sentinel + `"}`, `{"k":"` + rotated + `"}`}) {
		t.Errorf("%s %q", resp.Status, saw)
	}
}
