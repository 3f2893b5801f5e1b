package config

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"agentvault/keyring"
	"agentvault/proxy/inject"
)

const signing = `
[service.aws]
use    = "aws"
host   = ["*.eu-west-1.amazonaws.com", "*.s3.eu-west-1.amazonaws.com"]
auth   = { type = "sigv4", access_key_id = "keychain:aws-id", session_token = "env:AWS_TOKEN", allow_credential_operations = true }
secret = "keychain:aws"
[service.client]
host   = "crm.test"
auth   = { type = "oauth2", grant = "client_credentials", token_url = "https://login.test:8443/t?x=1", client_id = "me", scopes = ["a", "b"] }
secret = "keychain:crm"
[service.refresh]
host   = "mail.test"
auth   = { type = "oauth2", grant = "refresh_token", token_url = "http://127.0.0.1/t" }
secret = "keychain:mail"
[service.hub]
use    = "github"
auth   = { type = "github-app", app_id = 12, installation_id = "34", repositories = ["site"], permissions = { contents = "read" } }
secret = "keychain:app"
[service.ghe]
host   = "ghe.test:8443"
auth   = { type = "github-app", app_id = "Iv1.x", installation_id = 34 }
secret = "keychain:app"
[service.gcp]
use    = "gcp"
secret = "keychain:gcp"
[service.cert]
host   = "bank.test"
auth   = "mtls"
secret = "keychain:pem"
`

func TestExchangesAndSignatures(t *testing.T) {
	c := compileText(t, signing)
	by := map[string]CompiledService{}
	for _, s := range c.Services {
		by[s.Name] = s
	}
	var refs []string
	for _, r := range c.Refs {
		refs = append(refs, r.String())
	}
	if want := []string{"keychain:aws", "keychain:aws-id", "env:AWS_TOKEN", "keychain:pem", "keychain:crm", "keychain:gcp", "keychain:app", "keychain:mail"}; !slices.Equal(refs, want) {
		t.Errorf("refs %q, want %q", refs, want)
	}

	aws := by["aws"].Endpoints[0]
	if in, ok := aws.Inject.(inject.SigV4); !ok || !in.AllowCredentialOperations || in.AccessKeyID != "" {
		t.Errorf("aws: %#v", aws.Inject)
	}
	if aws.AccessKeyID.String() != "keychain:aws-id" || aws.SessionToken.String() != "env:AWS_TOKEN" || by["aws"].Exchange != nil || aws.Auth != "sigv4" {
		t.Errorf("aws: %+v", aws)
	}
	if m := c.Rules.Match("bucket.s3.eu-west-1.amazonaws.com", 443, "PUT", "/x"); m.Service != "aws" {
		t.Errorf("a bucket: %+v", m)
	}
	if cert := by["cert"].Endpoints[0]; !cert.ClientCert || cert.Inject != (inject.None{}) || !cert.Always {
		t.Errorf("cert: %+v", cert)
	}

	for name, want := range map[string]inject.Source{
		"client":  &inject.OAuth2{Grant: "client_credentials", TokenURL: "https://login.test:8443/t?x=1", ClientID: "me", Scopes: []string{"a", "b"}},
		"refresh": &inject.OAuth2{Grant: "refresh_token", TokenURL: "http://127.0.0.1/t"},
		"hub":     &inject.GitHubApp{AppID: "12", InstallationID: "34", Repositories: []string{"site"}, Permissions: map[string]string{"contents": "read"}},
		"ghe":     &inject.GitHubApp{AppID: "Iv1.x", InstallationID: "34", API: "https://ghe.test:8443/api/v3"},
		"gcp":     &inject.GCP{},
	} {
		if by[name].Exchange == nil {
			t.Errorf("%s: no exchange", name)
			continue
		}
		if got := by[name].Exchange(nil); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if by[name].Endpoints[0].Inject != (inject.Bearer{}) {
			t.Errorf("%s: the token goes as %#v", name, by[name].Endpoints[0].Inject)
		}
	}
	for name, want := range map[string]string{"client": "login.test:8443", "refresh": "127.0.0.1:80", "hub": "", "gcp": "", "cert": ""} {
		if got := by[name].TokenHost.String(); got != want {
			t.Errorf("%s: the secret itself goes to %q, want %q", name, got, want)
		}
	}
	// git takes an installation's token as a password.
	m := c.Rules.Match("github.com", 443, "POST", "/acme/site/git-upload-pack")
	if e := by["hub"].Endpoints[m.Endpoint]; e.Inject != (inject.Basic{User: "x-access-token"}) || e.Auth != "github-app" || e.Always {
		t.Errorf("git: %+v", e)
	}
}

// An exchanged token goes as a bearer wherever a header takes it, also where the
// catalogue has another slot for the keys of people.
func TestTokensGoAsBearer(t *testing.T) {
	c := compileText(t, "[service.lab]\nuse = \"gitlab\"\nauth = { type = \"oauth2\", grant = \"refresh_token\", token_url = \"https://gitlab.com/oauth/token\" }\nsecret = \"keychain:lab\"\n")
	for path, want := range map[string]inject.Injector{"/api/v4/user": inject.Bearer{}, "/acme/site.git/info/refs": inject.Basic{User: "oauth2"}} {
		m := c.Rules.Match("gitlab.com", 443, "GET", path)
		if got := c.Services[0].Endpoints[m.Endpoint].Inject; m.Service != "lab" || got != want {
			t.Errorf("%s: %#v, want %#v", path, got, want)
		}
	}
}

// doer answers as an issuer does and keeps what it was asked.
type doer struct{ asked string }

func (d *doer) Do(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	d.asked = req.URL.String() + " " + string(body)
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"access_token":"short-lived","expires_in":60}`)), Request: req}, err
}

func TestExchangeAsksTheIssuer(t *testing.T) {
	c := compileText(t, signing)
	i := slices.IndexFunc(c.Services, func(s CompiledService) bool { return s.Name == "client" })
	d := &doer{}
	token, _, err := c.Services[i].Exchange(d).Token(context.Background(), keyring.NewSecret([]byte("s3cret-of-the-client")))
	if err != nil || token.Reveal() != "short-lived" {
		t.Fatalf("%v, %v", token, err)
	}
	if want := "https://login.test:8443/t?x=1 grant_type=client_credentials&scope=a+b"; d.asked != want {
		t.Errorf("asked %q, want %q", d.asked, want)
	}
}

// What is written loads as what it was.
func TestAuthTOML(t *testing.T) {
	dir := tree(t, map[string]string{"a.toml": signing})
	f, err := Load(Options{Path: filepath.Join(dir, "a.toml")})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, s := range f.Services {
		text.WriteString(ServiceTOML(s) + "\n")
	}
	dir = tree(t, map[string]string{"a.toml": text.String()})
	again, err := Load(Options{Path: filepath.Join(dir, "a.toml")})
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	for i, s := range f.Services {
		if !reflect.DeepEqual(s.Auth, again.Services[i].Auth) {
			t.Errorf("%s: %+v is written as %+v", s.Name, s.Auth, again.Services[i].Auth)
		}
	}
}

func TestSlots(t *testing.T) {
	c := compileText(t, signing+`
[service.other]
host   = "o.test"
auth   = { type = "header", name = "x-api-key" }
secret = "keychain:o"
[service.open]
host   = "open.test"
auth   = "none"
`)
	for name, want := range map[string]string{
		"aws": "header Authorization (SigV4)", "hub": "header Authorization (Bearer)", "cert": "the client certificate of the connection",
		"other": "header X-Api-Key", "open": "",
	} {
		i := slices.IndexFunc(c.Services, func(s CompiledService) bool { return s.Name == name })
		if got := c.Services[i].Endpoints[0].Slot(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestGitHubAPI(t *testing.T) {
	for host, want := range map[string]string{
		"api.github.com": "", "github.com": "", "uploads.github.com": "", "*.github.com": "",
		"ghe.test": "https://ghe.test/api/v3", "ghe.test:443/api/v3/**": "https://ghe.test:443/api/v3", "api.acme.ghe.com": "https://api.acme.ghe.com",
		"ghe.test:*": "https://ghe.test/api/v3",
	} {
		c := compileText(t, "[service.x]\nhost = \""+host+"\"\nauth = { type = \"github-app\", app_id = 1, installation_id = 2 }\nsecret = \"env:K\"\n")
		if got := c.Services[0].Exchange(nil).(*inject.GitHubApp).API; got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}
