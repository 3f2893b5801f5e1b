package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// text writes the explanation for people.
func (e *explanation) text(w io.Writer, config string) error {
	fmt.Fprintln(w, printable(e.String()))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range e.steps {
		fmt.Fprintf(t, "  %s\t%s\n", s.What, printable(s.Text))
	}
	if err := t.Flush(); err != nil || config == "" {
		return err
	}
	_, err := fmt.Fprintf(w, "\nthis would cover it:\n\n%s", indented([]byte(config)))
	return err
}

// json writes it for programs.
func (e *explanation) json(w io.Writer, good bool, config string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Method    string     `json:"method"`
		URL       string     `json:"url"`
		Operation string     `json:"operation"`
		Covered   bool       `json:"covered"`
		Service   string     `json:"service"`
		Rule      string     `json:"rule"`
		Unmatched string     `json:"unmatched"`
		Steps     []decision `json:"steps"`
		Config    string     `json:"config"`
	}{e.method, e.url(), e.operation, good, e.match.Service, e.match.Rule, e.compiled.Unmatched, e.steps, config})
}

// decision is one thing that decides about a call.
type decision struct {
	What string `json:"what"`
	Text string `json:"text"`
}
