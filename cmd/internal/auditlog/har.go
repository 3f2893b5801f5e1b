package auditlog

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"agentvault/proxy/event"
)

// HAR writes the chosen HTTP calls as a HAR 1.2 archive, which browsers' tools, mitmproxy
// and Charles open. The log has no bodies, no headers and no queries, so neither has the
// archive; what agentvault knows beyond HAR stands in members that begin with "_av".
// Connections without a request (tunnels, what went around) and calls without an end are
// left out. version is agentvault's own.
func HAR(w io.Writer, q Query, version string) (Stats, error) {
	q.Timing = true
	out := bufio.NewWriterSize(w, 64<<10)
	creator, err := json.Marshal(map[string]string{"name": "agentvault", "version": version})
	if err != nil {
		return Stats{}, err
	}
	out.WriteString(`{"log":{"version":"1.2","creator":` + string(creator) + `,"entries":[`)
	first := true
	stats, err := q.Each(func(e *event.Event) error {
		if e.Phase != event.End || e.Path == "" || e.Method == "" {
			return nil
		}
		b, err := json.Marshal(harEntry(e))
		if err != nil {
			return err
		}
		if !first {
			out.WriteByte(',')
		}
		first = false
		out.WriteByte('\n')
		_, err = out.Write(b)
		return err
	})
	if err != nil {
		return stats, err
	}
	out.WriteString("\n]}}\n")
	return stats, out.Flush()
}

// none is an array that HAR wants to be there.
type none [0]struct{}

type entry struct {
	Started  string      `json:"startedDateTime"`
	Time     float64     `json:"time"` // milliseconds, as all times of HAR
	Request  harRequest  `json:"request"`
	Response harResponse `json:"response"`
	Cache    struct{}    `json:"cache"`
	Timings  harTimings  `json:"timings"`
	Type     string      `json:"_resourceType"` // of Chromium's tools, which filter by it
	Session  string      `json:"_avSession"`
	Call     uint64      `json:"_avCall"`
	Verdict  string      `json:"_avVerdict,omitempty"`
	Comment  string      `json:"comment,omitempty"` // the operation, where the path does not say it
	Service  string      `json:"_avService,omitempty"`
	Reason   string      `json:"_avReason,omitempty"`
}

type harRequest struct {
	Method  string `json:"method"`
	URL     string `json:"url"`
	Version string `json:"httpVersion"`
	Cookies none   `json:"cookies"`
	Headers none   `json:"headers"`
	Query   none   `json:"queryString"`
	Head    int    `json:"headersSize"`
	Body    int64  `json:"bodySize"`
}

type harResponse struct {
	Status   int        `json:"status"`
	Text     string     `json:"statusText"`
	Version  string     `json:"httpVersion"`
	Cookies  none       `json:"cookies"`
	Headers  none       `json:"headers"`
	Content  harContent `json:"content"`
	Redirect string     `json:"redirectURL"`
	Head     int        `json:"headersSize"`
	Body     int64      `json:"bodySize"`
	// Transfer keeps Chromium's tools from adding the -1 of an unknown head to the body.
	Transfer int64 `json:"_transferSize"`
}

type harContent struct {
	Size int64  `json:"size"`
	Type string `json:"mimeType"`
}

// harTimings has -1 for what does not apply; send, wait and receive must not be -1.
type harTimings struct {
	Blocked float64 `json:"blocked"`
	DNS     float64 `json:"dns"`
	Connect float64 `json:"connect"` // includes ssl
	SSL     float64 `json:"ssl"`
	Send    float64 `json:"send"`
	Wait    float64 `json:"wait"`
	Receive float64 `json:"receive"`
}

func harEntry(e *event.Event) entry {
	t := timings(e)
	total := t.Send + t.Wait + t.Receive
	for _, part := range []float64{t.Blocked, t.DNS, t.Connect} {
		total += max(part, 0)
	}
	kind := "fetch"
	if e.Scheme == "ws" || e.Scheme == "wss" {
		kind = "websocket"
	}
	return entry{
		Started: e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), // some readers take milliseconds alone
		Time:    total,
		Request: harRequest{Method: e.Method, URL: url(e), Version: "HTTP/1.1", Head: -1, Body: e.Sent},
		Response: harResponse{
			Status: e.Status, Version: "HTTP/1.1", Head: -1, Body: e.Received, Transfer: e.Received,
			Content: harContent{Size: e.Received, Type: "x-unknown"},
		},
		Timings: t, Type: kind,
		Session: e.Session, Call: e.Call, Verdict: string(e.Verdict), Comment: event.Escape(e.Operation), Service: e.Service, Reason: event.Escape(e.Reason),
	}
}

// timings splits the duration. What the parts leave over of it was spent in agentvault:
// resolving the secret, asking the human.
func timings(e *event.Event) harTimings {
	t := harTimings{Blocked: -1, DNS: -1, Connect: -1, SSL: -1, Wait: ms(e.Duration)}
	if e.Timing == nil {
		return t
	}
	x := e.Timing
	t.Wait, t.Receive = ms(x.Wait), ms(x.Body)
	if x.Ahead { // before the call, or beside it: no part of its duration
		t.Blocked = ms(max(e.Duration-x.Wait-x.Body, 0))
		return t
	}
	if !x.Kept {
		t.DNS, t.Connect, t.SSL = ms(x.Name), ms(x.Connect+x.TLS), ms(x.TLS)
	}
	if left := e.Duration - x.Name - x.Connect - x.TLS - x.Wait - x.Body; left > 0 {
		t.Blocked = ms(left)
	}
	return t
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// url is the address without its query, which the log does not have.
func url(e *event.Event) string {
	host := e.Host
	usual := e.Port == 0 || e.Port == 443 && (e.Scheme == "https" || e.Scheme == "wss") || e.Port == 80 && (e.Scheme == "http" || e.Scheme == "ws")
	switch {
	case !usual:
		host = net.JoinHostPort(host, strconv.Itoa(e.Port))
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	scheme := e.Scheme
	if scheme == "" {
		scheme = "https"
	}
	return scheme + "://" + host + ascii(e.Path)
}

// ascii writes what a URL may not hold as percent escapes: the marks in place of secrets
// are such characters.
func ascii(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
