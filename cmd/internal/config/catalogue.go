package config

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"

	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

//go:embed services.toml
var servicesTOML string

// Entry is a service of the catalogue: facts from its provider's public documentation.
// Its JSON is what `services --json` prints.
type Entry struct {
	Name      string          `toml:"-" json:"name"`
	Title     string          `toml:"title" json:"title"`
	Kind      string          `toml:"kind" json:"kind"` // llm, code, payments, ...: how lists group it
	Endpoints []EntryEndpoint `toml:"endpoint" json:"endpoints"`
	// OwnHost is an example for services of which every account or installation has a
	// host of its own. Where it is all there is, a user of the entry has to say host:
	// a wildcard over other people's tenants would hand them the credential.
	OwnHost string `toml:"own_host" json:"own_host,omitempty"`
	// TestHosts are those of the hosts behind which nothing is real: the provider's
	// sandbox. A row that has some says with it that its other hosts are the real world.
	TestHosts []string `toml:"test_hosts" json:"test_hosts,omitempty"`
	Env       []string `toml:"env" json:"env,omitempty"` // what the provider's SDKs and tools read
	// Files are where the provider's tools keep what they are logged in with, which is
	// why nobody but those tools opens them: "~/.fly/config.yml", or below a variable
	// that names a folder, "$XDG_CONFIG_HOME/gh/hosts.yml".
	Files []string `toml:"files" json:"files,omitempty"`
	Keys  []string `toml:"keys" json:"keys,omitempty"` // regular expressions of whole keys
	// Marks are texts with which this provider's keys begin, and no other's; one between
	// two * stands inside. A key with one of them that is also one of Keys is plainly of
	// this provider, see IsPlainly.
	Marks []string `toml:"marks" json:"marks,omitempty"`
	// IDs are regular expressions of what stands beside a key and is none: the public half of
	// a pair. One in the place of a key is a mistake.
	IDs []string `toml:"ids" json:"ids,omitempty"`
	// Labels tell a key that acts on the real world from one that does not, by regular
	// expressions of whole keys: "live" and "test" are the labels.
	Labels map[string]string `toml:"labels" json:"labels,omitempty"`
	Shape  string            `toml:"shape" json:"shape,omitempty"`
	// Identity is a request that changes nothing and answers 200 to a good credential.
	Identity        string            `toml:"identity" json:"identity,omitempty"`
	IdentityHeaders map[string]string `toml:"identity_headers" json:"identity_headers,omitempty"`
	IdentityJSON    map[string]any    `toml:"identity_json" json:"identity_json,omitempty"` // where 200 alone says nothing
	// Refusals are answers by which the provider refuses a credential with another status
	// than 401 and 403: "400 API_KEY_INVALID" is the status and a text in the body,
	// `200 {"ok": false}` the status and members of the JSON object that the body is.
	Refusals []string `toml:"refusals" json:"refusals,omitempty"`
	// Read lists the operations that only read where that is more than GET and HEAD.
	Read []string `toml:"read" json:"read,omitempty"`
	// Resources are where the provider's addresses name things, see Resource. Pages are
	// first segments of paths that are none of them.
	Resources []string `toml:"resources" json:"resources,omitempty"`
	Pages     []string `toml:"pages" json:"pages,omitempty"`
	Note      string   `toml:"note" json:"note,omitempty"`
	Docs      string   `toml:"docs" json:"docs"`
	// Source is where the facts of this row stand. Verified says that they were read
	// there, and which; nil means that the row was written from knowledge.
	Source   string    `toml:"source" json:"source"`
	Verified *Verified `toml:"verified" json:"verified,omitempty"`
}

// Verified says that facts of a row were compared with its source.
type Verified struct {
	On string   `toml:"on" json:"on"` // the month, 2006-01
	Of []string `toml:"of" json:"of"` // which: hosts, auth, env, keys, identity
}

// EntryEndpoint is one place of an entry.
type EntryEndpoint struct {
	Hosts  []string  `toml:"hosts" json:"hosts,omitempty"` // empty with OwnHost
	Paths  []string  `toml:"paths" json:"paths,omitempty"` // with OwnHost: the paths of this endpoint
	Inject string    `toml:"inject" json:"inject"`
	Auth   EntryAuth `toml:"auth" json:"auth"`
	Search []string  `toml:"search" json:"search,omitempty"` // see inject.ParsePlace
}

func (ep EntryEndpoint) search() (inject.Search, error) {
	var out inject.Search
	for _, s := range ep.Search {
		p, err := inject.ParsePlace(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// EntryAuth is Auth as the catalogue writes it. What only the user can know is "?" for a
// user name, and an example with YOUR- in it elsewhere: the user's file has to say auth.
type EntryAuth struct {
	Type        string   `toml:"type" json:"type"`
	Name        string   `toml:"name" json:"name,omitempty"`
	Prefix      string   `toml:"prefix" json:"prefix,omitempty"`
	User        string   `toml:"user" json:"user,omitempty"`
	Fields      []string `toml:"fields" json:"fields,omitempty"`
	AccessKeyID string   `toml:"access_key_id" json:"access_key_id,omitempty"`
}

func (a EntryAuth) auth() *Auth {
	id, _ := keyring.ParseRef(a.AccessKeyID) // an example; a test parses every row
	return &Auth{Type: a.Type, Name: a.Name, Prefix: a.Prefix, User: a.User, Fields: a.Fields, AccessKeyID: id}
}

// Slot says for people where the credential goes: "header X-Api-Key".
func (a EntryAuth) Slot() string {
	var e Endpoint
	if a.example().deliver(&e) != nil { // a test delivers every row's
		return a.Type
	}
	slot := e.Slot()
	if a.Prefix != "" {
		slot += fmt.Sprintf(" (%s...)", a.Prefix)
	}
	if a.Type == "gcp" {
		slot += ", a token made from a service account's key"
	}
	return slot
}

// lacks says, for messages, what the user's file has to say; "" is nothing.
func (a EntryAuth) lacks() string {
	switch {
	case a.User == "?":
		return "a user name"
	case strings.Contains(a.AccessKeyID, "YOUR-"):
		return "an access_key_id"
	}
	return ""
}

// example is what the user's file could say.
func (a EntryAuth) example() *Auth {
	if a.User == "?" {
		a.User = "..."
	}
	return a.auth()
}

// catalogue is parsed once and never changes. The text is a part of the program, so
// that it parses is a test's business.
var catalogue = sync.OnceValues(parseCatalogue)

func parseCatalogue() (map[string]Entry, error) {
	entries := map[string]Entry{}
	md, err := toml.Decode(servicesTOML, &entries)
	if err != nil {
		return nil, err
	}
	if extra := md.Undecoded(); len(extra) > 0 {
		return nil, fmt.Errorf("services.toml: unknown key %s", extra[0])
	}
	for name, e := range entries {
		e.Name = name
		entries[name] = e
	}
	return entries, nil
}

// Catalogue returns every entry, by name.
func Catalogue() []Entry {
	entries, _ := catalogue()
	out := make([]Entry, 0, len(entries))
	for _, e := range entries {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Lookup returns the entry of that name. It parses that row alone: a session names a
// few services at its start, and the whole file takes 13 ms.
func Lookup(name string) (Entry, bool) {
	if !isServiceName(name) {
		return Entry{}, false
	}
	_, row, ok := strings.Cut(servicesTOML, "\n["+name+"]\n")
	if !ok {
		return Entry{}, false
	}
	row, _, _ = strings.Cut(row, "\n[") // no other line of the file begins with a bracket
	e := Entry{Name: name}
	_, err := toml.Decode(row, &e)
	return e, err == nil
}

func catalogueNames() []string {
	var out []string
	for _, e := range Catalogue() {
		out = append(out, e.Name)
	}
	return out
}

// ForHost returns the entry that the host belongs to, also one of which each account
// has a host of its own below the provider's domain. An entry that shares its host with
// another by path is not told apart here; the first by name is returned.
func ForHost(host string, port int) (Entry, bool) {
	for _, e := range Catalogue() {
		if e.covers(host, port) {
			return e, true
		}
	}
	for _, e := range Catalogue() {
		if _, suffix, ok := strings.Cut(e.OwnHost, "."); ok && strings.HasPrefix(e.OwnHost, "YOUR") {
			if h, err := rule.ParseHost("*." + suffix); err == nil && h.Match(host, port) {
				return e, true
			}
		}
	}
	return Entry{}, false
}

func (e Entry) covers(host string, port int) bool {
	for _, ep := range e.Endpoints {
		hosts, err := ep.rules()
		if err == nil && slices.ContainsFunc(hosts, func(h rule.Host) bool { return h.Match(host, port) }) {
			return true
		}
	}
	return false
}

func (e Entry) hasHosts() bool {
	return slices.ContainsFunc(e.Endpoints, func(ep EntryEndpoint) bool { return len(ep.Hosts) > 0 })
}

// names lists the host names of the entry, each once.
func (e Entry) names() []string {
	var out []string
	for _, ep := range e.Endpoints {
		for _, s := range ep.Hosts {
			if h, err := rule.ParseHost(s); err == nil && !slices.Contains(out, h.Name) {
				out = append(out, h.Name)
			}
		}
	}
	return out
}

// rules parses the hosts. An endpoint without hosts has only its paths, whose names
// come from the user's file.
func (ep EntryEndpoint) rules() ([]rule.Host, error) {
	var out []rule.Host
	for _, s := range ep.Hosts {
		h, err := rule.ParseHost(s)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	if len(ep.Hosts) == 0 {
		for _, p := range ep.Paths {
			out = append(out, rule.Host{Path: p})
		}
	}
	return out, nil
}

// Refusal is one of Refusals.
type Refusal struct {
	Status  int
	Says    string
	Members map[string]any // nil where Says decides
}

func (e Entry) refusals() ([]Refusal, error) {
	var out []Refusal
	for _, text := range e.Refusals {
		status, says, _ := strings.Cut(text, " ")
		r := Refusal{Says: says}
		var err error
		if strings.HasPrefix(says, "{") {
			r.Says, err = "", json.Unmarshal([]byte(says), &r.Members)
		}
		if n, nerr := strconv.Atoi(status); nerr == nil {
			r.Status = n
		}
		// An answer that is no error may hold any text for other reasons.
		if err != nil || r.Says == "" && !plainMembers(r.Members) || r.Status > 599 || r.Status < 400 && (r.Status < 200 || r.Members == nil) {
			return nil, fmt.Errorf("refusal %q: want a status, and a text of an error or members of a JSON object", text)
		}
		out = append(out, r)
	}
	return out, nil
}

// plainMembers reports whether there are members, and they are strings, numbers, true or false.
func plainMembers(members map[string]any) bool {
	for _, v := range members {
		switch v.(type) {
		case string, float64, bool:
		default:
			return false
		}
	}
	return len(members) > 0
}

// Label is the label of a key, by its shape; "" where the catalogue cannot tell.
func (e Entry) Label(key string) string {
	for label, shape := range e.Labels {
		re, err := regexp.Compile("^(?:" + shape + ")$") // a test compiles every row's
		if err == nil && re.MatchString(key) {
			return label
		}
	}
	return ""
}

// IsKey reports whether s looks like a key of the provider. It is false where the
// catalogue knows no shape.
func (e Entry) IsKey(s string) bool {
	return slices.ContainsFunc(e.Keys, func(k string) bool {
		re, err := regexp.Compile("^(?:" + k + ")$") // a test compiles every row's
		return err == nil && re.MatchString(s)
	})
}

// IsPlainly reports whether s is a key of this provider beyond doubt: it looks like one
// and has a mark that no other provider's keys have. Thirty-two hexadecimal digits are
// plainly nobody's.
func (e Entry) IsPlainly(s string) bool {
	return hasMark(e.Marks, s) && e.IsKey(s)
}

func hasMark(marks []string, s string) bool {
	return slices.ContainsFunc(marks, func(mark string) bool {
		if inside, ok := strings.CutPrefix(mark, "*"); ok {
			return strings.Contains(s, strings.TrimSuffix(inside, "*"))
		}
		return strings.HasPrefix(s, mark)
	})
}

// Environment says what a host of the entry acts on: "test" for the provider's sandbox,
// "live" for the real world where the provider has both, "" where the hosts do not tell.
func (e Entry) Environment(host string) string {
	switch {
	case len(e.TestHosts) == 0:
		return ""
	case slices.Contains(e.TestHosts, host):
		return "test"
	case slices.Contains(e.names(), host):
		return "live"
	}
	return ""
}
