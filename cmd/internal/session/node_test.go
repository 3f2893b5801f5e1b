//go:build unix

package session

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// nodeUpstream answers what node_cases.cjs asks.
var nodeUpstream = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/redirect":
		http.Redirect(w, r, "/redirected", http.StatusFound)
	case "/endless":
		for r.Context().Err() == nil {
			io.WriteString(w, "more")
			http.NewResponseController(w).Flush()
		}
	default:
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s%s %s%s", r.Method, r.Host, r.URL.Path, r.Header.Get("X-Key"), body)
	}
})

// TestNode shows that a Node of any version sends what its plain clients do through the
// proxy, and only that.
func TestNode(t *testing.T) {
	need(t, "node")
	ca := newAuthority(t, "session ca")
	proxy := startProxy(t, ca, nodeUpstream)
	_, port, _ := strings.Cut(proxy.tlsAddr, ":")
	vars := Environ(EnvConfig{Parent: cleanEnv(t), Session: "s", Proxy: proxy.url, Files: newFiles(t, ca)}).Vars
	status, out := run(t, Options{
		Argv: []string{"node", filepath.Join("testdata", "node_cases.cjs")},
		Env:  append(vars, "DIRECT="+port), Mode: Group,
	})
	if status != 0 {
		t.Errorf("status %d", status)
	}
	local := "localhost:" + port
	want := strings.Join([]string{
		"fetch: GET api.example.test/fetch ",
		"fetch captured early: GET api.example.test/early ",
		"fetch post: POST api.example.test/post hello",
		"fetch headers: GET api.example.test/headers v",
		"fetch stream up: POST api.example.test/stream one two",
		"fetch redirect: GET api.example.test/redirected ",
		"fetch abort: AbortError",
		"fetch over http: GET api.example.test/plain v",
		"fetch no_proxy: GET " + local + "/local ",
		"fetch refused: refused",
		"fetch in a worker: GET api.example.test/worker ",
		"https.get: GET api.example.test/get ",
		"https.request like axios: POST api.example.test/axios hello",
		"https.Agent kept alive: 5 answers",
		"https agent false: GET api.example.test/single ",
		"https own agent: GET own.example.test/own ",
		"https own connection: GET own.example.test/connection ",
		"https no_proxy: GET " + local + "/local ",
		"https refused: refused",
		"http.get: GET api.example.test/plain ",
		"http post: POST api.example.test/plain vhello",
	}, "\n") + "\n"
	if out != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
	}
	saw := proxy.saw()
	for _, never := range []string{"stranger", "own.example.test", "localhost"} {
		if strings.Contains(saw, never) {
			t.Errorf("proxy saw %q in:\n%s", never, saw)
		}
	}
	// In absolute form, or through a tunnel as Node's own support has it.
	if !strings.Contains(saw, "token GET http://api.example.test/plain") && !strings.Contains(saw, "token CONNECT api.example.test:80") {
		t.Errorf("plain HTTP did not come:\n%s", saw)
	}
}

// TestNodeUnaffected runs Node with a dispatcher that the program has chosen itself,
// without a proxy, and npm, which brings its own agents.
func TestNodeUnaffected(t *testing.T) {
	ca := newAuthority(t, "session ca")
	files := newFiles(t, ca)
	proxy := startProxy(t, ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"name":"left","dist-tags":{"latest":"9.9.9"},"versions":{"9.9.9":{"name":"left","version":"9.9.9"}}}`)
	}))
	vars := Environ(EnvConfig{Parent: cleanEnv(t), Session: "s", Proxy: proxy.url, Files: files}).Vars
	const ownDispatcher = `globalThis[Symbol.for('undici.globalDispatcher.1')] = { dispatch(o, h) { console.log('own'); h.onError(new Error('no')); } };
		fetch('https://api.example.test/').catch(() => {})`
	tests := []struct {
		name string
		argv []string
		env  []string
		want string
	}{
		{"nothing to do", []string{"node", "-p", "1+1"}, vars, "2\n"},
		{"own dispatcher", []string{"node", "-e", ownDispatcher}, vars, "own\n"},
		{"no proxy", []string{"node", "-p", "fetch.toString().includes('installDispatcher')"},
			append(cleanEnv(t), "NODE_OPTIONS=--require="+files.NodeShim), "false\n"},
		{"npm", []string{"npm", "view", "left", "version", "--registry", "https://npm.example.test/"}, append(vars, "npm_config_update_notifier=false"), "9.9.9\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			need(t, tt.argv[0])
			if status, out := run(t, Options{Argv: tt.argv, Env: tt.env, Mode: Group}); status != 0 || out != tt.want {
				t.Errorf("status %d, got %q, want %q", status, out, tt.want)
			}
		})
	}
	if saw := proxy.saw(); strings.Contains(saw, "api.example.test") || strings.Contains(saw, "stranger") {
		t.Errorf("proxy saw:\n%s", saw)
	}
}
