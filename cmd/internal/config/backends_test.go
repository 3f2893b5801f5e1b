package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestBackends(t *testing.T) {
	c := compileText(t, `
[infisical]
site_url         = "https://infisical.acme.test"
identity_id      = "id"
identity_method  = "oidc"
identity_token   = "env:CI_JOB_JWT"
project          = "p-1"
env              = "dev"
path             = "/agents"
[vault]
address   = "https://vault.acme.test:8200"
namespace = "team/a"
ca_cert   = "ca.pem"
role_id   = "r"
secret_id = "keychain:vault-secret-id"
wrapped   = true
mount     = "team/approle"
[aws]
region  = "eu-west-1"
profile = "agents"
`)
	i, v, a := c.Infisical, c.Vault, c.AWS
	if i.SiteURL != "https://infisical.acme.test" || i.IdentityID != "id" || i.IdentityMethod != "oidc" || i.IdentityToken.String() != "env:CI_JOB_JWT" ||
		i.Project != "p-1" || i.Env != "dev" || i.Path != "/agents" || i.Kind != Named || i.Pos.Line != 2 {
		t.Errorf("infisical: %+v", i)
	}
	if v.Address != "https://vault.acme.test:8200" || v.Namespace != "team/a" || v.RoleID != "r" || v.SecretID.String() != "keychain:vault-secret-id" ||
		!v.Wrapped || v.Mount != "team/approle" || v.Kind != Named || v.Pos.Line != 10 {
		t.Errorf("vault: %+v", v)
	}
	if !filepath.IsAbs(v.CACert) || filepath.Base(v.CACert) != "ca.pem" {
		t.Errorf("ca_cert %q, want it beside the file", v.CACert)
	}
	if a.Region != "eu-west-1" || a.Profile != "agents" || a.Kind != Named {
		t.Errorf("aws: %+v", a)
	}
	var own []string
	for _, r := range c.Own() {
		own = append(own, r.String())
	}
	if got := strings.Join(own, " "); got != "env:CI_JOB_JWT keychain:vault-secret-id" {
		t.Errorf("own credentials %s", got)
	}
}

// Each file with one section, the error that it gets, and a part of its hint.
func TestBadBackends(t *testing.T) {
	for _, c := range []struct{ name, text, want, hint string }{
		{"a client secret in the file", "[infisical]\nclient_id = \"a\"\nclient_secret = \"st.very-secret\"",
			`f.toml:3:17: infisical: client_secret: a value does not belong into a file, want a ref (schemes: keychain, file, env, exec)`, `write "keychain:infisical-client-secret"`},
		{"an access token in the file", "[infisical]\naccess_token = \"very-secret\"", `f.toml:2:16: infisical: access_token: a value does not belong`, "keychain:infisical-access-token"},
		{"an identity's token in the file", "[infisical]\nidentity_id = \"a\"\nidentity_method = \"jwt\"\nidentity_token = \"eyJ.very-secret\"", `f.toml:4:18: infisical: identity_token: a value does not`, "keychain:infisical-identity-token"},
		{"a token in the file", "[vault]\ntoken = \"hvs.very-secret\"", `f.toml:2:9: vault: token: a value does not belong into a file`, `agentvault secret set vault-token --host`},
		{"a secret id in the file", "[vault]\nrole_id = \"r\"\nsecret_id = \"very-secret\"", `f.toml:3:13: vault: secret_id: a value does not belong into a file`, "keychain:vault-secret-id"},
		{"a JWT in the file", "[vault]\njwt = \"eyJ.very-secret\"", `f.toml:2:7: vault: jwt: a value does not belong into a file`, "keychain:vault-jwt"},
		{"a credential from the backend itself", "[infisical]\naccess_token = \"infisical:X\"", `access_token: cannot itself come from infisical (schemes: keychain, file, env, exec)`, ""},
		{"a credential from another backend", "[vault]\ntoken = \"aws:x\"", `token: cannot itself come from aws`, ""},
		{"a password in the address", "[vault]\naddress = \"https://u:very-secret@vault.test\"", `f.toml:2:11: vault: address: not an origin`, ""},
		{"unknown key", "[vault]\nadress = \"https://vault.test\"", `f.toml:2:1: vault: unknown key "adress" (one of: address, namespace, ca_cert, token, role_id, secret_id, wrapped, jwt, role, mount)`, `did you mean "address"?`},
		{"two ways", "[vault]\ntoken = \"env:T\"\njwt = \"env:J\"", `f.toml:3:7: vault: jwt: there is token already, another way to sign in`, "keep one"},
		{"two ways to Infisical", "[infisical]\nclient_id = \"a\"\nclient_secret = \"env:A\"\naccess_token = \"env:B\"", `access_token: there is client_id already`, ""},
		{"half a way", "[vault]\nrole_id = \"r\"", `f.toml:2:11: vault: role_id: needs secret_id beside it`, ""},
		{"the other half", "[infisical]\nclient_secret = \"env:A\"", `client_secret: needs client_id beside it`, ""},
		{"wrapped what", "[vault]\nwrapped = true", `wrapped: needs secret_id beside it`, ""},
		{"role of what", "[vault]\nrole = \"r\"", `role: needs jwt beside it`, ""},
		{"mount of what", "[vault]\nmount = \"m\"", `mount: it is where the sign-in`, ""},
		{"mount that climbs", "[vault]\njwt = \"env:J\"\nmount = \"../sys\"", `f.toml:3:9: vault: mount: not a path`, ""},
		{"unknown method", "[infisical]\nidentity_id = \"a\"\nidentity_method = \"k8s\"", `unknown identity_method "k8s" (one of: oidc, jwt, kubernetes, aws, gcp, gcp-iam, azure, ldap)`, ""},
		{"a service account without its key", "[infisical]\nidentity_id = \"a\"\nidentity_method = \"gcp-iam\"", `identity_method: needs identity_key beside it`, ""},
		{"a service account's key in the file", "[infisical]\nidentity_id = \"a\"\nidentity_method = \"gcp-iam\"\nidentity_key = \"{very-secret}\"", `identity_key: a value does not belong into a file`, "keychain:infisical-identity-key"},
		{"a key that nobody asks for", "[infisical]\nidentity_id = \"a\"\nidentity_method = \"gcp\"\nidentity_key = \"keychain:k\"", `identity_key: it is for gcp-iam and ldap`, ""},
		{"a password without its user", "[infisical]\nidentity_id = \"a\"\nidentity_method = \"ldap\"\nidentity_key = \"keychain:k\"", `identity_method: needs identity_user beside it`, ""},
		{"a user that nobody asks for", "[infisical]\nidentity_id = \"a\"\nidentity_method = \"jwt\"\nidentity_token = \"env:T\"\nidentity_user = \"u\"", `identity_user: it is for ldap`, ""},
		{"method without a token", "[infisical]\nidentity_id = \"a\"\nidentity_method = \"oidc\"", `identity_method: needs identity_token beside it`, ""},
		{"token that nobody asks for", "[infisical]\nidentity_id = \"a\"\nidentity_method = \"aws\"\nidentity_token = \"env:T\"", `identity_token: it is for oidc, jwt and kubernetes; aws vouches`, ""},
		{"path", "[infisical]\npath = \"agents\"", `f.toml:2:8: infisical: path: want it to start with /`, "/agents"},
		{"region that is a host", "[aws]\nregion = \"evil.test/\"", `f.toml:2:10: aws: region: not the name of a region`, "eu-west-1"},
		{"empty", "[aws]\nprofile = \"\"", `f.toml:2:11: aws: profile: empty`, ""},
		{"no table", "aws = 1", `f.toml:1:7: aws: want a table, got an integer`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, map[string]string{"f.toml": c.text})
			_, err := Load(Options{Path: filepath.Join(dir, "f.toml"), Dir: dir})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "very-secret") {
				t.Fatalf("got %v\nwant %q", err, c.want)
			}
			if h := hintOf(err); !strings.Contains(h, c.hint) {
				t.Errorf("hint %q, want %q in it", h, c.hint)
			}
		})
	}
}

// Nothing of a section in the user's file survives beside the project's, and a profile of
// the user's that a project chooses is told.
func TestBackendsAreNotMixed(t *testing.T) {
	dir := tree(t, map[string]string{
		"user/agentvault.toml": "[vault]\naddress = \"https://mine.test\"\ntoken = \"keychain:mine\"\n[aws]\nregion = \"eu-west-1\"\nprofile = \"mine\"\n",
		"p/agentvault.toml":    "[vault]\naddress = \"https://theirs.test\"\n[aws]\nprofile = \"admin\"\n",
	})
	f, err := Load(Options{Dir: filepath.Join(dir, "p"), UserDir: filepath.Join(dir, "user")})
	if err != nil {
		t.Fatal(err)
	}
	if f.Vault.Address != "https://theirs.test" || !f.Vault.Token.IsZero() || f.Vault.Kind != Project {
		t.Errorf("vault is mixed: %+v", f.Vault)
	}
	if f.AWS.Region != "" || f.AWS.Kind != Project {
		t.Errorf("aws is mixed: %+v", f.AWS)
	}
	if len(f.Widened) != 1 || f.Widened[0].Key != "profile" || f.Widened[0].Text != "admin" || f.Widened[0].Pos.Line != 3 {
		t.Errorf("widened: %+v", f.Widened)
	}
}

// A whole folder gives each service the key that has the name of its variable.
func TestWholeFolder(t *testing.T) {
	const folder = "\"infisical:*?project=p-1&env=dev&path=/agents\"\n"
	c := compileText(t, "[service.github]\nuse = \"github\"\nsecret = "+folder+
		"[service.stripe]\nuse = \"stripe\"\nsecret = "+folder+"env = [\"STRIPE_TEST_KEY\", \"STRIPE_KEY\"]\n"+
		"[service.billing]\nhost = \"billing.test\"\nauth = \"bearer\"\nenv = [\"BILLING_KEY\"]\nsecret = "+folder)
	var got []string
	for _, s := range c.Services {
		got = append(got, s.Secret.String())
	}
	const rest = "?project=p-1&env=dev&path=/agents"
	if want := "infisical:BILLING_KEY" + rest + " infisical:GITHUB_TOKEN" + rest + " infisical:STRIPE_TEST_KEY" + rest; strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	for _, bad := range []struct{ text, want string }{
		{"[service.a]\nhost = \"a.test\"\nauth = \"bearer\"\nsecret = " + folder, `f.toml:4:10: service "a": secret: a whole folder, and the service has no variable`},
		{"[service.a]\nuse = \"github\"\nenv = []\nsecret = " + folder, `f.toml:4:10: service "a": secret: a whole folder`},
		{"[service.a]\nhost = \"a.test\"\nsecret = \"env:A\"\nauth = { type = \"basic\", user = \"infisical:*?project=p\" }", `f.toml:4:8: service "a": auth: a whole folder`},
	} {
		dir := tree(t, map[string]string{"f.toml": bad.text})
		if _, err := Load(Options{Path: filepath.Join(dir, "f.toml"), Dir: dir}); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("got %v\nwant %q", err, bad.want)
		}
	}
}
