package discover

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"agentvault/cmd/internal/config"
	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// load loads suggestions as a file.
func load(t *testing.T, suggestions []Suggestion) *config.Compiled {
	t.Helper()
	var b bytes.Buffer
	for _, s := range suggestions {
		b.WriteString(s.TOML() + "\n")
	}
	path := filepath.Join(t.TempDir(), "agentvault.toml")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := config.Load(config.Options{Path: path})
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	return c
}

// With what is suggested, every call that can be covered is.
func TestSuggestionsCoverTheSession(t *testing.T) {
	events := agentSession()
	c := load(t, Suggest(Endpoints(events), known))
	for i := range events {
		e := &events[i]
		if kindOf(e) != Call || e.Service != "" { // of a service that exists only rules are suggested
			continue
		}
		if m := c.Rules.Match(e.Host, e.Port, e.Method, strings.ToValidUTF8(escapePath(e.Path), "")); m.Kind != rule.Covered {
			t.Errorf("%s %s%s: %v, %s", e.Method, e.Host, e.Path, m.Kind, m.Reason)
		}
	}
}

// escapePath does what a client does to odd characters.
func escapePath(s string) string {
	return strings.NewReplacer("\x1b", "%C2%A0", "\u202e", "%E2%80%AE").Replace(s)
}

func TestSuggest(t *testing.T) {
	call := func(host string, port int, auth string, status int) event.Event {
		return event.Event{Phase: event.End, Method: "GET", Scheme: "https", Host: host, Port: port, Path: "/v1/x", Auth: auth, Status: status, Verdict: event.Uncovered}
	}
	plain := call("127.0.0.1", 8080, "bearer", 200)
	plain.Scheme = "http"
	far := call("plain.test", 80, "bearer", 200)
	far.Scheme = "http"
	partly := call("partly.test", 443, "", 403)
	partly.Service = "mine"
	denied := func(service, code string) event.Event {
		e := call("d.test", 443, "placeholder", 403)
		e.Service, e.Verdict, e.Code = service, event.Denied, code
		return e
	}
	for _, tt := range []struct {
		name   string
		events []event.Event
		want   []string // of the TOML, which must load
		not    string
	}{
		{"known with a key", []event.Event{call("api.github.com", 443, "bearer", 200)},
			[]string{"[service.github]", `use    = "github"`, `secret = "keychain:github"`, `allow  = ["GET /v1/x"]`}, "host"},
		{"known in two places", []event.Event{call("api.github.com", 443, "bearer", 200), call("github.com", 443, "basic", 200)}, []string{"[service.github]"}, "host"},
		{"known, refused without a key", []event.Event{call("api.linear.app", 443, "", 401)}, []string{`use    = "linear"`, "secret"}, "host"},
		{"known and public", []event.Event{call("api.github.com", 443, "", 200)}, []string{`host   = "api.github.com"`, `auth   = "none"`}, "secret"},
		{"known, with a host of its own", []event.Event{call("acme.openai.azure.com", 443, "api-key", 200)},
			[]string{`use    = "azure-openai"`, `host   = "acme.openai.azure.com"`, "secret"}, "auth "},
		{"known, two tenants", []event.Event{call("acme.openai.azure.com", 443, "api-key", 200), call("other.openai.azure.com", 443, "api-key", 200)},
			[]string{"[service.azure-openai]", "[service.azure-openai-2]", "env    = []"}, "auth "},
		{"known, with a user that nobody knows", []event.Event{call("api.twilio.com", 443, "basic", 200)},
			[]string{`use    = "twilio"`, `auth   = { type = "basic", user = "YOUR-USER" }  # the user is the account SID`}, "host "},
		{"known, hosts of one account", []event.Event{call("s3.eu-west-1.amazonaws.com", 443, "sigv4", 200), call("sqs.eu-west-1.amazonaws.com", 443, "sigv4", 200)},
			[]string{`use    = "aws"`, `host   = ["s3.eu-west-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com"]`, `access_key_id = "keychain:aws-id"`}, "aws-2"},
		{"known, its key in the body", []event.Event{call("api.uptimerobot.com", 443, "", 200)}, []string{`use    = "uptimerobot"`, "secret"}, "none"},
		{"a key in the path", []event.Event{call("bots.acme.test", 443, "path", 200)}, []string{`auth   = "path"`, "secret"}, "use "},
		{"unknown with a bearer token", []event.Event{call("api.acme.test", 443, "bearer", 200)}, []string{"[service.acme]", `host   = "api.acme.test"`, `auth   = "bearer"`, `"keychain:acme"`}, "use "},
		{"unknown without a key", []event.Event{call("cdn.acme.test", 443, "", 200)}, []string{"[service.cdn-acme]", `auth   = "none"`}, "secret"},
		{"another port", []event.Event{call("acme.test", 8443, "x-api-key", 200)}, []string{"[service.acme-8443]", `"acme.test:8443"`, `{ type = "header", name = "X-Api-Key" }`}, "use "},
		{"IPv6", []event.Event{call("::1", 8443, "bearer", 200)}, []string{"[service.host-1-8443]", `"[::1]:8443"`}, "use "},
		{"query", []event.Event{call("q.test", 443, "query:api_key", 200)}, []string{`{ type = "query", name = "api_key" }`}, "use "},
		{"basic", []event.Event{call("b.test", 443, "basic", 200)}, []string{`{ type = "basic", user = "user" }`}, "use "},
		{"token", []event.Event{call("t.test", 443, "token", 200)}, []string{`name = "Authorization", prefix = "token "`}, "use "},
		{"a bare key in Authorization", []event.Event{call("t.test", 443, "authorization", 200)}, []string{`{ type = "header", name = "Authorization" }`}, "prefix"},
		{"cookie", []event.Event{call("c.test", 443, "cookie", 200)}, []string{`{ type = "cookie"`}, "use "},
		{"signed by the agent", []event.Event{call("s.test", 443, "sigv4", 200)}, []string{`auth   = "none"`, "signs its requests itself (sigv4)"}, "secret"},
		{"a key beside a cookie", []event.Event{call("k.test", 443, "cookie", 200), call("k.test", 443, "cookie", 200), call("k.test", 443, "bearer", 200)}, []string{`auth   = "bearer"`}, "cookie"},
		{"plain HTTP on loopback", []event.Event{plain}, []string{`host   = "127.0.0.1:8080"`, "insecure = true", "secret"}, "use "},
		{"plain HTTP elsewhere", []event.Event{far}, []string{`host   = "plain.test:80"`, `auth   = "none"`}, "secret"},
		{"a service that lacks a rule", []event.Event{partly}, []string{"# [service.mine]: add to allow", `#     "GET /v1/x",`}, "secret"},
		{"names that meet", []event.Event{call("api.x.test", 443, "bearer", 200), call("www.x.test", 443, "bearer", 200)}, []string{"[service.x]", "[service.x-2]"}, "use "},
		{"denied for want of a service", []event.Event{denied("", "no_service")}, []string{"[service.d]"}, "use "},
		{"its own placeholder, but no rule", []event.Event{denied("mine", "placeholder_misdirected")}, []string{"# [service.mine]: add to allow"}, "secret"},
		{"a placeholder on its way to a stranger", []event.Event{denied("", "placeholder_misdirected")}, nil, "service"},
		{"an address that is never dialled", []event.Event{denied("", "address_refused")}, nil, "service"},
		{"a host that is none", []event.Event{call("bad\nhost", 443, "bearer", 200)}, nil, "service"},
	} {
		suggestions := Suggest(Endpoints(tt.events), known)
		var b strings.Builder
		for _, s := range suggestions {
			b.WriteString(s.TOML())
		}
		for _, want := range tt.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: got\n%swant %q in it", tt.name, b.String(), want)
			}
		}
		if strings.Contains(b.String(), tt.not) {
			t.Errorf("%s: got\n%swant no %q", tt.name, b.String(), tt.not)
		}
		load(t, suggestions)
	}
}

func TestSuggestAllow(t *testing.T) {
	got := Suggest(Endpoints(agentSession()), known)
	allow := make(map[string][]string)
	for _, s := range got {
		allow[s.Name] = s.Allow
	}
	want := map[string][]string{
		"github":            {"DELETE /repos/*/*/hooks/*"},
		"linear":            {"GET /sse", "POST /graphql"},
		"billing-acme-8443": {"POST /v2/customers/*/invoices"},
		"telemetry-example": {"POST /v1/events"},
		"evil":              {"GET /*"},
	}
	if !reflect.DeepEqual(allow, want) {
		t.Errorf("got %q, want %q", allow, want)
	}
	if got := Suggest(nil, Knowledge{}); len(got) != 0 {
		t.Errorf("nothing suggests %v", got)
	}
}

// What the configuration of now covers is not suggested again, and a name that a service
// has is not given twice.
func TestSuggestForTheConfigurationOfNow(t *testing.T) {
	k := known
	k.Names = []string{"linear", "evil"}
	k.Now = func(e *Endpoint) (string, bool) {
		switch {
		case e.Host == "billing.acme.test":
			return "billing", true
		case e.Method == "DELETE":
			return "gh", false
		}
		return "", false
	}
	var got []string
	for _, s := range Suggest(Endpoints(agentSession()), k) {
		got = append(got, fmt.Sprint(s.Name, " ", s.Extend, " ", s.Allow))
	}
	want := []string{"gh true [DELETE /repos/*/*/hooks/*]", "linear-2 false [GET /sse POST /graphql]", "evil-2 false [GET /*]", "telemetry-example false [POST /v1/events]"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestCommands(t *testing.T) {
	call := func(host, auth string) event.Event {
		return event.Event{Phase: event.End, Method: "GET", Scheme: "https", Host: host, Port: 443, Path: "/v1/x", Auth: auth, Status: 200, Verdict: event.Uncovered}
	}
	k := known
	for _, tt := range []struct {
		name   string
		events []event.Event
		want   []string
	}{
		{"all hosts of a known service", []event.Event{call("api.github.com", "bearer")}, []string{"agentvault secret set github --host api.github.com --host github.com", "agentvault discover --all --write"}},
		{"two secrets", []event.Event{call("s3.eu-west-1.amazonaws.com", "sigv4")},
			[]string{"agentvault secret set aws --host s3.eu-west-1.amazonaws.com", "agentvault secret set aws-id --host s3.eu-west-1.amazonaws.com", "agentvault discover --all --write"}},
		{"none", []event.Event{call("cdn.test", "")}, []string{"agentvault discover --all --write"}},
		{"nothing", nil, nil},
	} {
		if got := Commands(Suggest(Endpoints(tt.events), k), "--all"); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{`a"b\c`: `"a\"b\\c"`, "a\nb\x7f": `"a\u000Ab\u007F"`, "é": `"é"`} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

// A file takes no longer names than 64 bytes; of a long host the end is what says whose it is.
func TestNameOfALongHost(t *testing.T) {
	long := strings.Repeat("a", 63)
	for host, want := range map[string]string{
		"api.linear.app":                     "linear",
		"x." + long + ".some.region.acme.io": "some-region-acme",
		long + ".test":                       long[:nameMost],
	} {
		if got := nameOf(host, 0); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}
