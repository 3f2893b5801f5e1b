package config

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// lack is an error that an example mends.
type lack struct{ text, hint string }

func (l *lack) Error() string { return l.text }

// Hint is the example.
func (l *lack) Hint() string { return l.hint }

// check says what an auth lacks to work.
func (a *Auth) check() error {
	switch a.Type {
	case "header":
		return a.checkHeader()
	case "query", "cookie":
		if a.Name == "" {
			return &lack{fmt.Sprintf("auth %q: has no name", a.Type), fmt.Sprintf(`auth = { type = %q, name = "key" }`, a.Type)}
		}
		if a.Type == "cookie" && !httpguts.ValidHeaderFieldName(a.Name) {
			return fmt.Errorf(`auth "cookie": %q is no name of a cookie`, a.Name)
		}
	case "body":
		if len(a.Fields) == 0 || slices.Contains(a.Fields, "") {
			return &lack{`auth "body": has no fields`, `auth = { type = "body", fields = ["client_secret"] }`}
		}
	case "basic":
		// RFC 7617: a user name holds no colon, so what holds one is a ref.
		if strings.Contains(a.User, ":") {
			if _, err := keyring.ParseRef(a.User); err != nil {
				return fmt.Errorf(`auth "basic": user: %w`, err)
			}
		}
	case "sigv4":
		if a.AccessKeyID.IsZero() {
			return &lack{`auth "sigv4": has no access_key_id`,
				`auth = { type = "sigv4", access_key_id = "keychain:aws-id" }; the service's secret is the secret access key`}
		}
	case "oauth2":
		return a.checkOAuth2()
	case "github-app":
		return a.checkGitHubApp()
	case "gcp":
		return a.checkScopes()
	}
	return nil
}

func (a *Auth) checkHeader() error {
	if a.Name == "" {
		return &lack{`auth "header": has no name`, `auth = { type = "header", name = "X-Api-Key" }`}
	}
	if !httpguts.ValidHeaderFieldName(a.Name) || !mayCarry(a.Name) {
		return fmt.Errorf(`auth "header": %q is not a header that can carry a credential`, a.Name)
	}
	if !httpguts.ValidHeaderFieldValue(a.Prefix) {
		return fmt.Errorf(`auth "header": the prefix holds a control character`)
	}
	return nil
}

// mayCarry leaves out the headers that the proxy itself or the transport owns.
func mayCarry(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Connection", "Content-Length", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Keep-Alive",
		"Proxy-Authorization", "Proxy-Connection", "Expect", "Content-Type", "Content-Encoding":
		return false
	}
	return true
}

func (a *Auth) checkOAuth2() error {
	grants := []string{inject.ClientCredentials, inject.RefreshToken}
	legal := strings.Join(grants, ", ")
	switch {
	case a.Grant == "":
		return &lack{fmt.Sprintf(`auth "oauth2": has no grant (one of: %s)`, legal), `auth = { type = "oauth2", grant = "client_credentials", token_url = "https://...", client_id = "..." }`}
	case !slices.Contains(grants, a.Grant):
		return &lack{fmt.Sprintf(`auth "oauth2": unknown grant %s (one of: %s)`, word(a.Grant), legal), DidYouMean(a.Grant, grants)}
	case a.TokenURL == "":
		return &lack{`auth "oauth2": has no token_url`, "it is where the issuer exchanges the secret for a token, and stands in its documentation"}
	case a.ClientID == "" && a.Grant == inject.ClientCredentials:
		return &lack{`auth "oauth2": has no client_id`, "the service's secret is the client's secret; its id stands here"}
	}
	if _, err := a.tokenHost(); err != nil {
		return err
	}
	return a.checkScopes()
}

// tokenHost is where oauth2 sends the secret. TLS is asked for anywhere but on this
// machine, which is where tests have their issuer.
func (a *Auth) tokenHost() (rule.Host, error) {
	bad := func(problem string) (rule.Host, error) {
		return rule.Host{}, &lack{`auth "oauth2": token_url: ` + problem, `write "https://login.example.test/oauth2/token"`}
	}
	u, err := url.Parse(a.TokenURL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return bad("not a URL of an issuer")
	}
	text := u.Host
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && rule.IsLoopback(u.Hostname()):
		if u.Port() == "" {
			text += ":80"
		}
	default:
		return bad("not https, and the secret is sent there")
	}
	h, err := rule.ParseHost(text)
	if err != nil || h.Wildcard || h.Port == rule.AnyPort {
		return bad("not a URL of an issuer")
	}
	return h, nil
}

func (a *Auth) checkScopes() error {
	for _, s := range a.Scopes {
		if s == "" || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '"' || c == '\\' || c >= 0x7f }) {
			return &lack{fmt.Sprintf("auth %q: a scope is a word without spaces", a.Type), `scopes = ["read", "write"]`}
		}
	}
	return nil
}

func (a *Auth) checkGitHubApp() error {
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	switch {
	case a.AppID == "" || strings.ContainsFunc(a.AppID, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return &lack{`auth "github-app": has no app_id`, "it stands on the app's page, as does its client id, which serves as well"}
	case !digits(a.InstallationID):
		return &lack{`auth "github-app": has no installation_id, which is a number`, "it is the last part of the URL of the installation's settings page"}
	}
	for _, r := range a.Repositories {
		if r == "" || strings.ContainsAny(r, "/ *") {
			return &lack{`auth "github-app": repositories are names without their owner`, `repositories = ["website", "docs"]`}
		}
	}
	return nil
}
