package scan

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/scan/dotenv"
	"agentvault/keyring"
	"agentvault/proxy/rule"
)

// maxFile is more than any of these files has, in bytes.
const maxFile = 1 << 20

// read returns the content of a plain file, or nothing. Nobody waits for a pipe.
func (s *scanner) read(path string) []byte {
	info, err := os.Stat(path)
	if path == "" || err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		s.found.Notes = append(s.found.Notes, s.shown(path)+" could not be read")
		return nil
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil
	}
	return content
}

// host notes a host that a file has a credential for. What is no host is dropped: a
// file that was misread must not end up in a message.
func (s *scanner) host(name, file string) {
	h, err := rule.ParseHost(name)
	if err != nil || h.Wildcard || !strings.Contains(h.Name, ".") {
		return
	}
	port := h.Port
	if port <= 0 {
		port = rule.DefaultPort
	}
	if e, ok := config.ForHost(h.Name, port); ok {
		s.add(e.Name, file+" names "+h.Name)
		return
	}
	h.Path = ""
	s.found.Hosts = append(s.found.Hosts, Host{h.String(), file})
}

// netrc reads the words behind "machine", and skips every other value.
func (s *scanner) netrc() {
	paths := []string{s.home(".netrc"), s.home("_netrc")}
	if file := s.get("NETRC"); file != "" {
		paths = []string{file}
	}
	for _, path := range paths {
		words := bytes.Fields(withoutMacros(s.read(path)))
		for i := 0; i < len(words); i++ {
			switch string(words[i]) {
			case "machine":
				if i+1 < len(words) {
					s.host(string(words[i+1]), s.shown(path))
				}
				i++
			case "login", "password", "account":
				i++
			}
		}
	}
}

// withoutMacros leaves out macdef, which goes on to the next empty line and may hold
// any words.
func withoutMacros(content []byte) []byte {
	var out []byte
	inside := false
	for line := range bytes.Lines(content) {
		text := bytes.TrimSpace(line)
		if bytes.HasPrefix(text, []byte("macdef")) {
			inside = true
		}
		if len(text) == 0 {
			inside = false
		}
		if !inside {
			out = append(out, line...)
		}
	}
	return out
}

// npmrc reads the registries that have a token: `//HOST/PATH/:_authToken=...`.
func (s *scanner) npmrc() {
	for _, path := range []string{s.home(".npmrc"), filepath.Join(s.m.Dir, ".npmrc")} {
		for line := range bytes.Lines(s.read(path)) {
			key, _, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
			key = strings.TrimSpace(key)
			if !ok || !strings.HasSuffix(key, ":_authToken") && !strings.HasSuffix(key, ":_password") && !strings.HasSuffix(key, ":_auth") {
				continue
			}
			if u, err := url.Parse("https:" + key[:strings.LastIndexByte(key, ':')]); err == nil {
				s.host(u.Host, s.shown(path))
			}
		}
	}
}

// docker reads which registries are logged in to.
func (s *scanner) docker() {
	path := s.home(".docker", "config.json")
	if dir := s.get("DOCKER_CONFIG"); dir != "" {
		path = filepath.Join(dir, "config.json")
	}
	var c struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if json.Unmarshal(s.read(path), &c) != nil {
		return
	}
	for name := range c.Auths {
		name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
		name, _, _ = strings.Cut(name, "/")
		s.host(name, s.shown(path))
	}
}

// gitCredentials reads the hosts of git's plain store, `https://USER:TOKEN@HOST`.
func (s *scanner) gitCredentials() {
	for _, path := range []string{s.home(".git-credentials"), s.config("git", "credentials")} {
		for line := range bytes.Lines(s.read(path)) {
			if u, err := url.Parse(strings.TrimSpace(string(line))); err == nil && u.Scheme == "https" {
				s.host(u.Host, s.shown(path))
			}
		}
	}
}

// kube reads the servers of a kubeconfig; the credentials beside them are certificates
// and tokens that kubectl itself sends.
func (s *scanner) kube() {
	path := s.home(".kube", "config")
	if list := s.get("KUBECONFIG"); list != "" {
		path = filepath.SplitList(list)[0]
	}
	for line := range bytes.Lines(s.read(path)) {
		text, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "server:")
		if !ok {
			continue
		}
		if u, err := url.Parse(strings.Trim(strings.TrimSpace(text), `"'`)); err == nil && u.Scheme == "https" {
			s.host(u.Host, s.shown(path))
		}
	}
}

// dotenv reads the names in the .env files of the working directory. Samples hold no
// credentials.
func (s *scanner) dotenv() {
	if s.m.Dir == "" {
		return
	}
	paths, _ := filepath.Glob(filepath.Join(escapeGlob(s.m.Dir), ".env*"))
	for _, path := range paths {
		name := filepath.Base(path)
		if name != ".env" && !strings.HasPrefix(name, ".env.") || isSample(name) || keyring.CheckName(name) != nil {
			continue
		}
		content := s.read(path)
		if content == nil {
			continue
		}
		f, err := dotenv.Parse(name, content)
		if err != nil {
			s.found.Notes = append(s.found.Notes, err.Error())
			continue
		}
		for _, v := range f.Vars {
			service, known := s.env[v.Name]
			if !known || v.Value.Len() == 0 {
				continue
			}
			s.add(service, name+" has "+v.Name)
			if !slices.Contains(s.found.Dotenv, name) {
				s.found.Dotenv = append(s.found.Dotenv, name)
			}
		}
	}
}

func isSample(name string) bool {
	for _, word := range []string{"example", "sample", "template", "dist", "default", "defaults"} {
		if strings.HasSuffix(name, "."+word) {
			return true
		}
	}
	return false
}

// escapeGlob keeps a folder's name from being a pattern.
func escapeGlob(dir string) string {
	if filepath.Separator == '\\' {
		return dir // Windows has no escape, and Glob gives up on what it cannot match
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}
