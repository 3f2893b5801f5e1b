package auditlog

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"agentvault/cmd/internal/discover"
	"agentvault/cmd/internal/discover/text"
	"agentvault/proxy/event"
)

// maxGroups bounds what a grouping holds; calls of further groups are counted together.
const maxGroups = 100_000

// Group is what the calls with one key did.
type Group struct {
	Key    []string  `json:"key"` // a value for each of the names that were asked for
	Calls  int       `json:"calls"`
	Reads  int       `json:"reads"`  // GET, HEAD, OPTIONS, and what the catalogue knows to read
	Writes int       `json:"writes"` // everything else
	Errors int       `json:"errors"` // answered with 400 and more, or not at all
	Missed int       `json:"uncovered"`
	Denied int       `json:"denied"`
	Retry  int       `json:"retries"` // calls of an endpoint whose call before had an error, in one session
	Sent   int64     `json:"sent"`
	Recv   int64     `json:"received"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
}

// groupNames are the names that calls can be grouped by.
func groupNames() []string {
	return []string{"endpoint", "host", "service", "secret", "resource", "session", "status", "verdict", "method", "client", "label", "op"}
}

// Grouping folds calls into groups.
type Grouping struct {
	names     []string
	groups    map[string]*Group
	over      int
	templates discover.Templates
	failed    map[retryKey]bool // endpoints whose last call had an error
	key       []byte
}

type retryKey struct{ session, method, host, template, operation string }

// NewGrouping makes a grouping by one name or several with commas between them: endpoint,
// host, service, secret, resource, session, status, verdict, method, client, label, op.
func NewGrouping(by string) (*Grouping, error) {
	names := strings.Split(by, ",")
	for _, n := range names {
		if !slices.Contains(groupNames(), n) {
			return nil, fmt.Errorf("%q: unknown name (one of: %s)", n, strings.Join(groupNames(), ", "))
		}
	}
	return &Grouping{names: names, groups: make(map[string]*Group), failed: make(map[retryKey]bool)}, nil
}

// Add counts one call.
func (g *Grouping) Add(e *event.Event) error {
	template := ""
	if e.Path != "" {
		template = g.templates.Of(e.Host, e.Path)
	}
	b := g.key[:0]
	for i, n := range g.names {
		if i > 0 {
			b = append(b, 0)
		}
		if n == "resource" {
			if e.Path != "" {
				b = append(b, g.templates.Resource(e.Host, e.Path)...)
			}
			continue
		}
		b = appendKey(b, n, e, template)
	}
	g.key = b
	p := g.groups[string(b)]
	if p == nil {
		if len(g.groups) >= maxGroups {
			g.over++
			return nil
		}
		p = &Group{Key: strings.Split(string(b), "\x00"), First: e.Time}
		g.groups[string(b)] = p
	}
	g.count(p, e, template)
	return nil
}

func (g *Grouping) count(p *Group, e *event.Event, template string) {
	p.Calls++
	switch {
	case e.Method == "", e.Method == "CONNECT":
	case g.templates.Reads(e.Method, e.Host, e.Path, e.Operation):
		p.Reads++
	default:
		p.Writes++
	}
	wrong := e.Status >= 400 || e.Verdict == event.Failed || e.Phase == event.Start
	key := retryKey{e.Session, e.Method, e.Host, template, e.Operation}
	if g.failed[key] {
		p.Retry++
	}
	if wrong {
		p.Errors++
		if len(g.failed) < maxGroups {
			g.failed[key] = true
		}
	} else {
		delete(g.failed, key)
	}
	switch e.Verdict {
	case event.Uncovered:
		p.Missed++
	case event.Denied:
		p.Denied++
	}
	p.Sent += e.Sent
	p.Recv += e.Received
	if e.Time.Before(p.First) {
		p.First = e.Time
	}
	if e.Time.After(p.Last) {
		p.Last = e.Time
	}
}

// appendKey appends the value of a call under one name.
func appendKey(b []byte, name string, e *event.Event, template string) []byte {
	switch name {
	case "endpoint":
		if e.Method != "" {
			b = append(append(b, e.Method...), ' ')
		}
		b = append(append(b, e.HostPort()...), template...)
		if e.Operation != "" {
			b = append(append(b, ' '), e.Operation...)
		}
		return b
	case "host":
		return append(b, e.HostPort()...)
	case "service":
		return append(b, e.Service...)
	case "secret":
		return append(b, e.Secret...)
	case "session":
		return append(b, e.Session...)
	case "status":
		if e.Status == 0 {
			return b
		}
		return strconv.AppendInt(b, int64(e.Status), 10)
	case "verdict":
		return append(b, e.Verdict...)
	case "method":
		return append(b, e.Method...)
	case "client":
		return append(b, e.Client...)
	case "label":
		return append(b, e.Label...)
	case "op":
		return append(b, e.Operation...)
	}
	return b
}

// Groups are the groups, those with the most calls first.
func (g *Grouping) Groups() []Group {
	all := make([]Group, 0, len(g.groups))
	for _, p := range g.groups {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), slices.Compare(a.Key, b.Key))
	})
	return all
}

// figure is a column of numbers.
type figure struct {
	name  string
	value func(x *Group) int
}

// figures are the columns; a narrow terminal gets those that the first name asks for.
func figures(name string, narrow bool) []figure {
	calls := figure{"CALLS", func(x *Group) int { return x.Calls }}
	reads := figure{"READS", func(x *Group) int { return x.Reads }}
	writes := figure{"WRITES", func(x *Group) int { return x.Writes }}
	errors := figure{"ERRORS", func(x *Group) int { return x.Errors }}
	retries := figure{"RETRIES", func(x *Group) int { return x.Retry }}
	missed := figure{"UNCOVERED", func(x *Group) int { return x.Missed }}
	denied := figure{"DENIED", func(x *Group) int { return x.Denied }}
	switch {
	case !narrow:
		return []figure{calls, reads, writes, errors, retries, missed, denied}
	case name == "endpoint":
		return []figure{calls, errors, retries, missed}
	case name == "resource":
		return []figure{calls, reads, writes, errors}
	}
	return []figure{calls, writes, errors, missed}
}

// Table writes the groups, a row each. A narrow terminal gets fewer columns.
func (g *Grouping) Table(w io.Writer, o Options) error {
	groups := g.Groups()
	if len(groups) == 0 {
		_, err := io.WriteString(w, "no calls\n")
		return err
	}
	slim, last := o.Width > 0 && o.Width < narrow+20, "2006-01-02 15:04"
	if slim {
		last = "01-02 15:04"
	}
	columns := figures(g.names[0], slim)
	keys := g.widths(groups)
	if o.Width > 0 {
		left := o.Width - 2*(len(keys)-1) - 2 - len(last)
		for _, c := range columns {
			left -= 2 + max(len(c.name), 5)
		}
		share(keys, max(left, 20))
	}
	out := bufio.NewWriter(w)
	var line []byte
	for i, n := range g.names {
		line = column(line, strings.ToUpper(n), keys[i], true)
	}
	for _, c := range columns {
		line = column(line, c.name, max(len(c.name), 5), false)
	}
	out.Write(append(line[2:], "  LAST\n"...)) // an error comes back from Flush
	for _, x := range groups {
		line = line[:0]
		for i := range keys {
			line = column(line, shown(x.Key[i]), keys[i], true)
		}
		for _, c := range columns {
			line = column(line, strconv.Itoa(c.value(&x)), max(len(c.name), 5), false)
		}
		line = o.local(x.Last).AppendFormat(append(line, "  "...), last)
		out.Write(append(line[2:], '\n'))
	}
	if g.over > 0 {
		fmt.Fprintf(out, "and %s in more groups\n", text.Count(g.over, "call"))
	}
	return out.Flush()
}

// widths are those of the keys, uncut.
func (g *Grouping) widths(groups []Group) []int {
	keys := make([]int, len(g.names))
	for i, n := range g.names {
		keys[i] = len(n)
		for _, x := range groups {
			keys[i] = max(keys[i], text.Width(shown(x.Key[i])))
		}
	}
	return keys
}

// shown is a key for people.
func shown(s string) string {
	if s == "" {
		return "—"
	}
	return event.Escape(s)
}

// share cuts the widest columns until they fit.
func share(widths []int, total int) {
	for {
		sum, widest := 0, 0
		for i, w := range widths {
			sum += w
			if w > widths[widest] {
				widest = i
			}
		}
		if sum <= total || widths[widest] <= 8 {
			return
		}
		widths[widest]--
	}
}

// JSON writes the groups, one object a line.
func (g *Grouping) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	for _, x := range g.Groups() {
		if err := e.Encode(x); err != nil {
			return err
		}
	}
	return nil
}
