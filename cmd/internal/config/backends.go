package config

import (
	"path/filepath"
	"slices"
	"strings"

	"agentvault/keyring"
)

// Backends are the sections of secret backends. Each comes whole from one file, never
// mixed: a project must not be able to send the credentials of the user's file to a server
// of its own.
type Backends struct {
	Infisical Infisical
	Vault     Vault
	AWS       AWS
}

// Section is where a backend's section stands. It is zero where no file has one.
type Section struct {
	Pos  Pos
	Kind Kind // of the file: a project's does not speak for the user's own logins
}

// Infisical is [infisical]. One way to sign in is set, or none: ClientID and ClientSecret,
// AccessToken, or Identity.
type Infisical struct {
	Section
	SiteURL            string // "" is Infisical's own cloud in the US
	ClientID           string
	ClientSecret       keyring.Ref
	AccessToken        keyring.Ref
	IdentityID         string
	IdentityMethod     string // one of IdentityMethods
	IdentityToken      keyring.Ref
	IdentityKey        keyring.Ref // gcp-iam, ldap
	IdentityUser       string      // ldap
	IdentityResource   string      // azure
	Project, Env, Path string      // complete refs that do not name them
}

// IdentityMethods are the ways in which a machine identity signs in with what something
// else says of it.
func IdentityMethods() []string {
	return []string{"oidc", "jwt", "kubernetes", "aws", "gcp", "gcp-iam", "azure", "ldap"}
}

// Vault is [vault]. One way to sign in is set, or none: Token, RoleID and SecretID, or JWT.
type Vault struct {
	Section
	Address   string // "" is VAULT_ADDR
	Namespace string
	CACert    string // absolute
	Token     keyring.Ref
	RoleID    string
	SecretID  keyring.Ref
	Wrapped   bool // SecretID is a token that wraps it
	JWT       keyring.Ref
	Role      string
	Mount     string // of the AppRole or JWT sign-in
}

// AWS is [aws].
type AWS struct {
	Section
	Region, Profile string
}

// Own are the refs of the backends' own credentials.
func (b Backends) Own() []keyring.Ref {
	all := []keyring.Ref{b.Infisical.ClientSecret, b.Infisical.AccessToken, b.Infisical.IdentityToken, b.Infisical.IdentityKey, b.Vault.Token, b.Vault.SecretID, b.Vault.JWT}
	return slices.DeleteFunc(all, keyring.Ref.IsZero)
}

func readBackends(keys map[string]node, src Source) (b Backends) {
	if n, ok := keys["infisical"]; ok {
		b.Infisical = n.infisical()
		b.Infisical.Section = Section{n.keyPos(), src.Kind}
	}
	if n, ok := keys["vault"]; ok {
		b.Vault = n.vault(filepath.Dir(src.Path))
		b.Vault.Section = Section{n.keyPos(), src.Kind}
	}
	if n, ok := keys["aws"]; ok {
		b.AWS = n.aws()
		b.AWS.Section = Section{n.keyPos(), src.Kind}
	}
	return b
}

// merge lays the sections of an upper file over b.
func (b *Backends) merge(upper Backends) {
	if upper.Infisical.Pos.Line > 0 {
		b.Infisical = upper.Infisical
	}
	if upper.Vault.Pos.Line > 0 {
		b.Vault = upper.Vault
	}
	if upper.AWS.Pos.Line > 0 {
		b.AWS = upper.AWS
	}
}

func (n node) infisical() (out Infisical) {
	n.subject = "infisical: "
	s, ok := n.section("site_url", "client_id", "client_secret", "access_token",
		"identity_id", "identity_method", "identity_token", "identity_key", "identity_user", "identity_resource", "project", "env", "path")
	if !ok {
		return out
	}
	out = Infisical{
		SiteURL: s.origin("site_url"), ClientID: s.text("client_id"), ClientSecret: s.credential("client_secret"), AccessToken: s.credential("access_token"),
		IdentityID: s.text("identity_id"), IdentityToken: s.credential("identity_token"),
		IdentityKey: s.credential("identity_key"), IdentityUser: s.text("identity_user"), IdentityResource: s.text("identity_resource"),
		Project: s.text("project"), Env: s.text("env"), Path: s.text("path"),
	}
	if v, ok := s.keys["identity_method"]; ok {
		out.IdentityMethod = v.oneOf(IdentityMethods()...)
	}
	s.oneWay([]string{"client_id", "client_secret"}, []string{"access_token"}, []string{"identity_method", "identity_id"})
	s.needs("identity_token", "identity_method")
	s.needs("identity_key", "identity_method")
	s.needs("identity_user", "identity_method")
	s.needs("identity_resource", "identity_method")
	switch out.IdentityMethod {
	case "oidc", "jwt":
		s.needs("identity_method", "identity_token")
	case "aws", "gcp", "azure":
		s.refuses("identity_token", "it is for oidc, jwt and kubernetes; "+out.IdentityMethod+" vouches for the machine itself")
	case "gcp-iam":
		s.needs("identity_method", "identity_key")
		s.refuses("identity_token", "it is for oidc, jwt and kubernetes; gcp-iam has identity_key, the key of a service account")
	case "ldap":
		s.needs("identity_method", "identity_key")
		s.needs("identity_method", "identity_user")
		s.refuses("identity_token", "it is for oidc, jwt and kubernetes; ldap has identity_user and identity_key, the password")
	}
	if m := out.IdentityMethod; m != "" && m != "gcp-iam" && m != "ldap" {
		s.refuses("identity_key", "it is for gcp-iam and ldap")
	}
	if out.IdentityMethod != "ldap" && out.IdentityMethod != "" {
		s.refuses("identity_user", "it is for ldap")
	}
	if out.IdentityMethod != "azure" && out.IdentityMethod != "" {
		s.refuses("identity_resource", "it is for azure")
	}
	if out.Path != "" && !strings.HasPrefix(out.Path, "/") {
		s.keys["path"].fail(`write "/agents"`, "path: want it to start with /")
	}
	return out
}

func (n node) vault(dir string) (out Vault) {
	n.subject = "vault: "
	s, ok := n.section("address", "namespace", "ca_cert", "token", "role_id", "secret_id", "wrapped", "jwt", "role", "mount")
	if !ok {
		return out
	}
	out = Vault{
		Address: s.origin("address"), Namespace: s.text("namespace"), CACert: s.text("ca_cert"), Token: s.credential("token"),
		RoleID: s.text("role_id"), SecretID: s.credential("secret_id"), JWT: s.credential("jwt"), Role: s.text("role"), Mount: s.text("mount"),
	}
	if v, ok := s.keys["wrapped"]; ok {
		out.Wrapped = v.boolean()
	}
	if out.CACert != "" && !filepath.IsAbs(out.CACert) {
		out.CACert = filepath.Join(dir, out.CACert)
	}
	s.oneWay([]string{"token"}, []string{"role_id", "secret_id"}, []string{"jwt"})
	s.needs("wrapped", "secret_id")
	s.needs("role", "jwt")
	if _, ok := s.keys["mount"]; ok && out.SecretID.IsZero() && out.JWT.IsZero() {
		s.keys["mount"].fail("", "mount: it is where the sign-in of role_id or jwt is mounted, and there is none")
	}
	if m := out.Mount; m != "" && !isMount(m) {
		s.keys["mount"].fail(`write "approle" or "ci/jwt"`, "mount: not a path of letters, digits, '.', '_' and '-'")
	}
	return out
}

// isMount keeps a mount within the path that it becomes a part of.
func isMount(s string) bool {
	for segment := range strings.SplitSeq(s, "/") {
		if keyring.CheckName(segment) != nil || strings.Trim(segment, ".") == "" {
			return false
		}
	}
	return true
}

func (n node) aws() (out AWS) {
	n.subject = "aws: "
	s, ok := n.section("region", "profile")
	if !ok {
		return out
	}
	out = AWS{Region: s.text("region"), Profile: s.text("profile")}
	// A region becomes a part of the name of the server.
	if strings.Trim(out.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		s.keys["region"].fail(`write "eu-west-1"`, "region: not the name of a region")
	}
	return out
}

// section is the section of a backend while it is read.
type section struct {
	node
	keys map[string]node
}

func (n node) section(legal ...string) (section, bool) {
	keys, ok := n.table(legal...)
	return section{n, keys}, ok
}

// text reads a string that may not be empty; "" where the key is missing.
func (s section) text(key string) string {
	v, ok := s.keys[key]
	if !ok {
		return ""
	}
	text, ok := v.str()
	if ok && (text == "" || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f })) {
		v.fail("", "%s: empty, or with a control character", key)
	}
	return text
}

func (s section) origin(key string) string {
	v, ok := s.keys[key]
	if !ok {
		return ""
	}
	return v.origin()
}

// credential reads a ref to a credential of the backend's own. A value is refused and not
// quoted.
func (s section) credential(key string) keyring.Ref {
	v, ok := s.keys[key]
	if !ok {
		return keyring.Ref{}
	}
	text, ok := v.str()
	if !ok {
		return keyring.Ref{}
	}
	r, err := keyring.ParseRef(text)
	switch name := s.key() + "-" + strings.ReplaceAll(key, "_", "-"); {
	case err != nil:
		v.fail(`store it with "agentvault secret set `+name+` --host SERVER" and write "keychain:`+name+`"`,
			"%s: a value does not belong into a file, want a ref (schemes: %s)", key, strings.Join(ownSchemes(), ", "))
		return keyring.Ref{}
	case !slices.Contains(ownSchemes(), r.Scheme):
		v.fail("", "%s: cannot itself come from %s (schemes: %s)", key, r.Scheme, strings.Join(ownSchemes(), ", "))
		return keyring.Ref{}
	}
	return r
}

// ownSchemes are the backends that need no credential of their own.
func ownSchemes() []string { return []string{"keychain", "file", "env", "exec"} }

// oneWay reports a second way to sign in, and a way of which a part is missing. Of each way
// all keys are needed.
func (s section) oneWay(ways ...[]string) {
	taken := ""
	for _, way := range ways {
		i := slices.IndexFunc(way, func(k string) bool { _, ok := s.keys[k]; return ok })
		if i < 0 {
			continue
		}
		if taken != "" {
			s.keys[way[i]].fail("keep one of them", "%s: there is %s already, another way to sign in", way[i], taken)
			continue
		}
		taken = way[i]
		for _, k := range way {
			s.needs(taken, k)
		}
	}
}

// needs reports that key is there and what it needs is not.
func (s section) needs(key, needed string) {
	v, ok := s.keys[key]
	if _, there := s.keys[needed]; ok && !there {
		v.fail("", "%s: needs %s beside it", key, needed)
	}
}

// refuses reports a key that has no business here.
func (s section) refuses(key, why string) {
	if v, ok := s.keys[key]; ok {
		v.fail("remove it", "%s: %s", key, why)
	}
}
