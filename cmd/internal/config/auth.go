package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"agentvault/keyring"
)

// authTypes lists the types, the common ones first.
func authTypes() []string {
	return []string{"bearer", "basic", "header", "query", "cookie", "path", "body", "sigv4", "oauth2", "github-app", "gcp", "mtls", "none"}
}

// authKeys lists the keys of a type beside `type`.
func authKeys(kind string) []string {
	switch kind {
	case "basic":
		return []string{"user"}
	case "header":
		return []string{"name", "prefix"}
	case "query", "cookie":
		return []string{"name"}
	case "path":
		return []string{"placeholder"}
	case "body":
		return []string{"fields"}
	case "sigv4":
		return []string{"access_key_id", "session_token", "allow_credential_operations"}
	case "oauth2":
		return []string{"grant", "token_url", "client_id", "scopes"}
	case "github-app":
		return []string{"app_id", "installation_id", "repositories", "permissions"}
	case "gcp":
		return []string{"scopes"}
	}
	return nil
}

// auth reads `"bearer"` or `{ type = "header", name = "X-Api-Key" }`; nil after an error.
func (n node) auth() *Auth {
	before := len(n.doc.list)
	keys := map[string]node{}
	kind := n
	if _, ok := n.v.(map[string]any); ok {
		keys, _ = n.table()
		if kind, ok = keys["type"]; !ok {
			n.fail("", "auth: has no type (one of: %s)", strings.Join(authTypes(), ", "))
			return nil
		}
	}
	s, ok := kind.v.(string)
	if !ok {
		kind.wrongType("a string or a table")
		return nil
	}
	if !slices.Contains(authTypes(), s) {
		kind.fail(DidYouMean(s, authTypes()), "unknown auth %s (one of: %s)", word(s), strings.Join(authTypes(), ", "))
		return nil
	}
	if len(keys) > 0 {
		keys, _ = n.table(append([]string{"type"}, authKeys(s)...)...) // reports the others
	}
	a := &Auth{Type: s}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		a.set(k, keys[k])
	}
	if len(n.doc.list) > before {
		return nil
	}
	if err := a.check(); err != nil {
		n.fail(hintOf(err), "%s", err)
		return nil
	}
	return a
}

// set reads the value of one key.
func (a *Auth) set(key string, v node) {
	switch key {
	case "name":
		a.Name, _ = v.str()
	case "prefix":
		a.Prefix, _ = v.str()
	case "user":
		a.User, _ = v.str()
	case "placeholder":
		a.Placeholder, _ = v.str()
	case "fields":
		a.Fields = v.strings()
	case "access_key_id":
		a.AccessKeyID = v.idRef()
	case "session_token":
		a.SessionToken = v.idRef()
	case "allow_credential_operations":
		a.AllowCredentialOperations = v.boolean()
	case "grant":
		a.Grant, _ = v.str()
	case "token_url":
		a.TokenURL, _ = v.str()
	case "client_id":
		a.ClientID, _ = v.str()
	case "scopes":
		a.Scopes = v.strings()
	case "app_id":
		a.AppID = v.id()
	case "installation_id":
		a.InstallationID = v.id()
	case "repositories":
		a.Repositories = v.strings()
	case "permissions":
		a.Permissions = v.permissions()
	}
}

func (n node) strings() (out []string) {
	for _, e := range n.words(false) {
		out = append(out, e.v.(string))
	}
	return out
}

// idRef reads a ref where people are tempted to write the value: the id of a key is no
// secret of itself, but a file that holds it says whose secret to look for.
func (n node) idRef() keyring.Ref {
	s, ok := n.str()
	if !ok {
		return keyring.Ref{}
	}
	r, err := keyring.ParseRef(s)
	if err != nil {
		n.fail("store it beside the secret and write a ref, such as \"keychain:aws-id\"", "%s: %s", n.key(), err)
	}
	return r
}

// id reads what people write with quotes and without.
func (n node) id() string {
	if i, ok := n.v.(int64); ok {
		return strconv.FormatInt(i, 10)
	}
	s, ok := n.v.(string)
	if !ok {
		n.wrongType("a number or a string")
	}
	return s
}

// permissions reads `{ contents = "read" }`.
func (n node) permissions() map[string]string {
	keys, _ := n.table()
	out := map[string]string{}
	for k, v := range keys {
		out[k] = v.oneOf("read", "write", "admin")
	}
	return out
}
