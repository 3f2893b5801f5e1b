package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
)

// world is a user's file, a project's, and what the stores hold.
type world struct {
	user, project string
	stored        map[string][]string // ref -> hosts; a ref that is missing is not stored
	locked        bool
}

func (w world) load(t *testing.T) (*config.File, *config.Compiled) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := config.Options{Dir: filepath.Join(dir, "p"), UserDir: filepath.Join(dir, "u")}
	for name, text := range map[string]string{"p": w.project, "u": w.user} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name, config.FileName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return f, c
}

func (w world) bindings(r keyring.Ref) (Binding, bool) {
	hosts, ok := w.stored[r.String()]
	return Binding{Stored: ok, Hosts: hosts}, !w.locked
}

const bearer = "auth = \"bearer\"\nsecret = \"keychain:k\"\n"

func TestFindings(t *testing.T) {
	k := func(hosts ...string) map[string][]string { return map[string][]string{"keychain:k": hosts} }
	for _, tt := range []struct {
		name string
		world
		want []string // "line:col severity code", then a part of the text
	}{
		{"nothing to say", world{project: "[service.a]\nhost = \"h.test\"\n" + bearer + "allow = [\"GET /a/**\"]\ndeny = [\"GET /a/b/*\"]\n", stored: k("h.test")}, nil},
		{"a rule outside the host's path", world{project: "[service.a]\nhost = [\"h.test/v2/**\", \"h.test/w/*\"]\n" + bearer + "allow = [\"GET /v2/x\", \"GET /v3/**\", \"GET /w\"]\ndeny = [\"/V2/**/z\", \"/q\"]\n", stored: k("h.test")}, []string{
			`5:23 warning never-matches allow "GET /v3/**" can never match: the service has only /v2/**, /w/*`,
			`5:37 warning never-matches allow "GET /w" can never`,
			`6:21 warning never-matches deny "/q"`}},
		{"operations where none can be told", world{project: "[service.a]\nhost = [\"a.test\", \"*.eu-west-1.amazonaws.com\"]\nauth = \"none\"\n" +
			"allow = [\"POST /v1/things Create\", \"POST /graphql query\", \"POST / Get*\", \"POST /graphql mutation a\"]\n" +
			"deny = [\"/x/* mutation\", \"POST /graphql mutation A\"]\nask = [\"POST /graphql query b\", \"/y c\"]\n"}, []string{
			`4:10 warning untold-operation allow "POST /v1/things Create" names an operation where none can be told, so it is never in force`,
			`4:74 warning shadowed-rule allow "POST /graphql mutation a" has no effect`,
			`5:9 warning untold-operation deny "/x/* mutation" names an operation where none can be told, so it holds for every call`,
			`6:33 warning untold-operation ask "/y c"`}},
		{"a rule that deny takes whole", world{project: "[service.a]\nhost = \"h.test\"\n" + bearer + "allow = [\"GET /A/*\", \"POST /a/*\", \"/a/x\", \"GET /b/**\"]\nask = [\"GET /c\"]\ndeny = [\"GET /a/**\", \"GET /b/*\", \"/c\"]\n", stored: k("h.test")}, []string{
			`5:10 warning shadowed-rule allow "GET /A/*" has no effect`,
			`6:8 warning shadowed-rule ask "GET /c" has no effect`}},
		{"several denials take a rule together", world{project: "[service.a]\nhost = \"h.test\"\n" + bearer + "allow = [\"GET /a/**\"]\ndeny = [\"/a\", \"/a/*\", \"/a/*/**\"]\n", stored: k("h.test")}, []string{`5:10 warning shadowed-rule`}},
		{"a service behind another", world{project: "[service.a]\nhost = \"h.test:443\"\n" + bearer + "[service.b]\nhost = [\"h.test\", \"i.test\"]\nauth = \"none\"\n", stored: k("h.test")}, []string{
			`6:9 warning shadowed-service service "b": every call to h.test goes to service "a"`}},
		{"a path of another service is not the whole", world{project: "[service.a]\nhost = \"h.test/v1/**\"\n" + bearer + "[service.b]\nhost = \"h.test\"\nauth = \"none\"\n[service.c]\nhost = \"*.test.test\"\nauth = \"none\"\n[service.d]\nhost = \"x.test.test\"\nauth = \"none\"\n", stored: k("h.test")}, nil},
		{"tunnel and no_proxy go first", world{user: "tunnel = [\"*.x.test\"]\nno_proxy = [\".y.test\", \"10.0.0.0/8\"]\n", project: "[service.a]\nhost = [\"a.x.test/v1/**\", \"a.y.test\", \"10.1.2.3\", \"localhost:8080\", \"11.1.2.3\"]\nauth = \"none\"\n"}, []string{
			`2:9 warning tunnelled a.x.test is in tunnel`, `2:27 warning bypassed a.y.test is in no_proxy (.y.test)`, `2:39 warning bypassed 10.1.2.3 is in no_proxy (10.0.0.0/8)`, `2:51 info bypassed`}},
		{"a binding that is wider", world{project: "[service.a]\nhost = \"api.h.test\"\n" + bearer, stored: k("api.h.test", "*.h.test", "h.test")}, []string{
			`4:10 warning bound-wider keychain:k may also be sent to *.h.test, h.test`}},
		{"a binding that lacks a host", world{project: "[service.a]\nhost = [\"a.test\", \"b.test:8443\"]\n" + bearer, stored: k("a.test")}, []string{
			`4:10 warning not-bound keychain:k is not bound to b.test:8443 and will not be sent there`}},
		{"a binding without hosts", world{project: "[service.a]\nhost = \"a.test\"\n" + bearer, stored: k()}, []string{`4:10 warning not-bound not bound to a.test`}},
		{"two services share a secret", world{project: "[service.a]\nhost = \"a.test\"\n" + bearer + "[service.b]\nhost = \"b.test\"\n" + bearer, stored: k("a.test", "b.test", "c.test")}, []string{
			`4:10 warning bound-wider services "a", "b": keychain:k may also be sent to c.test`}},
		{"the issuer of tokens belongs to the binding", world{project: "[service.a]\nhost = \"a.test\"\nauth = { type = \"oauth2\", grant = \"refresh_token\", token_url = \"https://login.test/t\" }\nsecret = \"keychain:k\"\n", stored: k("a.test")}, []string{
			`4:10 warning not-bound keychain:k is not bound to login.test`}},
		{"every ref of a service is looked up", world{project: "[service.a]\nuse = \"aws\"\nhost = \"*.eu-west-1.amazonaws.com\"\nauth = { type = \"sigv4\", access_key_id = \"keychain:id\" }\nsecret = \"keychain:k\"\n", stored: k("*.eu-west-1.amazonaws.com")}, []string{
			`4:8 info not-stored keychain:id is not stored`}},
		{"a signature is good for one host alone", world{project: "[service.a]\nhost = \"*.github.io\"\nauth = { type = \"sigv4\", access_key_id = \"keychain:k\" }\nsecret = \"keychain:k\"\n", stored: k("*.github.io")}, nil},
		{"a locked keychain says nothing", world{project: "[service.a]\nhost = \"a.test\"\n" + bearer, locked: true}, nil},
		{"refs without a binding", world{project: "[service.a]\nhost = \"a.test/v1/**\"\nauth = \"bearer\"\nsecret = \"env:A\"\n"}, []string{`4:10 info no-binding env:A is bound to no hosts`}},
		{"the user's own binding", world{user: "[binding]\n\"env:A\" = [\"a.test\"]\n", project: "[service.a]\nhost = [\"a.test\", \"b.test\"]\nauth = \"bearer\"\nsecret = \"env:A\"\n"}, []string{`4:10 warning not-bound env:A is not bound to b.test`}},
		{"strangers below a wildcard", world{user: "[binding]\n\"env:*\" = [\"*.co.uk\", \"*.acme.co.uk\"]\n", project: "[service.a]\nhost = [\"*.github.io\", \"*.acme.test\"]\n" + bearer, stored: k("*.github.io", "*.acme.test")}, []string{
			`u 2:1 warning public-suffix below co.uk`, `2:9 warning public-suffix anybody can have a name below github.io`, `4:10 warning public-suffix keychain:k is bound to *.github.io`}},
		{"no secret, no danger", world{project: "unmatched = \"allow\"\n[service.a]\nhost = \"*.github.io\"\nauth = \"none\"\n"}, nil},
		{"unmatched", world{project: "unmatched = \"allow\"\n[service.a]\nhost = \"a.test\"\n" + bearer, stored: k("a.test")}, []string{`1:13 warning unmatched-allow`}},
		{"plain HTTP", world{user: "[infisical]\nsite_url = \"http://vault.test\"\n", project: "[service.a]\nhost = \"a.test:80\"\nupstream = \"http://staging.test\"\n" + bearer, stored: k("a.test:80")}, []string{
			`u 1:1 warning plain-http http://vault.test`, `2:8 warning plain-http port 80 of a.test is plain HTTP`, `3:12 warning plain-http http://staging.test`}},
		{"plain HTTP on this machine", world{project: "[service.a]\nhost = \"127.0.0.1:80\"\nupstream = \"http://localhost:1\"\ninsecure = true\n" + bearer, stored: k("127.0.0.1:80")}, []string{`2:8 info bypassed`, `4:12 info plain-http`}},
		{"anywhere in a body", world{project: "[service.a]\nhost = \"h.test\"\nsearch = [\"body\", \"websocket:d.token\", \"path\"]\n" + bearer, stored: k("h.test")}, []string{`3:10 warning wide-search service "a": search: the agent can have the secret put anywhere into body`}},
		{"shape", world{project: "[service.openai]\nuse = \"anthropic\"\nplaceholder = \"sk-ant-{a-z:40}\"\nsecret = \"keychain:k\"\n", stored: k("api.anthropic.com")}, []string{`3:15 warning placeholder-shape a key of Anthropic`}},
		{"a good shape", world{project: "[service.openai]\nuse = \"anthropic\"\nplaceholder = \"sk-ant-api03-{a-z:93}AA\"\nsecret = \"keychain:k\"\n", stored: k("api.anthropic.com")}, nil},
		{"known", world{project: "[service.a]\nhost = \"api.stripe.com\"\n" + bearer, stored: k("api.stripe.com")}, []string{`2:8 info known-service the catalogue knows api.stripe.com as Stripe`}},
		{"a project that widens", world{user: "pass_env = [\"A\"]\n[service.a]\nhost = \"a.test\"\n" + bearer, project: "pass_env = [\"A\", \"AWS_*\"]\ntunnel = [\"t.test\"]\nno_proxy = [\"n.test\"]\n[service.a]\nhost = \"a.test\"\n" + bearer, stored: k("a.test")}, []string{
			`1:18 warning widens hands AWS_* of your environment`, `2:11 warning widens t.test`, `3:13 warning widens n.test`, `4:1 warning widens takes the place of the one in your own file`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, c := tt.load(t)
			var got []string
			for _, x := range Run(Options{File: f, Compiled: c, Bindings: tt.bindings}) {
				prefix := ""
				if x.Pos.File != config.FileName {
					prefix = "u "
				}
				got = append(got, fmt.Sprintf("%s%d:%d %s %s %s", prefix, x.Pos.Line, x.Pos.Col, x.Severity, x.Code, x.Text))
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			for i, want := range tt.want {
				words := strings.SplitN(want, " ", 4)
				if strings.HasPrefix(want, "u ") {
					words = strings.SplitN(want, " ", 5)
					words = append([]string{words[0] + " " + words[1]}, words[2:]...)
				}
				head, text := strings.Join(words[:3], " "), ""
				if len(words) > 3 {
					text = words[3]
				}
				if !strings.HasPrefix(got[i], head+" ") || !strings.Contains(got[i], text) {
					t.Errorf("got  %s\nwant %s", got[i], want)
				}
			}
		})
	}
}

func TestLoadError(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.toml")
	if err := os.WriteFile(path, []byte("unmached = 1\n[service.a]\nhots = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(config.Options{Path: path, Dir: dir})
	got := LoadError(err)
	if len(got) != 2 || got[0].Code != Invalid || got[0].Pos.String() != "f.toml:1:1" || got[1].Pos.Line != 3 || !strings.Contains(got[0].Hint, `"unmatched"`) {
		t.Errorf("%+v", got)
	}
	_, err = config.Load(config.Options{Path: path + "x", Dir: dir})
	if got := LoadError(err); len(got) != 1 || got[0].Pos.File != "" || !strings.Contains(got[0].Text, "no such file") {
		t.Errorf("%+v", got)
	}
}

func TestReport(t *testing.T) {
	w := world{project: "[service.a]\nhost = [\"a.test\", \"b.test\", \"c.test\"]\n" + bearer + "env = [\"A_KEY\"]\ninject = \"asked\"\ndeny = [\"/x\"]\n[service.gcp]\nuse = \"gcp\"\nsecret = \"keychain:g\"\n"}
	f, c := w.load(t)
	findings := Run(Options{File: f, Compiled: c, Bindings: w.bindings})
	r := NewReport(c, []File{{"agentvault.toml", "project", false}}, findings, true)
	if !r.OK {
		t.Error("notes alone fail")
	}
	var text bytes.Buffer
	if err := r.Text(&text, func(s string) string { return strings.ReplaceAll(s, "b.test", "?") }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"agentvault.toml (the project's, not approved yet)\n", "unmatched  warn: calls that no service covers pass and are shown\n",
		"a        a.test and 2 more", "  bearer, asked  keychain:k  A_KEY ", "  everything, not /x\n", "  gcp as bearer  ",
		"\nagentvault.toml\n  4:10 info: service \"a\": keychain:k is not stored on this machine [not-stored]\n      hint: agentvault secret set k --host a.test --host ? --host c.test\n",
		"\n2 notes\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}

	var out bytes.Buffer
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Services) != 2 || !slices.Equal(got.Services[0].Hosts, []string{"a.test", "b.test", "c.test"}) || got.Services[0].Line != 1 ||
		len(got.Findings) != 2 || got.Findings[0].Line != 4 || got.Findings[0].Severity != Info || got.Unmatched != "warn" {
		t.Errorf("%s", out.String())
	}
	if strings.Contains(out.String(), "null") {
		t.Errorf("a list is null:\n%s", out.String())
	}

	warned := []Finding{{Severity: Warning, Code: Widens, Text: "x"}}
	if NewReport(c, nil, warned, true).OK || !NewReport(c, nil, warned, false).OK {
		t.Error("--strict makes warnings fail, and only --strict")
	}
	if NewReport(nil, nil, []Finding{{Severity: Error}}, false).OK {
		t.Error("an error is ok")
	}
}
