package auditlog

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"time"

	"agentvault/proxy/event"
)

// JSON writes the lines of the log that ended the chosen calls, as they stand there, hash
// included. Without a filter every line is written, also those of starts and those that
// are no event, so that the output of one session is its log.
func JSON(w io.Writer, q Query) (Stats, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	if q.Filter.empty() && q.Since.IsZero() {
		stats, err := q.copy(out)
		if err != nil {
			return stats, err
		}
		return stats, out.Flush()
	}
	var own []byte
	stats, err := q.EachLine(func(call *event.Event, line []byte) error {
		if line == nil { // it has no end: its start, written anew
			own = event.AppendJSON(own[:0], call)
			line = own
		}
		out.Write(line) // an error comes back from WriteByte
		return out.WriteByte('\n')
	})
	if err != nil {
		return stats, err
	}
	return stats, out.Flush()
}

// CSV writes the chosen calls as comma-separated values with a line of names. A cell that
// a spreadsheet would run as a formula has an apostrophe before it.
func CSV(w io.Writer, q Query) (Stats, error) {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"session", "call", "time", "method", "scheme", "host", "port", "path", "status", "verdict",
		"service", "secret", "label", "state", "asked", "auth", "code", "reason", "client", "sent", "received", "ms", "operation"}); err != nil {
		return Stats{}, err
	}
	row := make([]string, 0, 23)
	stats, err := q.Each(func(e *event.Event) error {
		row = append(row[:0], e.Session, strconv.FormatUint(e.Call, 10), e.Time.UTC().Format(time.RFC3339Nano), e.Method, e.Scheme, e.Host,
			number(int64(e.Port)), e.Path, number(int64(e.Status)), string(e.Verdict), e.Service, e.Secret, e.Label, string(e.State), e.Asked, e.Auth, e.Code, e.Reason, e.Client,
			strconv.FormatInt(e.Sent, 10), strconv.FormatInt(e.Received, 10), milliseconds(e.Duration), e.Operation)
		for i, cell := range row {
			row[i] = harmless(event.Escape(cell))
		}
		return out.Write(row)
	})
	if err != nil {
		return stats, err
	}
	out.Flush()
	return stats, out.Error()
}

// number is empty for what is not known.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func milliseconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 3, 64)
}

// harmless keeps a spreadsheet from reading a cell as a formula.
func harmless(cell string) string {
	if cell != "" && (cell[0] == '=' || cell[0] == '+' || cell[0] == '-' || cell[0] == '@') {
		return "'" + cell
	}
	return cell
}

// copy writes the sessions' lines as they are. A torn line is left out.
func (q Query) copy(out *bufio.Writer) (Stats, error) {
	var stats Stats
	for _, s := range q.Sessions {
		f, err := event.Open(s.Path)
		if err != nil {
			return stats, err
		}
		for line, err := range event.Lines(f, s.Path) {
			stats.Lines++
			if errors.Is(err, event.ErrTorn) {
				stats.Torn++
				continue
			}
			if err == nil {
				out.Write(line.Bytes) // an error comes back from WriteByte
				err = out.WriteByte('\n')
			}
			if err != nil {
				f.Close()
				return stats, err
			}
		}
		f.Close()
	}
	stats.Calls = stats.Lines - stats.Torn
	return stats, nil
}
