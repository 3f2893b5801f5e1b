package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"agentvault/proxy/rule"
)

// maxFile bounds what is read: a configuration of a thousand services is 200 KiB.
const maxFile = 1 << 20

// Load reads the user's file and over it the one that Options.Path names or, without
// one, the first agentvault.toml found from Options.Dir upwards. The search ends at the
// root, and at Options.Home where Dir lies below it: a file above the user's home is
// nobody's project.
//
// A service of the upper file replaces the one of the same name whole; unmatched and the
// sections of backends replace; the lists join. A project may only tighten unmatched, and has no
// [binding]: a clone must not widen what its reader's own file says.
//
// Every error of the files themselves is a Problems. Whether a project's file was
// approved is the caller's question to Trust, with Source.Content.
func Load(o Options) (*File, error) {
	sources, err := find(o)
	if err != nil {
		return nil, err
	}
	f := &File{Unmatched: "warn", Sources: sources, own: o.Own}
	var all problems
	for i := range sources {
		sources[i].Name = display(sources[i].Path, o.Dir)
		src := sources[i]
		part, found := read(src.Name, src)
		all.list = append(all.list, found...)
		f.merge(part, src, &all)
	}
	if err := all.err(); err != nil {
		return nil, err
	}
	slices.SortFunc(f.Services, func(a, b Service) int { return cmp.Compare(a.Name, b.Name) })
	if _, err := f.Compile(); err != nil {
		return nil, err
	}
	return f, nil
}

// find reads the files that there are.
func find(o Options) ([]Source, error) {
	var out []Source
	userPath := ""
	if o.UserDir != "" {
		userPath = filepath.Join(o.UserDir, FileName)
	}
	upper, kind := o.Path, Named
	if upper == "" {
		upper, kind = search(o.Dir, o.Home), Project
	}
	if userPath != "" && (upper == "" || base(upper) != base(userPath)) {
		src, err := readSource(userPath, User)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			out = append(out, src)
		}
	}
	if upper == "" {
		return out, nil
	}
	if userPath != "" && base(upper) == base(userPath) {
		kind = User
	}
	src, err := readSource(upper, kind)
	if err != nil {
		return nil, err
	}
	return append(out, src), nil
}

func readSource(path string, kind Kind) (Source, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Source{}, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		if _, there := os.Lstat(abs); there == nil && errors.Is(err, fs.ErrNotExist) {
			return Source{}, fmt.Errorf("%s: a link to a file that is not there", path)
		}
		return Source{}, readError(path, err)
	}
	switch {
	case info.IsDir():
		return Source{}, fmt.Errorf("%s: a folder, and no file", path)
	case !info.Mode().IsRegular() || info.Size() > maxFile:
		return Source{}, fmt.Errorf("%s: not a file of at most %d KiB", path, maxFile>>10)
	}
	content, err := os.ReadFile(abs)
	if err != nil {
		return Source{}, readError(path, err)
	}
	return Source{Path: abs, Kind: kind, Hash: Hash(content), Content: content}, nil
}

// readError leaves the path out of the cause, where it stands a second time.
func readError(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Hash is a file's SHA-256 in hex, the one that Source and Trust use.
func Hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// search returns the nearest project file, or "".
func search(dir, home string) string {
	if dir == "" {
		return ""
	}
	dir, home = base(dir), base(home)
	for {
		path := filepath.Join(dir, FileName)
		// A link that leads nowhere is not passed over: without the services of its file the
		// environment's credentials would be handed on.
		if info, err := os.Lstat(path); err == nil && !info.IsDir() {
			return path
		}
		parent := filepath.Dir(dir)
		if parent == dir || dir == home {
			return ""
		}
		dir = parent
	}
}

// display is how messages name a file.
func display(path, dir string) string {
	if dir == "" {
		return path
	}
	if rel, err := filepath.Rel(base(dir), base(path)); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// read parses and checks one file by itself.
func read(file string, src Source) (*File, Problems) {
	doc, root := parse(file, src.Content)
	f := &File{listed: map[string][]Widening{}}
	keys, ok := root.table("unmatched", "tunnel", "no_proxy", "pass_env", "service", "infisical", "vault", "aws", "binding", "log")
	if !ok {
		return f, doc.list
	}
	if n, ok := keys["unmatched"]; ok {
		f.Unmatched, f.unmatchedAt = n.oneOf(Policies()...), n.pos()
	}
	if n, ok := keys["tunnel"]; ok {
		f.Tunnel, f.listed["tunnel"] = n.hosts(), n.listed()
	}
	if n, ok := keys["no_proxy"]; ok {
		f.NoProxy, f.listed["no_proxy"] = n.noProxy(), n.listed()
	}
	if n, ok := keys["pass_env"]; ok {
		f.PassEnv, f.listed["pass_env"] = n.envNames(true), n.listed()
	}
	if n, ok := keys["service"]; ok {
		f.Services = n.services(src.Path)
	}
	f.Backends = readBackends(keys, src)
	if n, ok := keys["binding"]; ok {
		f.Bindings = n.bindings(src.Kind)
	}
	if n, ok := keys["log"]; ok {
		f.Keeping = n.keeping(src.Kind)
	}
	return f, doc.list
}

// Policies lists what unmatched may be, the most open first.
func Policies() []string { return []string{"allow", "warn", "ask", "deny"} }

// merge lays part over f.
func (f *File) merge(part *File, src Source, all *problems) {
	if part.Unmatched != "" {
		strict := func(policy string) int { return slices.Index(Policies(), policy) }
		if src.Kind == Project && f.unmatchedAt.Line > 0 && strict(part.Unmatched) < strict(f.Unmatched) {
			all.add(part.unmatchedAt, "a project may only be stricter; --unmatched is yours to say",
				"unmatched = %q is weaker than the %q of %s", part.Unmatched, f.Unmatched, f.unmatchedAt.File)
		}
		f.Unmatched, f.unmatchedAt = part.Unmatched, part.unmatchedAt
	}
	if src.Kind == Project {
		f.widen(part)
	}
	f.Tunnel = append(f.Tunnel, part.Tunnel...)
	f.NoProxy = join2(f.NoProxy, part.NoProxy)
	f.PassEnv = join2(f.PassEnv, part.PassEnv)
	for _, s := range part.Services {
		f.Services = slices.DeleteFunc(f.Services, func(old Service) bool { return old.Name == s.Name })
		f.Services = append(f.Services, s)
	}
	f.Backends.merge(part.Backends)
	f.Bindings = append(f.Bindings, part.Bindings...)
	if src.Kind == User {
		f.Keeping = part.Keeping
	}
}

// widen notes what a project's file opens beyond the user's own, before they are merged.
func (f *File) widen(part *File) {
	tunnel := make([]string, len(f.Tunnel))
	for i, h := range f.Tunnel {
		tunnel[i] = h.String()
	}
	for _, list := range []struct {
		key string
		own []string
	}{{"tunnel", tunnel}, {"no_proxy", f.NoProxy}, {"pass_env", f.PassEnv}} {
		for _, w := range part.listed[list.key] {
			if h, err := rule.ParseHost(w.Text); err == nil && list.key == "tunnel" {
				w.Text = h.String()
			}
			if !slices.Contains(list.own, w.Text) {
				w.Key = list.key
				f.Widened = append(f.Widened, w)
			}
		}
	}
	for _, s := range part.Services {
		if f.Service(s.Name) != nil {
			f.Widened = append(f.Widened, Widening{"service", s.Name, s.Pos})
		}
	}
	if p := part.AWS.Profile; p != "" && p != f.AWS.Profile {
		f.Widened = append(f.Widened, Widening{"profile", p, part.AWS.Pos})
	}
}

// listed are the entries of a list with their places.
func (n node) listed() (out []Widening) {
	var elements []node // of anything else it was reported that it is no list
	switch n.v.(type) {
	case string:
		elements = []node{n}
	case []any:
		elements = n.list("")
	}
	for _, e := range elements {
		if s, ok := e.v.(string); ok {
			out = append(out, Widening{Text: s, Pos: e.pos()})
		}
	}
	return out
}

// join2 appends what is not there yet.
func join2(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// hosts reads a string or a list of host patterns.
func (n node) hosts() []rule.Host {
	var out []rule.Host
	for _, e := range n.words(true) {
		h, err := rule.ParseHost(e.v.(string))
		if err != nil {
			e.fail(hintOf(err), "%s", err)
			continue
		}
		out = append(out, h)
	}
	return out
}

// noProxy reads entries as clients know them: names, .suffixes, addresses, networks.
func (n node) noProxy() []string {
	var out []string
	for _, e := range n.words(true) {
		s := e.v.(string)
		switch {
		case s == "*":
			e.fail("name the hosts that the proxy must not see", "no_proxy: %q would send everything past the proxy", s)
		case s == "" || strings.Trim(s, "*.") == "" || strings.ContainsAny(s, " \t,;@\"'\\\x00\r\n") || strings.Contains(s, "://"):
			e.fail(`write names and addresses, such as "*.internal" or "10.0.0.0/8"`, "no_proxy: %q is no host", s)
		default:
			out = append(out, s)
		}
	}
	return out
}

// envNames reads names of environment variables; globs hold * and ?.
func (n node) envNames(globs bool) []string {
	out := []string{}
	for _, e := range n.words(globs) {
		s := e.v.(string)
		bad := s == "" || '0' <= s[0] && s[0] <= '9' || strings.ContainsFunc(s, func(c rune) bool {
			ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || globs && (c == '*' || c == '?')
			return !ok
		})
		if bad {
			e.fail("a name holds letters, digits and _ only", "%s: %s is no name of an environment variable", n.key(), word(s))
			continue
		}
		out = append(out, s)
	}
	return out
}
