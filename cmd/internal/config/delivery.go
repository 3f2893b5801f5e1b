package config

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// exchanges reports that a token goes out in the secret's stead.
func (a *Auth) exchanges() bool {
	return a.Type == "oauth2" || a.Type == "github-app" || a.Type == "gcp"
}

// deliver fills in how the credential reaches the service.
func (a *Auth) deliver(e *Endpoint) (err error) {
	e.Auth = a.Type
	switch a.Type {
	case "bearer", "oauth2", "github-app", "gcp":
		e.Inject = inject.Bearer{}
	case "basic":
		if strings.Contains(a.User, ":") {
			e.Inject = inject.Basic{}
			e.BasicUser, err = keyring.ParseRef(a.User)
			return err
		}
		e.Inject = inject.Basic{User: a.User}
	case "header":
		e.Inject = inject.Header{Name: a.Name, Prefix: a.Prefix}
	case "query":
		e.Inject = inject.Query{Name: a.Name}
	case "cookie":
		e.Inject = inject.Cookie{Name: a.Name}
	case "path":
		e.Inject = inject.Path{Placeholder: a.Placeholder}
	case "body":
		e.Inject = inject.Body{Fields: a.Fields}
	case "sigv4":
		e.Inject = inject.SigV4{AllowCredentialOperations: a.AllowCredentialOperations}
		e.AccessKeyID, e.SessionToken = a.AccessKeyID, a.SessionToken
	case "mtls":
		e.Inject, e.ClientCert = inject.None{}, true
	case "none":
		e.Inject = inject.None{}
	default:
		return fmt.Errorf("unknown auth %s (one of: %s)", word(a.Type), strings.Join(authTypes(), ", "))
	}
	return nil
}

// exchange makes what exchanges the secret; hosts are the service's.
func (a *Auth) exchange(hosts []rule.Host) func(inject.Doer) inject.Source {
	switch a.Type {
	case "oauth2":
		return func(d inject.Doer) inject.Source {
			return &inject.OAuth2{Grant: a.Grant, TokenURL: a.TokenURL, ClientID: a.ClientID, Scopes: a.Scopes, Client: d}
		}
	case "github-app":
		api := githubAPI(hosts)
		return func(d inject.Doer) inject.Source {
			return &inject.GitHubApp{AppID: a.AppID, InstallationID: a.InstallationID, Repositories: a.Repositories,
				Permissions: a.Permissions, API: api, Client: d}
		}
	case "gcp":
		return func(d inject.Doer) inject.Source { return &inject.GCP{Scopes: a.Scopes, Client: d} }
	}
	return nil
}

// githubAPI is where an installation token is asked for: api.github.com, or the host of
// the service where that is a server of one's own. GitHub documents https://HOST/api/v3
// for Enterprise Server and https://api.NAME.ghe.com for Enterprise Cloud.
func githubAPI(hosts []rule.Host) string {
	public := func(h rule.Host) bool { return h.Name == "github.com" || strings.HasSuffix(h.Name, ".github.com") }
	own := slices.IndexFunc(hosts, func(h rule.Host) bool { return !h.Wildcard })
	if own < 0 || slices.ContainsFunc(hosts, public) {
		return ""
	}
	h := rule.Host{Name: hosts[own].Name, Port: max(hosts[own].Port, 0)}
	if strings.HasPrefix(h.Name, "api.") {
		return "https://" + h.String()
	}
	return "https://" + h.String() + "/api/v3"
}

// Slot says for people where the credential goes: "header Authorization (Bearer)".
func (e Endpoint) Slot() string {
	switch in := e.Inject.(type) {
	case inject.Bearer:
		return "header Authorization (Bearer)"
	case inject.Basic:
		return "header Authorization (Basic)"
	case inject.Header:
		return "header " + http.CanonicalHeaderKey(in.Name)
	case inject.Query:
		return "query " + in.Name
	case inject.Cookie:
		return "cookie " + in.Name
	case inject.Path:
		return "path, in place of the placeholder"
	case inject.Body:
		return "body " + strings.Join(in.Fields, ", ")
	case inject.SigV4:
		return "header Authorization (SigV4)"
	}
	if e.ClientCert {
		return "the client certificate of the connection"
	}
	return ""
}

// slots are the places of a credential in which a placeholder is not looked for by itself. A
// service that waits for the placeholder would never be asked without them.
func (a *Auth) slots() (out inject.Search) {
	switch a.Type {
	case "header":
		out = inject.Search{{In: "header", Name: a.Name}}
	case "path":
		out = inject.Search{{In: "path"}}
	case "body":
		for _, field := range a.Fields {
			out = append(out, inject.Place{In: "body", Name: field})
		}
	}
	return out
}
