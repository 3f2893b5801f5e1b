// Package scan finds out which services a machine has credentials for, and which agents
// are installed on it, for `agentvault init` and `agentvault secret import`.
//
// It reads names and never keeps a value: of the environment which variables are set,
// of a tool's file that it is there, of ~/.netrc and the like the hosts. Nothing that
// Scan returns is longer than a name, and everything in it that came from a file has
// been checked to be a host, a variable's name or a file's.
package scan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
)

// Machine is where to look. Every field may be empty.
type Machine struct {
	Home    string   // the user's folder; one that is no absolute path is none
	Dir     string   // the working directory, whose .env files are read
	Environ []string // NAME=VALUE
	// LookPath finds a program, as exec.LookPath does; nil finds none.
	LookPath func(string) (string, error)
}

// Found is what a machine has, sorted by name.
type Found struct {
	Services []Service
	Agents   []Agent
	// Hosts are hosts with a credential that the catalogue does not know, and the file
	// that names each.
	Hosts []Host
	// Dotenv are files in the working directory that name a variable of some service.
	Dotenv []string
	// Notes are one line each: a file that could not be read.
	Notes []string
}

// Service is one of the catalogue for which something was found.
type Service struct {
	Name string   // in the catalogue
	Why  []string // for people: "GITHUB_TOKEN is set"
	// Set says that a variable of it is set in the environment.
	Set bool
	// Maybe says that nothing speaks for it but an agent that could use it, and that
	// could as well be logged in another way.
	Maybe bool
}

// Host is a host of which a file holds a credential.
type Host struct{ Name, File string }

// Agent is a program that was found.
type Agent struct {
	Program string
	// Service is the provider whose key it can use; "" where it works with many.
	Service string
}

// agents are looked for on PATH in this order, which is that of the hint what to run.
func agents() []Agent {
	return []Agent{
		{"claude", "anthropic"}, {"codex", "openai"}, {"gemini", "gemini"},
		{"opencode", ""}, {"openclaw", ""}, {"goose", ""}, {"cursor-agent", ""},
	}
}

// scanner collects.
type scanner struct {
	m        Machine
	env      map[string]string // variable -> service
	services map[string]*Service
	found    Found
}

// Scan looks at a machine. entries is the catalogue.
func Scan(m Machine, entries []config.Entry) Found {
	s := &scanner{m: m, env: map[string]string{}, services: map[string]*Service{}}
	for _, e := range entries {
		for _, name := range e.Env {
			s.env[name] = e.Name
		}
	}
	s.variables()
	s.tools(entries)
	s.netrc()
	s.npmrc()
	s.docker()
	s.gitCredentials()
	s.kube()
	s.dotenv()
	s.agents()
	for _, service := range s.services {
		s.found.Services = append(s.found.Services, *service)
	}
	slices.SortFunc(s.found.Services, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(s.found.Hosts, func(a, b Host) int { return strings.Compare(a.Name+" "+a.File, b.Name+" "+b.File) })
	s.found.Hosts = slices.Compact(s.found.Hosts)
	return s.found
}

func (s *scanner) add(service, why string) *Service {
	at := s.services[service]
	if at == nil {
		at = &Service{Name: service}
		s.services[service] = at
	}
	if !slices.Contains(at.Why, why) {
		at.Why = append(at.Why, why)
	}
	return at
}

func (s *scanner) get(name string) string {
	for _, line := range s.m.Environ {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			return v
		}
	}
	return ""
}

func (s *scanner) variables() {
	for _, line := range s.m.Environ {
		name, value, _ := strings.Cut(line, "=")
		if service, known := s.env[name]; known && value != "" {
			s.add(service, name+" is set").Set = true
		}
	}
}

// home joins a path below the user's folder; "" without one.
func (s *scanner) home(path ...string) string {
	if !filepath.IsAbs(s.m.Home) {
		return ""
	}
	return filepath.Join(append([]string{s.m.Home}, path...)...)
}

// config is a folder of the user's configuration.
func (s *scanner) config(path ...string) string {
	if dir := s.get("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(append([]string{dir}, path...)...)
	}
	return s.home(append([]string{".config"}, path...)...)
}

// shown is a path as people write it.
func (s *scanner) shown(path string) string {
	if rest, ok := strings.CutPrefix(path, s.m.Home+string(filepath.Separator)); ok && s.m.Home != "" {
		return "~/" + filepath.ToSlash(rest)
	}
	return path
}

// tools are told by the file in which each keeps what it is logged in with. The file is
// not opened.
func (s *scanner) tools(entries []config.Entry) {
	for _, e := range entries {
		for _, f := range e.Files {
			path := s.expanded(f)
			if path == "" {
				continue
			}
			if _, err := os.Stat(path); err == nil {
				s.add(e.Name, s.shown(path)+" is there")
			}
		}
	}
}

// expanded is the path that an entry's file means here; "" is none.
func (s *scanner) expanded(file string) string {
	top, rest, _ := strings.Cut(file, "/")
	parts := strings.Split(rest, "/")
	switch top {
	case "~":
		return s.home(parts...)
	case "$XDG_CONFIG_HOME":
		return s.config(parts...)
	case "$XDG_DATA_HOME":
		if s.get("XDG_DATA_HOME") == "" {
			return s.home(append([]string{".local", "share"}, parts...)...)
		}
	}
	dir := s.get(strings.TrimPrefix(top, "$"))
	if !filepath.IsAbs(dir) {
		return ""
	}
	return filepath.Join(append([]string{dir}, parts...)...)
}

func (s *scanner) agents() {
	for _, a := range agents() {
		if s.m.LookPath == nil {
			return
		}
		if _, err := s.m.LookPath(a.Program); err != nil {
			continue
		}
		s.found.Agents = append(s.found.Agents, a)
		if a.Service == "" {
			continue
		}
		_, known := s.services[a.Service]
		service := s.add(a.Service, a.Program+" is installed")
		service.Maybe = !known || service.Maybe
	}
}
