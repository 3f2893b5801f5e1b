// Package config reads agentvault.toml: the user's own file, and over it the file of a
// project or the one that was named. It turns them into rules and injectors, knows the
// catalogue of services, keeps which project files were approved, and writes services
// into a file. It is the only home of the TOML library.
//
// What a file says is never trusted to be right: every error names file, line, column
// and the legal values, and all of a file's errors are reported at once. No error
// holds a value that could be a secret.
package config

import (
	"path/filepath"
	"slices"
	"strconv"

	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// FileName is what a configuration is called, in a project and in the user's folder.
const FileName = "agentvault.toml"

// Options says where to look.
type Options struct {
	Path    string // --config: a file chosen by the human, in place of a project's; "" looks for one
	Dir     string // the working directory, where the search for a project's file begins; "" looks for none
	UserDir string // $XDG_CONFIG_HOME/agentvault; "" is none
	Home    string // the search stops here when Dir lies below it; "" is none
	// Own reports variables of the agent that no service may name; nil for none.
	Own func(variable string) bool
}

// File is what the files say together, checked. A missing file says nothing.
type File struct {
	Unmatched string // "allow", "warn", "ask" or "deny"; "warn" where no file says
	Tunnel    []rule.Host
	NoProxy   []string
	PassEnv   []string  // names and globs
	Services  []Service // by name
	Backends
	Bindings []Binding // from the user's own file alone
	Keeping  Keeping   // of logs; from the user's own file alone
	Sources  []Source  // the user's first
	Widened  []Widening

	unmatchedAt Pos
	listed      map[string][]Widening // entries of lists by key, while a file is read
	own         func(variable string) bool
}

// Widening is something that a project's file opens and the user's own does not. The
// user approved the file, perhaps without seeing it.
type Widening struct {
	Key string // "tunnel", "no_proxy", "pass_env"; "service" for one of the user's that it replaces,
	// "profile" for an AWS profile that it chooses
	Text string // the entry, or the service's name
	Pos  Pos
}

// UnmatchedPos is where unmatched stands; its Line is 0 where no file has it.
func (f *File) UnmatchedPos() Pos { return f.unmatchedAt }

// Service returns the service of that name, or nil.
func (f *File) Service(name string) *Service {
	i := slices.IndexFunc(f.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Services[i]
}

// Kind says who chose a file, and with that whether it needs approval.
type Kind string

// The kinds of files. Only a project's came with a clone and needs approval.
const (
	User    Kind = "user"
	Project Kind = "project"
	Named   Kind = "named"
)

// Source is a file that was read.
type Source struct {
	Path    string // absolute
	Name    string // as Pos.File has it
	Kind    Kind
	Hash    string // SHA-256 in hex, of Content
	Content []byte // the very bytes that were parsed
}

// Pos is a place in a file. Line and column begin with 1; the column counts characters.
type Pos struct {
	File      string // as messages show it: relative to Options.Dir where it lies below
	Line, Col int
}

// String is file:line:column.
func (p Pos) String() string {
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
}

// Service is one [service.NAME].
type Service struct {
	Name   string
	Use    string      // of the catalogue; "" is none
	Hosts  []rule.Host // nil: the catalogue's
	Auth   *Auth       // nil: the catalogue's
	Secret keyring.Ref // zero for auth "none"
	Allow  []rule.Op   // empty allows everything
	Deny   []rule.Op
	Ask    []rule.Op
	Env    []string // nil: the catalogue's; empty and not nil: none
	Inject string   // "always", "asked"; "": the catalogue's, or always
	// Insecure allows the credential over plain HTTP, which the proxy does for loopback only.
	Insecure    bool
	Copies      bool          // a request may hold the placeholder more than once
	Search      inject.Search // nil: the catalogue's; where else the placeholder is looked for
	Placeholder string        // shape, see inject.NewPlaceholder; "": the catalogue's
	Tests       []Test
	Upstream    string // "https://host[:port]": where a test sends the calls instead; "" is the host itself

	Pos    Pos    // of the header
	Source string // Path of the Source that it came from

	at map[string]Pos // of its keys, and of the elements of its lists: "allow", "allow[0]"
}

// At is the position of the first of these keys that the service has, and of its header
// where it has none of them. An element of a list is "allow[0]".
func (s *Service) At(keys ...string) Pos {
	for _, k := range keys {
		if pos, ok := s.at[k]; ok {
			return pos
		}
	}
	return s.Pos
}

// Auth is how the credential is sent. Which fields count depends on Type.
type Auth struct {
	Type        string
	Name        string   // header, query, cookie
	Prefix      string   // header
	User        string   // basic: a literal, or a ref (a user name holds no colon)
	Placeholder string   // path; "" is the session's placeholder
	Fields      []string // body

	AccessKeyID               keyring.Ref // sigv4
	SessionToken              keyring.Ref // sigv4; zero is none
	AllowCredentialOperations bool        // sigv4

	Grant    string   // oauth2: one of inject's
	TokenURL string   // oauth2
	ClientID string   // oauth2
	Scopes   []string // oauth2, gcp

	AppID          string            // github-app
	InstallationID string            // github-app
	Repositories   []string          // github-app: names without the owner; nil is all
	Permissions    map[string]string // github-app; nil is all of the app's
}

// Test is a request that `agentvault test` sends, and what it expects.
type Test struct {
	Method string
	Host   string // "" is the first host of the service
	Path   string // escaped, with its query
	Header map[string]string
	Status int // 0 is any below 400
	JSON   map[string]any
	Pos    Pos
}

// base resolves a path for comparison.
func base(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return filepath.Clean(path)
}
