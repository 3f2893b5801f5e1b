package prove

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy/event"
)

const (
	sentinel = "s3cret-sentinel-0123456789"
	held     = "avp_held-by-the-child-0123456789"
)

// fakeProxy answers in the place of a proxy, as a right one does unless a test bends it.
type fakeProxy struct {
	p *Prover

	body, header string             // of the covered answer
	status       int                // of the covered answer; 0 is 200
	bend         func(*event.Event) // of the covered call
	twice        bool               // the covered call has two events
	silent       bool               // no event at all
	toDecoy      string             // what arrives at the decoy, in place of what should
	letPass      bool               // the placeholder arrives at the decoy
	asked        []string           // the requests
}

func (f *fakeProxy) RoundTrip(r *http.Request) (*http.Response, error) {
	f.asked = append(f.asked, r.Method+" "+r.URL.String()+" "+headerText(r.Header))
	e := event.Event{Phase: event.End, Method: r.Method, Host: r.URL.Hostname()}
	status, body := http.StatusOK, f.body
	header := http.Header{"X-Echo": {f.header}}
	shown := strings.Contains(headerText(r.Header)+r.URL.String(), held)
	switch {
	case r.URL.Hostname() == f.p.Decoy.Host() && shown && !f.letPass:
		e.Verdict, e.Code, status = event.Denied, "placeholder_misdirected", http.StatusForbidden
	case r.URL.Hostname() == f.p.Decoy.Host():
		e.Verdict = event.Uncovered
		_, _ = f.p.Decoy.Write([]byte("GET / HTTP/1.1\r\n" + f.toDecoy))
	default:
		e.Verdict, e.Service, e.Secret, e.Where = event.Injected, "example", "env:API_KEY", "header Authorization"
		if f.status != 0 {
			status = f.status
		}
		if f.bend != nil {
			f.bend(&e)
		}
		if f.twice {
			f.p.Events.Add(e)
		}
	}
	if !f.silent {
		f.p.Events.Add(e)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func compiled(t *testing.T, text string) *config.Compiled {
	t.Helper()
	path := filepath.Join(t.TempDir(), "av.toml")
	if err := config.AddService(path, text); err != nil {
		t.Fatal(err)
	}
	f, err := config.Load(config.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const exampleTOML = `
[service.example]
host   = "api.example.test"
auth   = "bearer"
secret = "env:API_KEY"
env    = ["EXAMPLE_KEY"]
test   = [{ request = "GET /me", status = 200, json = { login = "bot" } }]
`

func newProver(t *testing.T, c *config.Compiled, f *fakeProxy) *Prover {
	t.Helper()
	decoy, err := NewDecoy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(decoy.Close)
	f.p = &Prover{Client: &http.Client{Transport: f}, Events: new(Recorder), Decoy: decoy, Rules: c.Rules, Tunnel: c.Tunnel,
		Placeholder: func(s config.CompiledService) string {
			if len(s.Env) == 0 {
				return ""
			}
			return held
		},
		Exchanged: func(context.Context, config.CompiledService, keyring.Secret) keyring.Secret {
			return keyring.NewSecret([]byte("s3cret-token-of-an-exchange"))
		},
		Resolve: func(context.Context, keyring.Ref) (keyring.Item, error) {
			return keyring.Item{Value: keyring.NewSecret([]byte(sentinel))}, nil
		}}
	return f.p
}

func proved(t *testing.T, c *config.Compiled, f *fakeProxy) *Report {
	t.Helper()
	p, r := newProver(t, c, f), new(Report)
	for _, s := range c.Services {
		p.Service(context.Background(), s, r.Add)
	}
	if text := fmt.Sprintf("%+v", r); strings.Contains(text, "s3cret") {
		t.Errorf("the report holds the secret: %s", text)
	}
	return r
}

// Each way of being wrong fails the check that is there for it, and that one alone.
func TestChecksCanFail(t *testing.T) {
	const (
		answers, once, clean, elsewhere, refused = `GET /me answers 200, login = "bot"`, "env:API_KEY was sent, once",
			"the agent's side saw no secret", "a host that no service covers does not get it", "its placeholder is refused there"
	)
	good := `{"login":"bot","id":1}`
	for _, tt := range []struct {
		name   string
		proxy  fakeProxy
		fails  []string
		detail string
	}{
		{"all is well", fakeProxy{body: good}, nil, ""},
		{"another account", fakeProxy{body: `{"login":"human"}`}, []string{answers}, `login is "human", want "bot"`},
		{"no such field", fakeProxy{body: `{}`}, []string{answers}, "the answer has no login"},
		{"no JSON", fakeProxy{body: "<html>"}, []string{answers}, "the answer is not JSON: <html>"},
		{"a bad credential", fakeProxy{body: good, status: 401}, []string{answers}, "got 401"},
		{"not injected", fakeProxy{body: good, bend: func(e *event.Event) { e.Verdict, e.Reason = event.Passed, "why not" }}, []string{once}, `verdict "passed": why not`},
		{"another secret", fakeProxy{body: good, bend: func(e *event.Event) { e.Secret = "env:OTHER" }}, []string{once}, `service "example" sent env:OTHER`},
		{"another service", fakeProxy{body: good, bend: func(e *event.Event) { e.Service = "other" }}, []string{once}, `service "other" sent env:API_KEY`},
		{"another place", fakeProxy{body: good, bend: func(e *event.Event) { e.Where = "query key" }}, []string{once}, "it stood in query key, and the service says header Authorization"},
		{"the value before the newest", fakeProxy{body: good, bend: func(e *event.Event) { e.State = event.Previous }}, []string{once}, "the server refused the newest value"},
		{"two places", fakeProxy{body: good, bend: func(e *event.Event) { e.Where = "header Authorization, query key" }}, []string{once}, "it stood in 2 places"},
		{"two requests", fakeProxy{body: good, twice: true}, []string{once}, "2 requests with a credential went out"},
		{"an echo in the body", fakeProxy{body: `{"login":"bot","key":"` + sentinel + `"}`}, []string{clean}, "the answer's body holds the secret"},
		{"an echo in a header", fakeProxy{body: good, header: sentinel}, []string{clean}, "the answer's headers hold the secret"},
		{"an echo of the token that went out", fakeProxy{body: `{"login":"bot","key":"s3cret-token-of-an-exchange"}`}, []string{clean}, "the answer's body holds the secret"},
		{"it went elsewhere", fakeProxy{body: good, toDecoy: "Authorization: Bearer " + sentinel}, []string{elsewhere}, "was sent the secret"},
		{"the placeholder passed", fakeProxy{body: good, letPass: true}, []string{refused}, "the request arrived there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := proved(t, compiled(t, exampleTOML), &tt.proxy)
			if len(r.Checks) != 5 {
				t.Fatalf("%d checks: %+v", len(r.Checks), r.Checks)
			}
			var fails []string
			detail := ""
			for _, c := range r.Checks {
				if c.Result != Passed {
					fails, detail = append(fails, c.Name), detail+c.Detail
				}
			}
			if !slices.Equal(fails, tt.fails) {
				t.Errorf("failed: %q, want %q (%s)", fails, tt.fails, detail)
			}
			if !strings.Contains(detail, tt.detail) {
				t.Errorf("got %q, want %q", detail, tt.detail)
			}
		})
	}
}

// Where there is no event nothing is taken for granted.
func TestSilentProxyPassesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := compiled(t, exampleTOML)
	p := newProver(t, c, &fakeProxy{body: `{"login":"bot"}`, silent: true})
	x := &trial{p: p, s: c.Services[0], t: c.Services[0].Tests[0]}
	cancel() // nobody waits for what does not come
	if got := p.Events.since(ctx, 0); got != nil {
		t.Fatalf("got %v", got)
	}
	r := new(Report)
	x.report = r.Add
	x.checkInjection(answer{status: 200}, target{})
	if r.Count(Failed) != 1 {
		t.Errorf("got %+v", r.Checks)
	}
}

// What the child has to show it shows, and only where it has to.
func TestPlaceholderIsShown(t *testing.T) {
	const service = "[service.example]\nhost = \"%s\"\nauth = %s\nsecret = \"env:API_KEY\"\nenv = [\"EXAMPLE_KEY\"]\n%s\ntest = [{ request = \"%s\" }]\n"
	for _, tt := range []struct{ name, host, auth, more, request, want string }{
		{"always", "api.example.test", `"bearer"`, "", "GET /me", "GET https://api.example.test/me Accept"},
		{"asked", "api.example.test", `"bearer"`, `inject = "asked"`, "GET /me", "Authorization: Bearer " + held},
		{"basic", "api.example.test", `{ type = "basic", user = "u" }`, `inject = "asked"`, "GET /me", "Authorization: Basic dTphdnBf"},
		{"query", "api.example.test:8443", `{ type = "query", name = "key" }`, `inject = "asked"`, "GET /me?a=b", "GET https://api.example.test:8443/me?a=b&key=" + held},
		{"path", "api.example.test", `"path"`, "", "GET /bot{placeholder}/getMe", "GET https://api.example.test/bot" + held + "/getMe"},
		{"body", "api.example.test", `{ type = "body", fields = ["auth.secret"] }`, "", "POST /token", "Content-Type: application/json"},
		{"sigv4", "sts.eu-west-1.amazonaws.com", `{ type = "sigv4", access_key_id = "env:ID" }`, "", "GET /?Action=GetCallerIdentity", "Credential=" + held + "/20200101/eu-west-1/sts/aws4_request"},
		{"insecure", "localhost:8080", `"bearer"`, "insecure = true", "GET /me", "GET http://localhost:8080/me"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeProxy{}
			proved(t, compiled(t, fmt.Sprintf(service, tt.host, tt.auth, tt.more, tt.request)), f)
			if !strings.Contains(f.asked[0], tt.want) {
				t.Errorf("got %q, want %q", f.asked[0], tt.want)
			}
		})
	}
}

// A check that cannot be made is skipped, and says why.
func TestSkips(t *testing.T) {
	for _, tt := range []struct {
		name, toml, want string
	}{
		{"no test", strings.Replace(exampleTOML, "test ", "#", 1), "no test and no identity request"},
		{"no variable", strings.Replace(exampleTOML, `["EXAMPLE_KEY"]`, "[]", 1), "the agent is given none: no variable in env"},
		{"never intercepted", `tunnel = ["*.agentvault.invalid"]` + exampleTOML, "is never intercepted (tunnel)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := proved(t, compiled(t, tt.toml), &fakeProxy{body: `{"login":"bot"}`})
			found := false
			for _, c := range r.Checks {
				found = found || c.Result == Skipped && strings.Contains(c.Detail, tt.want)
			}
			if !found {
				t.Errorf("got %+v", r.Checks)
			}
		})
	}
}

func TestMismatch(t *testing.T) {
	body := []byte(`{"a":{"b":[{"c":1},{"c":2.5}]},"d.e":"x","n":null,"t":true,"l":[1,2]}`)
	for _, tt := range []struct {
		want map[string]any
		says string
	}{
		{map[string]any{"a.b.1.c": 2.5, "d.e": "x", "t": true, "l": []any{int64(1), int64(2)}}, ""},
		{map[string]any{"a": map[string]any{"b.0.c": int64(1)}}, ""},
		{map[string]any{"a.b.2.c": 1}, "the answer has no a.b.2.c"},
		{map[string]any{"n": "x"}, `n is null, want "x"`},
		{map[string]any{"t": "true"}, `t is true, want "true"`},
		{map[string]any{"l": []any{int64(1)}}, "l is [1,2], want [1]"},
	} {
		if got := mismatch(tt.want, body); got != tt.says {
			t.Errorf("%v: got %q, want %q", tt.want, got, tt.says)
		}
	}
}

func TestReports(t *testing.T) {
	r := &Report{Checks: []Check{
		{Service: "a", Test: "GET /x", Name: "GET /x answers 200", Result: Passed},
		{Service: "a", Test: "GET /x", Name: "was # sent", Result: Failed, Detail: "it \"did\" <not>\x1b[2J", Hint: "look"},
		{Service: "b", Name: "has a test", Result: Skipped, Detail: "none"},
	}}
	var tap, junit bytes.Buffer
	if err := r.TAP(&tap); err != nil {
		t.Fatal(err)
	}
	const want = `TAP version 13
1..3
ok 1 - a: GET /x answers 200
not ok 2 - a: GET /x: was \# sent
  ---
  message: "it \"did\" <not>\\x1b[2J"
  hint: "look"
  ...
ok 3 - b: has a test # SKIP none
`
	if tap.String() != want {
		t.Errorf("TAP\n got %q\nwant %q", tap.String(), want)
	}
	if err := r.JUnit(&junit, time.Date(2026, 1, 2, 15, 4, 5, 6, time.FixedZone("", 3600))); err != nil {
		t.Fatal(err)
	}
	var read junitSuites
	if err := xml.Unmarshal(junit.Bytes(), &read); err != nil {
		t.Fatalf("%v\n%s", err, junit.String())
	}
	if len(read.Suites) != 2 || read.Suites[0].Tests != 2 || read.Suites[0].Failures != 1 || read.Suites[1].Skipped != 1 ||
		read.Suites[0].Cases[1].Failure.Text != "look" || read.Suites[1].Cases[0].Skipped == nil {
		t.Errorf("%s", junit.String())
	}
	// What Ant's schema wants, and Jenkins's allows (https://github.com/windyroad/JUnit-Schema, xunit-plugin's junit-10.xsd).
	for _, want := range []string{
		"<testsuites>\n", `<testsuite package="agentvault" id="1" name="b" timestamp="2026-01-02T14:04:05" hostname="localhost" tests="1" failures="0" errors="0" skipped="1" time="0.000">`,
		"<properties></properties>\n    <testcase ", ` type="check">look</failure>`, "</testcase>\n    <system-out></system-out>\n    <system-err></system-err>\n  </testsuite>",
	} {
		if !strings.Contains(junit.String(), want) {
			t.Errorf("no %s in\n%s", want, junit.String())
		}
	}
	if got := r.Summary(); got != "1 passed, 1 failed, 1 skipped" {
		t.Errorf("got %q", got)
	}
}

func TestAtStaging(t *testing.T) {
	const two = exampleTOML + `
[service.other]
host   = "other.example.test/v2/**"
auth   = "bearer"
secret = "env:OTHER"
insecure = false
test   = [{ request = "GET /v2/me" }]
`
	c := compiled(t, two)
	moved, err := AtStaging(c, "other", "https://staging.example.test:8443")
	if err != nil {
		t.Fatal(err)
	}
	if m := moved.Rules.Match("staging.example.test", 8443, "GET", "/v2/me"); m.Service != "other" {
		t.Errorf("staging is not covered: %+v", m)
	}
	if m := moved.Rules.Match("staging.example.test", 8443, "GET", "/v1"); m.Service != "" {
		t.Errorf("the path was lost: %+v", m)
	}
	if m := moved.Rules.Match("other.example.test", 443, "GET", "/v2/me"); m.Service != "" {
		t.Errorf("the service's own host is still covered: %+v", m)
	}
	if m := c.Rules.Match("other.example.test", 443, "GET", "/v2/me"); m.Service != "other" || c.Services[1].Tests[0].Host != "" {
		t.Errorf("the original was changed: %+v", m)
	}
	for origin, want := range map[string]string{
		"http://staging.example.test":   "over https only",
		"https://staging.example.test/": "",
		"https://a.test/path":           "not an origin",
		"ftp://a.test":                  "not an origin",
		"https://api.example.test":      "", // another service's host, and a path of its own
	} {
		_, err := AtStaging(c, "other", origin)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: got %v, want %q", origin, err, want)
		}
	}
	if _, err := AtStaging(c, "example", "https://other.example.test"); err != nil {
		t.Errorf("one is more specific than the other: %v", err)
	}
}
