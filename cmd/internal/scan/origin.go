package scan

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"

	"agentvault/cmd/internal/scan/dotenv"
	"agentvault/keyring"
)

// Origin is a place on the machine that holds a credential.
type Origin struct {
	Where    string // for people: "the variable GITHUB_TOKEN", "~/.netrc:3"
	Remove   string // how it is taken away there
	Variable string // of the environment, "" for a file
}

// Origins looks for a value where people and tools keep theirs, and says where it was
// found. Nothing of the value, nor of the files, is in what it returns. No program is run:
// of what a helper keeps in a keychain only the helper can be named.
func Origins(m Machine, value keyring.Secret, user string) []Origin {
	s := &scanner{m: m}
	text := []byte(value.Reveal()) // to be compared with what files hold; it goes nowhere
	defer clear(text)
	if len(text) == 0 {
		return nil
	}
	var found []Origin
	for _, line := range m.Environ {
		if name, v, ok := strings.Cut(line, "="); ok && v == string(text) {
			found = append(found, Origin{"the variable " + name + " of the environment", "take it out of where it is set (a profile of the shell, direnv)", name})
		}
	}
	found = append(found, s.dotenvOrigins(value)...)
	for _, f := range s.keepers() {
		if n := lineOf(s.read(f.path), text, user); n > 0 {
			found = append(found, Origin{Where: fmt.Sprintf("%s:%d", s.shown(f.path), n), Remove: f.remove})
		}
	}
	if len(found) == 0 {
		found = s.helpers(string(text))
	}
	return found
}

// dotenvOrigins looks into the .env files of the working directory.
func (s *scanner) dotenvOrigins(value keyring.Secret) (found []Origin) {
	if s.m.Dir == "" {
		return nil
	}
	paths, _ := filepath.Glob(filepath.Join(escapeGlob(s.m.Dir), ".env*"))
	for _, path := range paths {
		name := filepath.Base(path)
		content := s.read(path)
		if content == nil || keyring.CheckName(name) != nil {
			continue
		}
		f, err := dotenv.Parse(name, content)
		if err != nil {
			continue
		}
		for _, v := range f.Vars {
			if v.Value.Equal(value) {
				found = append(found, Origin{fmt.Sprintf("%s:%d, as %s", name, v.Line, v.Name), "agentvault secret import --replace " + name + " empties it", ""})
			}
		}
	}
	return found
}

// keeper is a file in which a credential may stand.
type keeper struct{ path, remove string }

// keepers are the files of people and tools, see tools.
func (s *scanner) keepers() []keeper {
	const line, login = "take the line out", "log out with the tool that wrote it"
	env := func(name, otherwise string) string {
		if v := s.get(name); v != "" {
			return v
		}
		return otherwise
	}
	return []keeper{
		{filepath.Join(env("GH_CONFIG_DIR", s.config("gh")), "hosts.yml"), "gh auth logout"},
		{s.config("glab-cli", "config.yml"), "glab auth logout"},
		{env("NETRC", s.home(".netrc")), line},
		{s.home(".npmrc"), "npm logout"},
		{filepath.Join(s.m.Dir, ".npmrc"), line},
		{s.home(".git-credentials"), line},
		{s.config("git", "credentials"), line},
		{filepath.Join(env("DOCKER_CONFIG", s.home(".docker")), "config.json"), "docker logout"},
		{s.home(".pypirc"), line},
		{s.home(".cargo", "credentials.toml"), "cargo logout"},
		{s.home(".config", "doctl", "config.yaml"), "doctl auth remove"},
		{s.config("hcloud", "cli.toml"), login},
		{s.config("stripe", "config.toml"), "stripe logout"},
		{s.home(".fly", "config.yml"), "fly auth logout"},
		{s.home(".terraform.d", "credentials.tfrc.json"), "terraform logout"},
		{s.home(".cache", "huggingface", "token"), "hf auth logout"},
		{s.home(".vault-token"), "remove the file"},
		{s.home(".sentryclirc"), line},
		{s.home(".codex", "auth.json"), "codex logout"},
		{s.home(".claude", "settings.json"), line},
		{s.home(".claude.json"), login},
		{s.home(".profile"), line}, {s.home(".bashrc"), line}, {s.home(".bash_profile"), line}, {s.home(".zshrc"), line},
		{s.home(".zshenv"), line}, {s.home(".zprofile"), line}, {s.config("fish", "config.fish"), line},
		{filepath.Join(s.m.Dir, ".envrc"), line},
	}
}

// lineOf is the number of the line that holds the value, as it is or in base64 behind the
// user's name, as Docker and npm keep pairs; 0 for none.
func lineOf(content, value []byte, user string) int {
	spellings := [][]byte{value, []byte(base64.StdEncoding.EncodeToString(append([]byte(user+":"), value...)))}
	for n, line := range bytes.Split(content, []byte("\n")) {
		for _, s := range spellings {
			if at := bytes.Index(line, s); at >= 0 && apart(line, at, at+len(s)) {
				return n + 1
			}
		}
	}
	return 0
}

// apart reports whether a match is no part of a longer word.
func apart(line []byte, from, to int) bool {
	word := func(i int) bool {
		if i < 0 || i >= len(line) {
			return false
		}
		c := line[i]
		return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '-'
	}
	return !word(from-1) && !word(to)
}

// helpers names what keeps credentials out of files.
func (s *scanner) helpers(value string) (found []Origin) {
	if strings.HasPrefix(value, "gho_") || strings.HasPrefix(value, "ghp_") {
		for _, k := range s.keepers()[:1] {
			if s.read(k.path) != nil {
				found = append(found, Origin{Where: "perhaps the login of gh, which keeps it in the system's keychain", Remove: "gh auth logout"})
			}
		}
	}
	for _, path := range []string{s.home(".gitconfig"), s.config("git", "config")} {
		for line := range bytes.Lines(s.read(path)) {
			key, helper, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
			if helper = strings.TrimSpace(helper); ok && strings.TrimSpace(key) == "helper" && keyring.CheckName(helper) == nil {
				return append(found, Origin{Where: "perhaps git's credential helper " + helper, Remove: "git credential reject"})
			}
		}
	}
	return found
}
