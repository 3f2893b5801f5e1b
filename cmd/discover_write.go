package cmd

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/discover"
)

// configTarget is the file that a new service belongs into: the one that was named, else
// the project's, else the user's own where there is one, else a new one in the project.
// A project's is used after an approval alone.
func configTarget(env Env, named string) (path string, approvable bool) {
	if named != "" {
		return named, false
	}
	f, err := config.Load(env.configOptions(""))
	if err != nil || len(f.Sources) == 0 {
		return filepath.Join(env.Dir, config.FileName), true // and if that one does not load, the writing says why
	}
	last := f.Sources[len(f.Sources)-1] // the project's
	return last.Path, last.Kind == config.Project
}

// writing turns suggestions into changes of files.
type writing struct {
	env      Env
	named    string           // --config
	compiled *config.Compiled // nil where there is none
	strict   bool
	said     []string // what was done, a line each
	unwilled []string // what could not be
}

// write adds the services that are missing and widens those that are there, and says so.
// Files keep their comments and their order.
func (w *writing) write(suggestions []discover.Suggestion) error {
	target, approvable := configTarget(w.env, w.named)
	widen, added := map[string][]discover.Suggestion{}, []discover.Suggestion(nil)
	for _, s := range suggestions {
		if s.Extend {
			source := w.source(s.Name, target)
			widen[source] = append(widen[source], s)
			continue
		}
		added = append(added, s)
	}
	if len(added) > 0 || w.strict {
		widen[target] = append(widen[target], added...)
	}
	for _, path := range slices.Sorted(maps.Keys(widen)) {
		if err := w.file(path, widen[path], path == target, approvable); err != nil {
			return err
		}
	}
	for _, line := range append(w.said, w.unwilled...) {
		fmt.Fprintf(w.env.Stderr, "agentvault: %s\n", printable(line))
	}
	return nil
}

// source is the file in which a service stands.
func (w *writing) source(service, otherwise string) string {
	if w.compiled == nil {
		return otherwise
	}
	for _, s := range w.compiled.Services {
		if s.Name == service {
			return cmp.Or(s.Source, otherwise)
		}
	}
	return otherwise
}

// file makes all changes of one file at once.
func (w *writing) file(path string, suggestions []discover.Suggestion, target, approvable bool) error {
	var did []string
	done, err := editConfig(w.env, path, func(old []byte) (_ []byte, err error) {
		did, w.unwilled = nil, nil
		now, what, err := w.widened(old, suggestions)
		if err != nil {
			return nil, err
		}
		now, names := w.added(path, now, suggestions)
		did = append(what, names...)
		if target && w.strict {
			before := now
			if now, err = config.SetUnmatched(now, "deny"); err != nil {
				return nil, err
			}
			if !bytes.Equal(before, now) {
				did = append(did, `unmatched = "deny"`)
			}
		}
		return now, nil
	})
	if err != nil || len(did) == 0 {
		return err
	}
	word := "changed"
	if done.created {
		word = "wrote"
	}
	w.said = append(w.said, word+" "+shownPath(w.env, path)+": "+strings.Join(did, ", ")+done.remark(approvable))
	return nil
}

// widened adds the rules that services of the file lack.
func (w *writing) widened(now []byte, suggestions []discover.Suggestion) (_ []byte, did []string, err error) {
	for _, s := range suggestions {
		if !s.Extend {
			continue
		}
		before := len(now)
		if now, err = config.AddAllow(now, s.Name, s.Allow); err != nil {
			return nil, nil, err
		}
		if len(now) != before {
			did = append(did, fmt.Sprintf("service %s allows %s more", s.Name, count(len(s.Allow), "operation")))
		}
	}
	return now, did, nil
}

// added appends the services that are missing: all at once where they load, which is the
// rule, and otherwise one by one in the first form that does.
func (w *writing) added(path string, now []byte, suggestions []discover.Suggestion) (_ []byte, did []string) {
	var text strings.Builder
	for _, s := range suggestions {
		if !s.Extend {
			text.WriteString(s.TOML() + "\n")
			did = append(did, "service "+s.Name)
		}
	}
	if len(did) == 0 {
		return now, nil
	}
	if all := config.Appended(now, text.String()); w.loads(path, all) == nil {
		return all, did
	}
	did = nil
	for _, s := range suggestions {
		if s.Extend {
			continue
		}
		next, err := w.fitting(path, now, s)
		if err != nil {
			w.unwilled = append(w.unwilled, fmt.Sprintf("service %s was left out, it does not load beside the others: %v", s.Name, err))
			continue
		}
		now, did = next, append(did, "service "+s.Name)
	}
	return now, did
}

// fitting appends one service in the first of its forms that loads.
func (w *writing) fitting(path string, now []byte, s discover.Suggestion) ([]byte, error) {
	var first error
	for _, form := range forms(s) {
		next := config.Appended(now, form.TOML())
		err := w.loads(path, next)
		if err == nil {
			return next, nil
		}
		first = cmp.Or(first, err)
	}
	return nil, first
}

// forms are the ways to write a suggestion, the best first. A service of the catalogue may
// want variables, or hosts, that a service of the file has already.
func forms(s discover.Suggestion) []discover.Suggestion {
	all := []discover.Suggestion{s}
	if s.Use != "" {
		s.NoEnv, s.Env = true, nil
		all = append(all, s)
		s.Use, s.Entry, s.NoEnv = "", discover.Entry{}, false
		all = append(all, s)
	}
	return all
}

// loads tries a file's content where it will stand: over the user's own, if it is another.
func (w *writing) loads(path string, content []byte) error {
	dir, err := os.MkdirTemp("", "agentvault-discover-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	draft := filepath.Join(dir, config.FileName)
	if err := os.WriteFile(draft, content, 0o600); err != nil {
		return err
	}
	o := w.env.configOptions(draft)
	if path == filepath.Join(o.UserDir, config.FileName) {
		o.UserDir = ""
	}
	_, err = config.Load(o)
	return err
}

// shownPath is a path as people write it from where they are.
func shownPath(env Env, path string) string {
	if rel, err := filepath.Rel(env.Dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
