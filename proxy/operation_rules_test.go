package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// A rule for an operation is decided by what the body asks for, and where that cannot be told
// such a rule of allow does not hold and such a rule of deny does. The server gets the body
// as it was, and the credential only with what is allowed.
func TestOperationRules(t *testing.T) {
	rules := func(r *rule.Service) {
		r.Allow = []rule.Op{{Method: "POST", Path: "/graphql", Operation: "query"}, {Method: "POST", Path: "/open"}, {Method: "POST", Path: "/free/graphql"}}
		r.Deny = []rule.Op{{Path: "/free/graphql", Operation: "mutation"}}
	}
	pad := func(n int) string {
		return `{"query":"{ viewer { id } }","variables":{"x":"` + strings.Repeat("y", n) + `"}}`
	}
	chunked := func(s string) io.Reader { return io.MultiReader(strings.NewReader(s)) } // of no known length
	const mutation = `{"query":"mutation { issueDelete(id: 1) { ok } }"}`
	for _, tt := range []struct {
		name, path, body string
		chunked          bool
		header           []string
		code, says       string // says is a part of the reason
	}{
		{name: "allowed", path: "/graphql", body: pad(1)},
		{name: "allowed, and longer than what is kept of others", path: "/graphql", body: pad(maxKept)},
		{name: "allowed, of no known length", path: "/graphql", body: pad(maxKept), chunked: true},
		{name: "allowed, and the client waits for a word", path: "/graphql", body: pad(1), header: []string{"Expect", "100-continue"}},
		{name: "another", path: "/graphql", body: mutation, code: CodeUnmatched, says: "rule api does not allow mutation issueDelete here"},
		{name: "two", path: "/graphql", body: "[" + pad(1) + "," + mutation + "]", code: CodeUnmatched, says: "does not allow mutation issueDelete here"},
		{name: "too long", path: "/graphql", body: pad(maxTold), code: CodeUnmatched, says: "cannot be told: its body is longer than 1024 KiB"},
		{name: "too long, of no known length", path: "/graphql", body: pad(maxTold), chunked: true, code: CodeUnmatched, says: "longer than 1024 KiB"},
		{name: "compressed", path: "/graphql", body: pad(1), header: []string{"Content-Encoding", "gzip"}, code: CodeUnmatched, says: "cannot be told: its body is compressed"},
		{name: "of another type", path: "/graphql", body: pad(1), header: []string{"Content-Type", "multipart/form-data; boundary=x"}, code: CodeUnmatched, says: "its content type"},
		{name: "elsewhere", path: "/open", body: strings.Repeat("z", 2*maxTold)},
		{name: "not denied", path: "/free/graphql", body: pad(1)},
		{name: "denied", path: "/free/graphql", body: mutation, code: CodeDenied, says: "rule api denies /free/graphql mutation"},
		{name: "perhaps denied", path: "/free/graphql", body: pad(maxTold), code: CodeDenied, says: "cannot be told: its body is longer"},
	} {
		for _, protocol := range []int{1, 2} {
			var got atomic.Value
			got.Store("")
			s := start(t, options{unmatched: Deny, service: rules, handler: func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != tt.body {
					t.Errorf("%s: the server read %d bytes of %d, %v", tt.name, len(body), len(tt.body), err)
				}
				got.Store(r.Header.Get("Authorization"))
			}})
			var body io.Reader = strings.NewReader(tt.body)
			if tt.chunked {
				body = chunked(tt.body)
			}
			resp, text := s.do(s.client(protocol), "POST", "https://"+s.host+tt.path, body, append([]string{"Content-Type", "application/json"}, tt.header...)...)
			e := s.last()
			if tt.code != "" {
				if resp.StatusCode != http.StatusForbidden || e.Code != tt.code || !strings.Contains(e.Reason, tt.says) || !strings.Contains(text, tt.says) || got.Load() != "" {
					t.Errorf("%s: %s, code %q, reason %q", tt.name, resp.Status, e.Code, e.Reason)
				}
				continue
			}
			if resp.StatusCode != 200 || e.Verdict != event.Injected || got.Load() != "Bearer "+sentinel {
				t.Errorf("%s: %s %s %s, reason %q, %q", tt.name, resp.Status, text, e.Verdict, e.Reason, got.Load())
			}
		}
	}
}

// Where no rule names an operation a body is not waited for: the server sees the request
// before it has ended.
func TestOperationIsNotWaitedFor(t *testing.T) {
	for _, protocol := range []int{1, 2} {
		reached := make(chan struct{})
		s := start(t, options{service: func(r *rule.Service) { r.Allow = []rule.Op{{Method: "POST", Path: "/graphql"}} },
			handler: func(_ http.ResponseWriter, r *http.Request) {
				close(reached)
				if body, err := io.ReadAll(r.Body); err != nil || string(body) != `{"query":"{ a }"}` {
					t.Errorf("HTTP/%d: the server read %q, %v", protocol, body, err)
				}
			}})
		body, feed := io.Pipe()
		go func() {
			_, _ = io.WriteString(feed, `{"query":"{ a }"`)
			<-reached
			_, _ = io.WriteString(feed, `}`)
			_ = feed.Close()
		}()
		resp, text := s.do(s.client(protocol), "POST", "https://"+s.host+"/graphql", body, "Content-Type", "application/json")
		if e := s.last(); resp.StatusCode != 200 || e.Operation != "?" || e.Verdict != event.Injected {
			t.Errorf("HTTP/%d: %s %s, operation %q, %s", protocol, resp.Status, text, e.Operation, e.Verdict)
		}
	}
}
