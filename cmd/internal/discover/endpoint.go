package discover

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"agentvault/proxy/event"
)

// Kind says what an Endpoint is.
type Kind string

// The kinds. Only calls count for coverage: of the others no path is known.
const (
	Call      Kind = "call"      // requests that the proxy saw
	Tunnel    Kind = "tunnel"    // connections that it was told not to look into
	Handshake Kind = "handshake" // connections without a call: the client refused the session's certificate or spoke no TLS, or the host of a tunnel was not reached
	Direct    Kind = "direct"    // connections that went around the proxy
)

// Grade says how much it matters that an endpoint is not covered, the first that applies.
type Grade string

// The grades, from bad to harmless.
const (
	Credential Grade = "credential" // the child sent a credential of its own
	Refused    Grade = "refused"    // answered with 401 or 403
	Writes     Grade = "writes"     // any method but GET, HEAD and OPTIONS, and an operation that does not read
	Reads      Grade = "reads"      // reads anonymously
)

// Endpoint is what a session did with one method on one path template of one host.
type Endpoint struct {
	Kind   Kind   `json:"kind"`
	Method string `json:"method,omitempty"`
	Scheme string `json:"scheme,omitempty"`
	Host   string `json:"host"`
	Port   int    `json:"port,omitempty"`
	Path   string `json:"path,omitempty"` // the template
	// Operation is Event.Operation: of one path, each is an endpoint of its own.
	Operation string `json:"operation,omitempty"`

	Calls int       `json:"calls"`
	Open  int       `json:"open,omitempty"` // of the calls, those without an end
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`

	Statuses   map[int]int   `json:"statuses,omitempty"` // status: calls
	LastStatus int           `json:"last_status,omitempty"`
	Sent       int64         `json:"sent"`     // bytes of all request bodies
	Received   int64         `json:"received"` // bytes of all response bodies
	Median     time.Duration `json:"median_ns,omitempty"`

	Auth    []string      `json:"auth,omitempty"` // kinds of credential that the child sent, sorted
	Service string        `json:"service,omitempty"`
	Verdict event.Verdict `json:"verdict,omitempty"`   // of the last uncovered call, else of the last
	Reason  string        `json:"reason,omitempty"`    // of that call
	Covered bool          `json:"covered"`             // every call was
	Missed  int           `json:"uncovered,omitempty"` // calls that were not
	Denied  int           `json:"denied,omitempty"`    // calls that were refused by a rule or a policy
	Failed  int           `json:"failed,omitempty"`    // calls that did not get through
	Trouble string        `json:"trouble,omitempty"`   // the reason of the last of these two
	Grade   Grade         `json:"grade,omitempty"`     // empty when covered, and for connections
	Label   string        `json:"label,omitempty"`     // "telemetry", "DNS over HTTPS"
	Client  string        `json:"client,omitempty"`

	// Allow are the narrowest rules that allow all of its calls, one for each operation;
	// empty where none can, or should: see mends.
	// They differ from Path for names with an encoded slash, which a rule must match in
	// both readings: /projects/**/issues.
	Allow []string `json:"allow,omitempty"`
}

// Target is the path with the operation behind it.
func (e *Endpoint) Target() string {
	return (&event.Event{Operation: e.Operation}).WithOperation(e.Path)
}

// HostPort is the host, with the port where it is not the scheme's own.
func (e *Endpoint) HostPort() string {
	if e.Scheme == "tcp" && e.Port == 443 { // a bare tunnel has no port of its own
		return e.Host + ":443"
	}
	return event.HostPort(e.Scheme, e.Host, e.Port)
}

// Covers reports whether a service answered for the call e: it named the call's place and
// let it through, or one of its rules forbade it. A call that was let through because
// everything is, was not covered.
func Covers(e *event.Event) bool {
	switch {
	case e.Service == "", e.NotAllowed, e.Verdict == event.Uncovered, e.Verdict == event.Bypassed:
		return false
	case e.Verdict == event.Denied:
		// No allow rule matched: unmatched = "deny", or the child showed the placeholder
		// where the service does not want it shown.
		return e.Code != codeUnmatched && e.Code != codePlaceholder
	}
	return true
}

// Codes of the proxy's answers, see docs/errors.md.
const (
	codeUnmatched   = "no_service"
	codeHeld        = "held_and_refused"
	codePlaceholder = "placeholder_misdirected"
)

// mends reports whether configuration would let the uncovered call e through. Of what the
// proxy refused that is so only where it lacked a rule: a path that can be read in two
// ways, an address that is never dialled, a placeholder on its way to a stranger are
// nothing to suggest a service for.
func mends(e *event.Event) bool {
	if e.Verdict != event.Denied {
		return true
	}
	switch e.Code {
	case "", codeUnmatched, codeHeld:
		return true
	case codePlaceholder:
		return e.Service != ""
	}
	return false
}

// kindOf says what kind of endpoint the event belongs to.
func kindOf(e *event.Event) Kind {
	switch {
	case e.Verdict == event.Bypassed:
		return Direct
	case e.Verdict == event.Tunnelled:
		return Tunnel
	case e.Method == "CONNECT" && e.Path == "", e.Scheme == "tcp":
		return Handshake
	}
	return Call
}

func gradeOf(e *Endpoint) Grade {
	switch {
	case e.Covered, e.Kind != Call:
		return ""
	case len(e.Auth) > 0:
		return Credential
	case e.Statuses[401]+e.Statuses[403] > 0:
		return Refused
	case e.Method == "GET", e.Method == "HEAD", e.Method == "OPTIONS", readsByName(e.Operation):
		return Reads
	}
	return Writes
}

// compareEndpoints orders by host and port, calls first, then by path and method.
func compareEndpoints(a, b Endpoint) int {
	return cmp.Or(
		cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port),
		cmp.Compare(kindOrder(a.Kind), kindOrder(b.Kind)),
		cmp.Compare(a.Path, b.Path), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Scheme, b.Scheme))
}

func kindOrder(k Kind) int { return slices.Index([]Kind{Call, Tunnel, Handshake, Direct}, k) }

// Coverage counts what is covered.
type Coverage struct {
	Endpoints int `json:"endpoints"` // of kind call
	Covered   int `json:"covered"`
	Percent   int `json:"percent"` // rounded down, so that 100 means all; 100 of none
}

// CoverageOf counts the calls among the endpoints.
func CoverageOf(endpoints []Endpoint) Coverage {
	c := Coverage{Percent: 100}
	for i := range endpoints {
		if endpoints[i].Kind != Call {
			continue
		}
		c.Endpoints++
		if endpoints[i].Covered {
			c.Covered++
		}
	}
	if c.Endpoints > 0 {
		c.Percent = 100 * c.Covered / c.Endpoints
	}
	return c
}

// labelOf names what an endpoint is for where that is known and worth saying.
func labelOf(host, path string) string {
	if path == "/dns-query" || host == "dns.google" && path == "/resolve" || host == "cloudflare-dns.com" {
		return "DNS over HTTPS"
	}
	first, _, _ := strings.Cut(host, ".")
	switch first {
	case "telemetry", "metrics", "analytics", "statsig", "events", "stats", "browser-intake-datadoghq-com", "app-analytics-services":
		return "telemetry"
	}
	for _, end := range []string{
		"sentry.io", "statsigapi.net", "featureassets.org", "segment.io", "segment.com", "mixpanel.com", "amplitude.com", "posthog.com",
		"datadoghq.com", "datadoghq.eu", "honeycomb.io", "bugsnag.com", "rollbar.com", "google-analytics.com", "launchdarkly.com", "newrelic.com", "nr-data.net",
	} {
		if host == end || strings.HasSuffix(host, "."+end) {
			return "telemetry"
		}
	}
	return ""
}
