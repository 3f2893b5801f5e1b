package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// testEvent is a line of `go test -json` (go doc test2json).
type testEvent struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// show runs go test, prints what go test without -v would, and files everything that the
// test programs printed by package below dir.
func show(cmd *exec.Cmd, dir string) (failed bool, err error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	s := shower{dir: dir, files: map[string]*os.File{}, said: map[[2]string][]string{}}
	lines := bufio.NewReader(out)
	for {
		line, rerr := lines.ReadBytes('\n')
		if len(line) > 0 {
			if err := s.line(line); err != nil {
				return false, err
			}
		}
		if rerr != nil {
			break
		}
	}
	werr := cmd.Wait()
	for _, f := range s.files {
		if err := f.Close(); err != nil {
			return false, err
		}
	}
	return werr != nil, nil
}

type shower struct {
	dir   string
	files map[string]*os.File
	said  map[[2]string][]string // by package and test
}

func (s *shower) line(line []byte) error {
	var e testEvent
	if json.Unmarshal(line, &e) != nil { // of go itself
		fmt.Printf("%s", line)
		return nil
	}
	at := [2]string{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "output":
		s.said[at] = append(s.said[at], e.Output)
		return s.file(e.Package, e.Output)
	case "pass", "skip":
		if e.Test == "" {
			last := "?   \t" + e.Package + "\t[no test files]\n"
			if n := len(s.said[at]); n > 0 {
				last = s.said[at][n-1]
			}
			fmt.Print(last)
		}
		delete(s.said, at)
	case "fail":
		fmt.Print(strings.Join(s.said[at], ""))
		delete(s.said, at)
	}
	return nil
}

func (s *shower) file(pkg, text string) error {
	f := s.files[pkg]
	if f == nil {
		var err error
		if f, err = os.Create(filepath.Join(s.dir, strings.ReplaceAll(pkg, "/", "_")+".txt")); err != nil {
			return err
		}
		s.files[pkg] = f
	}
	_, err := io.WriteString(f, text)
	return err
}
