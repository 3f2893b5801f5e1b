package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// badFiles are files with the errors that each has to give, whole lines, and a part of
// the first hint.
var badFiles = []struct {
	name, text string
	want       []string
	hint       string
}{
	{"unknown key", "unmached = \"deny\"", []string{`f.toml:1:1: unknown key "unmached" (one of: unmatched, tunnel, no_proxy, pass_env, service, infisical, vault, aws, binding, log)`}, `did you mean "unmatched"?`},
	{"log in a project", "[log]\nkeep = \"90d\"", []string{`f.toml:1:1: log: only your own file may say how long logs are kept`}, "own configuration folder"},
	{"unknown key of a service", "[service.a]\nhost = \"h\"\nauth = \"none\"\n  alow = []", []string{`f.toml:4:3: service "a": unknown key "alow" (one of: use, host, auth,`}, `did you mean "allow"?`},
	{"unknown auth", "[service.github]\nhost   = \"h\"\nsecret = \"env:A\"\nauth   = \"bearr\"", []string{`f.toml:4:10: service "github": unknown auth "bearr" (one of: bearer, basic, header, query, cookie, path, body, sigv4, oauth2, github-app, gcp, mtls, none)`}, `did you mean "bearer"?`},
	{"unknown auth in a table", "[service.a]\nhost = \"h\"\nauth = { name = \"x\", type = \"headers\" }", []string{`f.toml:3:29: service "a": unknown auth "headers"`}, `did you mean "header"?`},
	{"a secret in the place of auth is not quoted", "[service.a]\nhost = \"h\"\nauth = \"ghp_0123456789012345678901234567890123456\"", []string{`f.toml:3:8: service "a": unknown auth value (one of:`}, ""},
	{"no access key", "[service.a]\nhost = \"h\"\nauth = \"sigv4\"", []string{`f.toml:3:8: service "a": auth "sigv4": has no access_key_id`}, `access_key_id = "keychain:aws-id"`},
	{"access key in clear", "[service.a]\nhost = \"h\"\nauth = { type = \"sigv4\", access_key_id = \"AKIA-very-secret\" }", []string{`f.toml:3:42: service "a": access_key_id: not a secret ref: want SCHEME:NAME`}, "keychain:aws-id"},
	{"the catalogue's access key is the user's", "[service.a]\nuse = \"aws\"\nhost = \"*.eu-west-1.amazonaws.com\"\nsecret = \"env:A\"", []string{`f.toml:3:8: service "a": use: Amazon Web Services wants an access_key_id beside the secret`}, `write auth = { type = "sigv4", access_key_id = "keychain:YOUR-KEY-ID" }; a wildcard is one label`},
	{"the catalogue's AWS has no host", "[service.a]\nuse = \"aws\"\nsecret = \"env:A\"", []string{`f.toml:2:7: service "a": use: every account of Amazon Web Services has a host of its own`}, `*.s3.eu-west-1.amazonaws.com its buckets`},
	{"no grant", "[service.a]\nhost = \"h\"\nauth = \"oauth2\"", []string{`f.toml:3:8: service "a": auth "oauth2": has no grant (one of: client_credentials, refresh_token)`}, `grant = "client_credentials"`},
	{"unknown grant", "[service.a]\nhost = \"h\"\nauth = { type = \"oauth2\", grant = \"client_credential\" }", []string{`auth "oauth2": unknown grant "client_credential" (one of: client_credentials, refresh_token)`}, `did you mean "client_credentials"?`},
	{"no token URL", "[service.a]\nhost = \"h\"\nauth = { type = \"oauth2\", grant = \"refresh_token\" }", []string{`auth "oauth2": has no token_url`}, "documentation"},
	{"no client", "[service.a]\nhost = \"h\"\nauth = { type = \"oauth2\", grant = \"client_credentials\", token_url = \"https://i.test/t\" }", []string{`auth "oauth2": has no client_id`}, "its id stands here"},
	{"token URL without TLS", "[service.a]\nhost = \"h\"\nauth = { type = \"oauth2\", grant = \"refresh_token\", token_url = \"http://i.test/very-secret\" }", []string{`auth "oauth2": token_url: not https, and the secret is sent there`}, "https://login.example.test"},
	{"token URL with a password", "[service.a]\nhost = \"h\"\nauth = { type = \"oauth2\", grant = \"refresh_token\", token_url = \"https://me:very-secret@i.test/\" }", []string{`auth "oauth2": token_url: not a URL of an issuer`}, "https://login.example.test"},
	{"token URL of a wildcard", "[service.a]\nhost = \"h\"\nauth = { type = \"oauth2\", grant = \"refresh_token\", token_url = \"https://*.i.test/\" }", []string{`auth "oauth2": token_url: not a URL of an issuer`}, ""},
	{"scopes in one string", "[service.a]\nhost = \"h\"\nauth = { type = \"gcp\", scopes = [\"a b\"] }", []string{`auth "gcp": a scope is a word without spaces`}, `scopes = [`},
	{"no app", "[service.a]\nhost = \"h\"\nauth = \"github-app\"", []string{`auth "github-app": has no app_id`}, "client id"},
	{"installation is no number", "[service.a]\nhost = \"h\"\nauth = { type = \"github-app\", app_id = 1, installation_id = \"acme\" }", []string{`auth "github-app": has no installation_id, which is a number`}, "settings page"},
	{"repository with its owner", "[service.a]\nhost = \"h\"\nauth = { type = \"github-app\", app_id = 1, installation_id = 2, repositories = [\"acme/site\"] }", []string{`auth "github-app": repositories are names without their owner`}, "website"},
	{"permission", "[service.a]\nhost = \"h\"\nauth = { type = \"github-app\", app_id = 1, installation_id = 2, permissions = { contents = \"reed\" } }", []string{`f.toml:3:91: service "a": unknown contents "reed" (one of: read, write, admin)`}, `did you mean "read"?`},
	{"key of another exchange", "[service.a]\nhost = \"h\"\nauth = { type = \"gcp\", client_id = \"x\" }", []string{`f.toml:3:24: service "a": unknown key "client_id" (one of: type, scopes)`}, ""},
	{"plain HTTP to the world", "[service.a]\nhost = [\"localhost:80\", \"h.test:80\"]\nauth = \"bearer\"\nsecret = \"env:A\"\ninsecure = true", []string{`f.toml:5:12: service "a": insecure: h.test:80 is not on this machine`}, "https"},
	{"plain HTTP to a host of the catalogue", "[service.a]\nuse = \"stripe\"\nsecret = \"env:A\"\ninsecure = true", []string{`f.toml:4:12: service "a": insecure: api.stripe.com is not on this machine`}, "https"},
	{"unknown place", "[service.a]\nhost = \"h\"\nauth = \"bearer\"\nsecret = \"env:A\"\nsearch = [\"body:x\", \"websockt:d\"]", []string{`f.toml:5:21: service "a": search: place "websockt:d": unknown (one of: header, cookie, query, path, body, websocket)`}, `did you mean "websocket"?`},
	{"a place twice", "[service.a]\nhost = \"h\"\nauth = \"bearer\"\nsecret = \"env:A\"\nsearch = [\"body\", \"body\"]", []string{`f.toml:5:19: service "a": search: "body" stands there twice`}, ""},
	{"search without a placeholder", "[service.a]\nhost = \"h\"\nauth = \"mtls\"\nsecret = \"env:A\"\nsearch = \"body\"", []string{`f.toml:5:10: service "a": search: auth "mtls" has no placeholder that could be replaced`}, ""},
	{"key of another auth", "[service.a]\nhost = \"h\"\nauth = { type = \"bearer\", name = \"x\" }", []string{`f.toml:3:27: service "a": unknown key "name" (one of: type)`}, ""},
	{"auth without a type", "[service.a]\nhost = \"h\"\nauth = { name = \"x\" }", []string{`f.toml:3:8: service "a": auth: has no type (one of: bearer`}, ""},
	{"header without a name", "[service.a]\nhost = \"h\"\nauth = \"header\"", []string{`f.toml:3:8: service "a": auth "header": has no name`}, `name = "X-Api-Key"`},
	{"header of the transport", "[service.a]\nhost = \"h\"\nauth = { type = \"header\", name = \"host\" }", []string{`service "a": auth "header": "host" is not a header that can carry a credential`}, ""},
	{"body without fields", "[service.a]\nhost = \"h\"\nauth = { type = \"body\" }", []string{`auth "body": has no fields`}, "client_secret"},
	{"user is no ref", "[service.a]\nhost = \"h\"\nauth = { type = \"basic\", user = \"vaul:x\" }", []string{`auth "basic": user: unknown secret scheme "vaul"`}, ""},
	{"tie", "[service.a]\nhost = \"h.test\"\nauth = \"none\"\n[service.b]\nhost = [\"x.test\", \"H.test.\"]\nauth = \"none\"", []string{`f.toml:5:8: service "b": covers h.test, as does service "a" at f.toml:2:8, and neither is more specific`}, "give one of them a path"},
	{"tie with the catalogue", "[service.a]\nuse = \"stripe\"\nsecret = \"env:A\"\n[service.b]\nhost = \"api.stripe.com\"\nauth = \"none\"", []string{`f.toml:5:8: service "b": covers api.stripe.com, as does service "a" at f.toml:2:7`}, ""},
	{"same variable", "[service.a]\nuse = \"openai\"\nsecret = \"env:A\"\n[service.b]\nhost = \"x.test\"\nauth = \"bearer\"\nsecret = \"env:B\"\nenv = [\"X\", \"OPENAI_API_KEY\"]", []string{`f.toml:8:7: service "b": the variable OPENAI_API_KEY is that of service "a" at f.toml:2:7 already`}, "env = []"},
	{"same variable twice", "[service.a]\nhost = \"h\"\nauth = \"bearer\"\nsecret = \"env:B\"\nenv = [\"X\", \"X\"]", []string{`f.toml:5:7: service "a": env names X twice`}, ""},
	{"bad variable", "[service.a]\nhost = \"h\"\nauth = \"none\"\nenv = [\"A\", \"1B\"]", []string{`f.toml:4:13: service "a": env: "1B" is no name of an environment variable`}, "letters"},
	{"scheme in host", "[service.a]\nhost = \"https://api.x.test/v1\"\nauth = \"none\"", []string{`f.toml:2:8: service "a": host "https://api.x.test/v1": has the scheme "https"`}, `write "api.x.test/v1"`},
	{"bad host in a list", "[service.a]\nhost = [\"ok.test\",\n  \"*.test\"]\nauth = \"none\"", []string{`f.toml:3:3: service "a": host "*.test": a wildcard needs at least two labels after it`}, ""},
	{"empty list of hosts", "[service.a]\nhost = []\nauth = \"none\"", []string{`f.toml:2:8: service "a": host: the list is empty`}, ""},
	{"bad path", "[service.a]\nhost = \"h\"\nauth = \"none\"\nallow = [\"GET /repos/{owner}\"]", []string{`f.toml:4:10: service "a": allow: rule "GET /repos/{owner}": path: '{' is not a pattern character`}, "a parameter is written *"},
	{"bad method", "[service.a]\nhost = \"h\"\nauth = \"none\"\ndeny = [\"/ok\", \"DELET /x\"]", []string{`f.toml:4:16: service "a": deny: rule "DELET /x": invalid method "DELET" (one of: GET, HEAD,`}, `did you mean "DELETE"?`},
	{"unknown scheme", "[service.a]\nhost = \"h\"\nauth = \"bearer\"\nsecret = \"keychan:x\"", []string{`f.toml:4:10: service "a": secret: unknown secret scheme "keychan" (one of: keychain,`}, `did you mean "keychain"?`},
	{"a secret in the place of a ref is not quoted", "[service.a]\nhost = \"h\"\nauth = \"bearer\"\nsecret = \"sk-very-secret-value\"", []string{`f.toml:4:10: service "a": secret: not a secret ref: want SCHEME:NAME`}, ""},
	{"no secret", "[service.a]\nhost = \"h\"\nauth = \"bearer\"", []string{`f.toml:1:1: service "a": has no secret`}, "agentvault secret set a"},
	{"a secret too much", "[service.a]\nhost = \"h\"\nauth = \"none\"\nsecret = \"env:A\"", []string{`f.toml:4:10: service "a": auth "none" takes no secret`}, ""},
	{"neither host nor use", "[service.a]\nauth = \"none\"", []string{`f.toml:1:1: service "a": has neither host nor use`}, "host ="},
	{"known, but neither host nor use", "[service.stripe]\nsecret = \"env:A\"", []string{`service "stripe": has neither host nor use`}, `use = "stripe"`},
	{"a legal scheme, and no name for it", "[service.a]\nhost = \"h\"\nauth = \"bearer\"\nsecret = \"vault:x\"", []string{`f.toml:4:10: service "a": secret: secret ref "vault:x": no path below the mount`}, ""},
	{"no auth", "[service.a]\nhost = \"h\"\nsecret = \"env:A\"", []string{`f.toml:1:1: service "a": has no auth (one of: bearer`}, `auth = "bearer"`},
	{"unknown catalogue name", "[service.a]\nuse = \"gihtub\"\nsecret = \"env:A\"", []string{`f.toml:2:7: service "a": use: the catalogue has no "gihtub"`}, `did you mean "github"?`},
	{"own host missing", "[service.a]\nuse = \"vault\"\nsecret = \"env:A\"", []string{`f.toml:2:7: service "a": use: every account of HashiCorp Vault has a host of its own`}, `host = "vault.example.test:8200"`},
	{"user missing", "[service.a]\nuse = \"twilio\"\nsecret = \"env:A\"", []string{`f.toml:2:7: service "a": use: Twilio wants a user name`}, "account SID"},
	{"one host for several", "[service.a]\nuse = \"github\"\nhost = \"ghe.acme.test\"\nsecret = \"env:A\"", []string{`f.toml:3:8: service "a": host: GitHub has several hosts (api.github.com,`}, "auth as well"},
	{"wrong type", "unmatched = 1\ntunnel = [1]\n[service]\na = 1\n[service.b]\ninsecure = \"yes\"\nhost = 1\nauth = 1\ntest = {}", []string{
		`f.toml:1:13: unmatched: want a string, got an integer`,
		`f.toml:2:11: tunnel: want a string, got an integer`,
		`f.toml:4:5: service "a": a: want a table, got an integer`,
		`f.toml:6:12: service "b": insecure: want true or false, got a string`,
		`f.toml:7:8: service "b": host: want a string or a list of strings, got an integer`,
		`f.toml:8:8: service "b": auth: want a string or a table, got an integer`,
		`f.toml:9:8: service "b": test: want a list of tables, got a table`,
	}, ""},
	{"unknown policy", "unmatched = \"denny\"", []string{`f.toml:1:13: unknown unmatched "denny" (one of: allow, warn, ask, deny)`}, `did you mean "deny"?`},
	{"no_proxy for all", "no_proxy = [\"*\"]", []string{`f.toml:1:13: no_proxy: "*" would send everything past the proxy`}, "name the hosts"},
	{"syntax", "[service.a\nhost = 1", []string{`f.toml:1:11: expected '.' or ']' to end table name`}, ""},
	{"defined twice", "[service.a]\n[service.a]", []string{`f.toml:2:`}, ""},
	{"bad shape", "[service.a]\nhost = \"h\"\nauth = \"none\"\nplaceholder = \"x_{a-z:3}\"", []string{`f.toml:4:15: service "a": placeholder shape "x_{a-z:3}": 14 random bits`}, ""},
	{"bad upstream", "[service.a]\nhost = \"h\"\nauth = \"none\"\nupstream = \"staging.test/x\"", []string{`f.toml:4:12: service "a": upstream: not an origin`}, "https://staging"},
	{"bad inject", "[service.a]\nhost = \"h\"\nauth = \"none\"\ninject = \"alway\"", []string{`f.toml:4:10: service "a": unknown inject "alway" (one of: always, asked)`}, `did you mean "always"?`},
	{"bad tests", "[service.a]\nhost = \"h\"\nauth = \"none\"\ntest = [{ status = 200 }, { request = \"GET\" }, { request = \"GET /\", status = 99 }, { request = \"GET /a/../b\" }]", []string{
		`f.toml:4:9: service "a": test: has no request`,
		`f.toml:4:39: service "a": test: request "GET": want a method and a path`,
		`f.toml:4:78: service "a": test: status is not a number from 100 to 599`,
		`f.toml:4:96: service "a": test: request "GET /a/../b": path holds a dot segment`,
	}, `GET /v2/me`},
	{"bad name", "[service.\"a b\"]\nhost = \"h\"", []string{`f.toml:1:1: service value: not a name for a service`}, ""},
	{"binding in a file that is not the user's", "[binding]\n\"env:*\" = [\"h.test\"]", []string{`f.toml:1:1: binding: only your own file may bind secrets to hosts`}, "your own"},
}

func TestProblems(t *testing.T) {
	for _, tt := range badFiles {
		t.Run(tt.name, func(t *testing.T) {
			dir := tree(t, map[string]string{"f.toml": tt.text})
			f, err := Load(Options{Path: filepath.Join(dir, "f.toml"), Dir: dir})
			var got Problems
			if f != nil || !errors.As(err, &got) {
				t.Fatalf("file %v, error %v", f, err)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("%d problems, want %d:\n%v", len(got), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i].Error(), want) {
					t.Errorf("got  %s\nwant %s", got[i], want)
				}
			}
			if !strings.Contains(got.Hint(), tt.hint) {
				t.Errorf("hint %q, want %q in it", got.Hint(), tt.hint)
			}
			if tt.hint == "" && strings.Contains(got.Hint(), "did you mean") {
				t.Errorf("hint %q, and nothing is like it", got.Hint())
			}
			if strings.Contains(err.Error()+got.Hint(), "very-secret") || strings.Contains(err.Error(), "ghp_") {
				t.Errorf("a secret is quoted: %v", err)
			}
		})
	}
}

func TestProblemsAreBounded(t *testing.T) {
	dir := tree(t, map[string]string{"f.toml": strings.Repeat("x", 1) + " = 1\n" + func() (s string) {
		for c := 'a'; c < 'w'; c++ {
			s += string(c) + " = 1\n"
		}
		return s
	}()})
	_, err := Load(Options{Path: filepath.Join(dir, "f.toml")})
	var got Problems
	if !errors.As(err, &got) || len(got) != maxProblems || len(got.Unwrap()) != maxProblems {
		t.Errorf("%d problems", len(got))
	}
}

// A tie between two files names both.
func TestTieAcrossFiles(t *testing.T) {
	dir := tree(t, map[string]string{
		"u/agentvault.toml": svc("a"),
		"p/agentvault.toml": strings.ReplaceAll(svc("b"), "b.test", "a.test"),
	})
	_, err := Load(Options{Dir: filepath.Join(dir, "p"), UserDir: filepath.Join(dir, "u")})
	want := `agentvault.toml:2:8: service "b": covers a.test, as does service "a" at ` + filepath.Join(dir, "u/agentvault.toml") + `:2:8, and neither is more specific`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
