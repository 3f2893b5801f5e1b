package check

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"agentvault/cmd/internal/config"
	"agentvault/proxy/inject"
)

// Report is what `agentvault check --json` prints. Lists are never null.
type Report struct {
	OK        bool      `json:"ok"` // no errors; with --strict no warnings either
	Files     []File    `json:"files"`
	Unmatched string    `json:"unmatched"` // "" where the configuration does not load
	Services  []Service `json:"services"`
	Findings  []entry   `json:"findings"`
}

// File is one that was read, the user's own first.
type File struct {
	Path     string `json:"path"`
	Kind     string `json:"kind"`     // user, project or named
	Approved bool   `json:"approved"` // a project's file is not used before the human has approved it
}

// Service is what one service means.
type Service struct {
	Name      string   `json:"name"`
	File      string   `json:"file"`
	Line      int      `json:"line"`
	Hosts     []string `json:"hosts"`
	Auth      []string `json:"auth"` // where the credential goes, one for each kind of host
	Always    bool     `json:"always"`
	Search    []string `json:"search"` // where else the placeholder is replaced
	Secret    string   `json:"secret"` // the ref; "" is none
	Variables []string `json:"variables"`
	Allow     []string `json:"allow"` // empty allows everything
	Deny      []string `json:"deny"`
	Ask       []string `json:"ask"`
}

// entry is a Finding as JSON has it.
type entry struct {
	File     string   `json:"file"` // "" where it belongs to none
	Line     int      `json:"line"` // from 1
	Col      int      `json:"col"`  // in characters, from 1
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`
	Text     string   `json:"text"`
	Hint     string   `json:"hint,omitempty"`
}

// NewReport puts together what is told. c is nil where the configuration does not load.
func NewReport(c *config.Compiled, files []File, findings []Finding, strict bool) *Report {
	r := &Report{Files: append([]File{}, files...), Services: []Service{}, Findings: []entry{}}
	for _, f := range findings {
		r.Findings = append(r.Findings, entry{f.Pos.File, f.Pos.Line, f.Pos.Col, f.Severity, f.Code, f.Text, f.Hint})
	}
	n := Count(findings)
	r.OK = n[Error] == 0 && (!strict || n[Warning] == 0)
	if c == nil {
		return r
	}
	r.Unmatched = c.Unmatched
	for i := range c.Services {
		r.Services = append(r.Services, describe(&c.Services[i]))
	}
	return r
}

func describe(s *config.CompiledService) Service {
	out := Service{Name: s.Name, File: s.Pos.File, Line: s.Pos.Line, Hosts: texts(s.Hosts()), Auth: []string{}, Secret: s.Secret.String(),
		Variables: append([]string{}, s.Env...), Allow: []string{}, Deny: []string{}, Ask: texts(s.Ask), Search: []string{}}
	for _, e := range s.Endpoints {
		if text := authText(e); !slices.Contains(out.Auth, text) {
			out.Auth = append(out.Auth, text)
		}
		out.Always = out.Always || e.Always
		for _, p := range texts(e.Search) {
			if !slices.Contains(out.Search, p) {
				out.Search = append(out.Search, p)
			}
		}
		out.Allow, out.Deny = texts(e.Rule.Allow), texts(e.Rule.Deny)
	}
	return out
}

// authText is short enough for a column: "bearer", "header X-Api-Key", "gcp as bearer".
func authText(e config.Endpoint) string {
	switch in := e.Inject.(type) {
	case inject.Header, inject.Query, inject.Cookie, inject.Body:
		return e.Slot()
	case inject.Basic:
		if e.Auth != "basic" {
			return e.Auth + " as password"
		}
		if e.BasicUser.IsZero() && in.User != "" {
			return "basic as " + in.User
		}
	case inject.Bearer:
		if e.Auth != "bearer" && e.Auth != "" {
			return e.Auth + " as bearer"
		}
	}
	return e.Auth
}

func texts[T fmt.Stringer](list []T) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, e.String())
	}
	return out
}

// JSON writes the report.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Text writes the report for people. escape makes text of files harmless for a terminal.
func (r *Report) Text(w io.Writer, escape func(string) string) error {
	if err := r.overview(w, escape); err != nil {
		return err
	}
	file := "\x00"
	for _, f := range r.Findings {
		if f.File != file {
			file = f.File
			if _, err := fmt.Fprintf(w, "\n%s\n", escape(file)); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(w, "  %d:%d %s: %s [%s]\n", f.Line, f.Col, f.Severity, escape(f.Text), f.Code); err != nil {
			return err
		}
		if f.Hint != "" {
			if _, err := fmt.Fprintf(w, "      hint: %s\n", escape(f.Hint)); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "\n%s\n", r.conclusion())
	return err
}

func (r *Report) overview(w io.Writer, escape func(string) string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, f := range r.Files {
		label := ""
		if i == 0 {
			label = "files"
		}
		what := map[string]string{"user": "your own", "named": "named with --config", "project": "the project's, approved"}[f.Kind]
		if !f.Approved {
			what = "the project's, not approved yet"
		}
		fmt.Fprintf(t, "%s\t%s (%s)\n", label, escape(f.Path), what)
	}
	fmt.Fprintf(t, "unmatched\t%s: calls that no service covers %s\n", r.Unmatched, map[string]string{
		"allow": "pass unseen", "warn": "pass and are shown", "ask": "wait for your answer", "deny": "are refused"}[r.Unmatched])
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Services) == 0 {
		_, err := fmt.Fprintln(w, "no service is configured; agentvault services shows what is known")
		return err
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVICE\tHOSTS\tAUTH\tSECRET\tVARIABLES\tALLOW")
	for _, s := range r.Services {
		cells := []string{s.Name, few(s.Hosts, "-"), s.auth(), s.Secret, few(s.Variables, "-"), few(s.Allow, "everything")}
		if s.Secret == "" {
			cells[3] = "-"
		}
		if len(s.Deny) > 0 {
			cells[5] += fmt.Sprintf(", not %s", few(s.Deny, ""))
		}
		for i := range cells {
			cells[i] = escape(cut(cells[i]))
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

func (s Service) auth() string {
	text := few(s.Auth, "none")
	if s.Secret != "" && !s.Always {
		text += ", asked"
	}
	return text
}

// maxCell is the width of a column: six of them stay readable side by side.
const maxCell = 44

// cut takes the middle out of what is too wide.
func cut(s string) string {
	r := []rune(s)
	if len(r) <= maxCell {
		return s
	}
	return string(r[:maxCell/2]) + "…" + string(r[len(r)-maxCell/2+1:])
}

// few keeps a cell short.
func few(list []string, none string) string {
	switch len(list) {
	case 0:
		return none
	case 1, 2:
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", list[0], len(list)-1)
}

func (r *Report) conclusion() string {
	var parts []string
	for _, k := range []struct {
		severity Severity
		word     string
	}{{Error, "error"}, {Warning, "warning"}, {Info, "note"}} {
		n := 0
		for _, f := range r.Findings {
			if f.Severity == k.severity {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, plural(n, k.word))
		}
	}
	if len(parts) == 0 {
		return "nothing to report"
	}
	return strings.Join(parts, ", ")
}
