package prove

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"agentvault/proxy/event"
)

// Report is all checks of a run.
type Report struct{ Checks []Check }

// Add appends one.
func (r *Report) Add(c Check) { r.Checks = append(r.Checks, c) }

// Count returns how many checks ended so.
func (r *Report) Count(result Result) int {
	n := 0
	for _, c := range r.Checks {
		if c.Result == result {
			n++
		}
	}
	return n
}

// Summary is one line: "3 passed, 1 failed, 2 skipped".
func (r *Report) Summary() string {
	var parts []string
	for _, result := range []Result{Passed, Failed, Skipped} {
		if n := r.Count(result); n > 0 || result != Skipped {
			parts = append(parts, fmt.Sprintf("%d %s", n, result))
		}
	}
	return strings.Join(parts, ", ")
}

// Line is a check for people, on a line, with the remedy of a failure on a second one.
func (c Check) Line() string {
	mark := map[Result]string{Passed: "●", Failed: "✕", Skipped: "○"}[c.Result]
	out := fmt.Sprintf("  %s %s", mark, event.Escape(c.Name))
	if c.Result == Skipped {
		out += ": skipped"
	}
	if c.Detail != "" {
		out += ": " + event.Escape(c.Detail)
	}
	if c.Hint != "" {
		out += "\n    hint: " + event.Escape(c.Hint)
	}
	return out + "\n"
}

// full is the name with its request in front, for reports that know no order.
func (c Check) full() string {
	if c.Test == "" || strings.HasPrefix(c.Name, c.Test) {
		return c.Name
	}
	return c.Test + ": " + c.Name
}

// TAP writes the report in version 14 of the Test Anything Protocol.
func (r *Report) TAP(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "TAP version 14\n1..%d\n", len(r.Checks))
	for i, c := range r.Checks {
		word := "ok"
		if c.Result == Failed {
			word = "not ok"
		}
		fmt.Fprintf(&b, "%s %d - %s", word, i+1, tapText(c.Service+": "+c.full()))
		if c.Result == Skipped {
			fmt.Fprintf(&b, " # SKIP %s", tapText(c.Detail))
		}
		b.WriteByte('\n')
		if c.Result == Failed {
			fmt.Fprintf(&b, "  ---\n  message: %s\n", yamlText(c.Detail))
			if c.Hint != "" {
				fmt.Fprintf(&b, "  hint: %s\n", yamlText(c.Hint))
			}
			b.WriteString("  ...\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// tapText keeps a text on its line, and from beginning a directive.
func tapText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "#", `\#`).Replace(event.Escape(s))
}

func yamlText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(event.Escape(s)) + `"`
}

// The elements of JUnit's format that continuous integration reads: a suite a service.
type (
	junitSuites struct {
		XMLName  xml.Name      `xml:"testsuites"`
		Name     string        `xml:"name,attr"`
		Tests    int           `xml:"tests,attr"`
		Failures int           `xml:"failures,attr"`
		Skipped  int           `xml:"skipped,attr"`
		Suites   []*junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
		took     time.Duration
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Skipped *junitMessage `xml:"skipped"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report as XML, with times in seconds.
func (r *Report) JUnit(w io.Writer) error {
	all := junitSuites{Name: "agentvault test"}
	suites := map[string]*junitSuite{}
	for _, c := range r.Checks {
		s := suites[c.Service]
		if s == nil {
			s = &junitSuite{Name: c.Service}
			suites[c.Service] = s
			all.Suites = append(all.Suites, s)
		}
		one := junitCase{Class: "agentvault." + c.Service, Name: event.Escape(c.full()), Time: seconds(c.Took)}
		switch message := event.Escape(c.Detail); c.Result {
		case Failed:
			one.Failure = &junitMessage{cmp.Or(message, "failed"), event.Escape(c.Hint)}
			s.Failures++
			all.Failures++
		case Skipped:
			one.Skipped = &junitMessage{Message: message}
			s.Skipped++
			all.Skipped++
		default:
			one.Output = message
		}
		s.Cases = append(s.Cases, one)
		s.Tests++
		all.Tests++
		s.took += c.Took
		s.Time = seconds(s.took)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
