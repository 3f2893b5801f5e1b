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

// TAP writes the report in version 13 of the Test Anything Protocol: Perl's prove refuses a
// later one, and nothing here needs it.
func (r *Report) TAP(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "TAP version 13\n1..%d\n", len(r.Checks))
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

// The elements of JUnit's format: a suite a service. There are several schemas of it; this
// is valid by the one of Ant's task and by that of Jenkins, which is why an attribute stands
// on one element and not on the next, and what a check found in the suite's output.
type (
	junitSuites struct {
		XMLName xml.Name      `xml:"testsuites"`
		Suites  []*junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Package    string      `xml:"package,attr"`
		ID         int         `xml:"id,attr"`
		Name       string      `xml:"name,attr"`
		Timestamp  string      `xml:"timestamp,attr"` // UTC, and may not say so
		Host       string      `xml:"hostname,attr"`
		Tests      int         `xml:"tests,attr"`
		Failures   int         `xml:"failures,attr"`
		Errors     int         `xml:"errors,attr"` // none: what goes wrong fails a check
		Skipped    int         `xml:"skipped,attr"`
		Time       string      `xml:"time,attr"`
		Properties struct{}    `xml:"properties"`
		Cases      []junitCase `xml:"testcase"`
		Output     string      `xml:"system-out"`
		Complaints string      `xml:"system-err"`
		took       time.Duration
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *junitSkip    `xml:"skipped"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkip struct {
		Message string `xml:"message,attr"`
	}
)

// JUnit writes the report of a run that began then as XML, with times in seconds.
func (r *Report) JUnit(w io.Writer, began time.Time) error {
	var all junitSuites
	suites := map[string]*junitSuite{}
	for _, c := range r.Checks {
		s := suites[c.Service]
		if s == nil {
			s = &junitSuite{Package: "agentvault", ID: len(all.Suites), Name: c.Service, Timestamp: began.UTC().Format("2006-01-02T15:04:05"), Host: "localhost"}
			suites[c.Service] = s
			all.Suites = append(all.Suites, s)
		}
		s.add(c)
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

func (s *junitSuite) add(c Check) {
	one := junitCase{Class: "agentvault." + c.Service, Name: event.Escape(c.full()), Time: seconds(c.Took)}
	switch message := event.Escape(c.Detail); {
	case c.Result == Failed:
		one.Failure = &junitFailure{cmp.Or(message, "failed"), "check", event.Escape(c.Hint)}
		s.Failures++
	case c.Result == Skipped:
		one.Skipped = &junitSkip{message}
		s.Skipped++
	case message != "":
		s.Output += one.Name + ": " + message + "\n"
	}
	s.Cases = append(s.Cases, one)
	s.Tests++
	s.took += c.Took
	s.Time = seconds(s.took)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
