package discover

import (
	"fmt"
	"strconv"
	"strings"

	"agentvault/cmd/internal/discover/text"
	"agentvault/proxy/event"
)

// end writes the coverage and what to type next.
func (r *report) end(endpoints []Endpoint) {
	c := CoverageOf(endpoints)
	fmt.Fprintf(&r.b, "\n%s\n", r.style.Dim(r.period()))
	if r.o.Over > 0 {
		fmt.Fprintf(&r.b, "And %s to more endpoints than a report holds.\n", text.Count(r.o.Over, "call"))
	}
	now := 0
	for i := range endpoints {
		if e := &endpoints[i]; e.Kind == Call && r.o.coveredNow(e) {
			now++
		}
	}
	switch {
	case c.Endpoints == 0:
		r.b.WriteString("No call could be seen: connections only.\n")
		return
	case c.Covered == c.Endpoints:
		fmt.Fprintf(&r.b, "%s, all covered (100 %%).\n", text.Count(c.Endpoints, "endpoint"))
		return
	}
	fmt.Fprintf(&r.b, "%s, %s covered (%d %%).", text.Count(c.Endpoints, "endpoint"), text.Number(c.Covered), c.Percent)
	if now > 0 {
		fmt.Fprintf(&r.b, " The configuration of now covers %s more.", text.Number(now))
	}
	closing := ""
	if !r.o.Open {
		closing = Closing(Suggest(endpoints, r.o.Knowledge), r.o)
	}
	if closing == "" {
		r.b.WriteString("\n")
		return
	}
	r.b.WriteString(" " + closing)
}

// Closing says what to type so that the rest is covered; "" for nothing.
func Closing(suggestions []Suggestion, o Options) string {
	commands := Commands(suggestions, o.Again)
	if len(commands) == 0 {
		return ""
	}
	first := covers(len(commands)) + " the rest:\n"
	if o.Written {
		first = "What is being written needs:\n"
	}
	return first + "  " + strings.Join(commands, "\n  ") + "\n"
}

// period is a line about when all this was, and what its columns are.
func (r *report) period() string {
	to := r.last.Format("15:04")
	if !r.oneDay {
		to = r.last.Format("2006-01-02 15:04")
	}
	line := "From " + r.first.Format("2006-01-02 15:04") + " to " + to
	switch {
	case r.when > 0:
		return line + "; median duration, bytes both ways, first and last call."
	case r.median > 0:
		return line + "; median duration, bytes both ways."
	}
	return line + "."
}

// covers is the start of a sentence about n commands.
func covers(n int) string {
	words := []string{"No command covers", "One command covers", "Two commands cover", "Three commands cover", "Four commands cover", "Five commands cover"}
	if n < len(words) {
		return words[n]
	}
	return strconv.Itoa(n) + " commands cover"
}

// Commands gives what to type so that the suggestions become services: the secrets where
// some are needed, then the command that writes the configuration from the session.
func Commands(suggestions []Suggestion, again string) []string {
	var all []string
	for _, s := range suggestions {
		if !s.NeedsSecret() {
			continue
		}
		hosts := s.bindable()
		all = append(all, "agentvault secret set "+s.Name+hosts)
		for _, name := range s.Entry.More {
			all = append(all, "agentvault secret set "+name+hosts)
		}
	}
	if len(suggestions) > 0 && again != "" {
		all = append(all, "agentvault discover "+event.Escape(again)+" --write")
	}
	return all
}

// manyHosts is from where a command that lists them is read by nobody.
const manyHosts = 4

// bindable are the flags that bind a secret to all hosts of the service. The hosts of a
// known service may be left out where the secret has the service's name.
func (s *Suggestion) bindable() string {
	hosts := s.Hosts
	if s.Use != "" && !s.Entry.OwnHost {
		hosts = s.Entry.Hosts
		if len(hosts) >= manyHosts && s.Name == s.Use && len(s.Entry.More) == 0 {
			return ""
		}
	}
	var b strings.Builder
	for _, h := range hosts {
		b.WriteString(" --host " + h)
	}
	return b.String()
}
