package auditlog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"agentvault/proxy/event"
)

// Session is a log on the disk.
type Session struct {
	ID       string
	Path     string       // of its first part, which may have been thrown away
	Parts    []event.Part // in their order
	Size     int64        // bytes of all parts
	Modified time.Time    // of the last line
	Closed   bool         // its head is there: the session ended in order

	elsewhere bool // it is not in the folder of the logs
}

// File is the session whose log is at path, in a place of the user's choice.
func File(path string) (Session, error) {
	first, _ := event.CutPart(filepath.Base(path)) // any part stands for the log
	path = filepath.Join(filepath.Dir(path), first)
	parts, err := event.Parts(path)
	if err != nil {
		return Session{}, err
	}
	s := Session{ID: strings.TrimSuffix(filepath.Base(path), ".jsonl"), Path: path, elsewhere: true}
	for _, p := range parts {
		s.add(p)
	}
	_, err = os.Stat(s.headPath())
	s.Closed = err == nil
	for e, err := range event.ReadLog(path) {
		if err == nil && e.Session != "" {
			s.ID = e.Session // the lines know better
			break
		}
	}
	return s, nil
}

func (s *Session) add(p event.Part) {
	s.Parts = append(s.Parts, p)
	s.Size += p.Size
	if p.Modified.After(s.Modified) {
		s.Modified = p.Modified
	}
}

// headPath is where the head of the log is.
func (s Session) headPath() string { return strings.TrimSuffix(s.Path, ".jsonl") + ".head" }

// Short is the last part of the id, which is random; it finds the session again.
func (s Session) Short() string { return s.ID[strings.LastIndexByte(s.ID, '-')+1:] }

// Sessions lists the logs in dir, the oldest first. Ids begin with their time, so their
// order is that of the sessions. A folder that does not exist has none.
func Sessions(dir string) ([]Session, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	heads := make(map[string]bool)
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".head"); ok {
			heads[id] = true
		}
	}
	byName := make(map[string]*Session)
	for _, e := range entries {
		first, n := event.CutPart(e.Name())
		id, ok := strings.CutSuffix(first, ".jsonl")
		if !ok || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // removed since the folder was read
		}
		s := byName[first]
		if s == nil {
			s = &Session{ID: id, Path: filepath.Join(dir, first), Closed: heads[id]}
			byName[first] = s
		}
		s.add(event.Part{Path: filepath.Join(dir, e.Name()), Number: n, Size: info.Size(), Modified: info.ModTime()})
	}
	all := make([]Session, 0, len(byName))
	for _, s := range byName {
		slices.SortFunc(s.Parts, func(a, b event.Part) int { return cmp.Compare(a.Number, b.Number) })
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Session) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Since keeps the sessions whose log was written to at t or later.
func Since(sessions []Session, t time.Time) []Session {
	return slices.DeleteFunc(slices.Clone(sessions), func(s Session) bool { return s.Modified.Before(t) })
}

// NotFoundError says that no session, or more than one, has the name that was asked for.
type NotFoundError struct {
	Name  string
	Among []Session // that the name fits; empty for none
}

// Error names the sessions that the name fits.
func (e *NotFoundError) Error() string {
	if len(e.Among) == 0 {
		return fmt.Sprintf("log: no session %q", e.Name)
	}
	ids := make([]string, 0, 4)
	for _, s := range e.Among {
		if len(ids) == 4 {
			ids[3] = "…"
			break
		}
		ids = append(ids, s.ID)
	}
	return fmt.Sprintf("log: session %q could be %d sessions (%s)", e.Name, len(e.Among), strings.Join(ids, ", "))
}

// Hint says how to find the right one.
func (e *NotFoundError) Hint() string { return "agentvault log --sessions lists them" }

// Find finds a session by its id, by the start of its id or of a part of it (7f3a), or as
// "last" (also ""), the youngest. sessions are in the order of Sessions.
func Find(sessions []Session, name string) (Session, error) {
	if name == "" || name == "last" {
		if len(sessions) == 0 {
			return Session{}, &NotFoundError{Name: "last"}
		}
		return sessions[len(sessions)-1], nil
	}
	name = strings.TrimSuffix(name, ".jsonl")
	fits := []func(id string) bool{
		func(id string) bool { return id == name },
		func(id string) bool { return strings.HasPrefix(id, name) },
		func(id string) bool { return strings.Contains(id, "-"+name) },
	}
	for _, fit := range fits {
		var found []Session
		for _, s := range sessions {
			if fit(s.ID) {
				found = append(found, s)
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		return Session{}, &NotFoundError{Name: name, Among: found}
	}
	return Session{}, &NotFoundError{Name: name}
}
