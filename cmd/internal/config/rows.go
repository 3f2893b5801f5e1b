package config

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Row is what of an entry decides where a credential goes and how: a line for each host
// and each variable, sorted.
func (e Entry) Row() []string {
	var row []string
	for _, p := range e.Endpoints {
		auth := strings.Join(strings.Fields(p.Auth.auth().TOML()+" "+p.Inject+" "+strings.Join(p.Search, " ")), " ")
		hosts := p.Hosts
		if len(hosts) == 0 {
			hosts = append([]string{"(your host)"}, p.Paths...)
		}
		for _, h := range hosts {
			row = append(row, "host "+h+", "+auth)
		}
	}
	for _, name := range e.Env {
		row = append(row, "variable "+name)
	}
	slices.Sort(row)
	return slices.Compact(row)
}

// seenRow is one line of the file of rows: what an entry of the catalogue was when the
// human approved a file that uses it.
type seenRow struct {
	Path string   `json:"path"`
	Use  string   `json:"use"`
	Row  []string `json:"row"`
}

// rowsPath is beside the approvals.
func (t *Trust) rowsPath() string { return filepath.Join(t.dir, "rows") }

// Row returns what an entry of the catalogue was when this file was approved; false where
// that is not known, as of a file that needs no approval.
func (t *Trust) Row(path, use string) ([]string, bool) {
	for _, r := range t.rows() {
		if r.Path == filed(path) && r.Use == use {
			return r.Row, true
		}
	}
	return nil, false
}

// Accept takes the catalogue's rows for seen, as they are now: the human has been shown
// the file that uses them. Without it an approval remembers only rows that it did not
// know: one of ours, after an edit of ours, must not hide that a row has changed.
func (t *Trust) Accept(path string, content []byte) error {
	kept := slices.DeleteFunc(t.rows(), func(r seenRow) bool { return r.Path == filed(path) })
	return t.remember(kept, path, content)
}

// remember adds the rows that a file uses to those that are kept of it.
func (t *Trust) remember(kept []seenRow, path string, content []byte) error {
	if t.dir == "" {
		return errNoFolder
	}
	f, _ := read(path, Source{Path: path, Kind: User, Content: content})
	path = filed(path)
	used := map[string]bool{}
	for _, s := range f.Services {
		used[s.Use] = s.Use != ""
	}
	kept = slices.DeleteFunc(kept, func(r seenRow) bool { return r.Path == path && !used[r.Use] })
	for _, r := range kept {
		if r.Path == path {
			used[r.Use] = false // known
		}
	}
	for _, s := range f.Services {
		if e, ok := Lookup(s.Use); ok && used[s.Use] {
			used[s.Use] = false
			kept = append(kept, seenRow{path, s.Use, e.Row()})
		}
	}
	var b bytes.Buffer
	for _, r := range kept {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		b.Write(append(line, '\n'))
	}
	return writeAtomic(t.rowsPath(), b.Bytes(), 0o600)
}

// rows reads the file. A line that is none is left out: what it said is not known any more.
func (t *Trust) rows() (out []seenRow) {
	if t.dir == "" {
		return nil
	}
	content, err := os.ReadFile(t.rowsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r seenRow
		if json.Unmarshal(lines.Bytes(), &r) == nil && r.Path != "" {
			out = append(out, r)
		}
	}
	return out
}
