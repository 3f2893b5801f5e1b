// Package event says what happened on the network in one session.
//
// The order is fixed: an Event is appended to the Log first, which loses nothing, and
// handed to the Bus second, which drops for a subscriber that does not keep up and
// counts what it dropped. An Event holds plain values, never a secret.
package event

import "time"

// Phase tells the first event of a call from its last.
type Phase string

// The phases. A call has one start and one end with the same Call number; a note
// stands alone.
const (
	Start Phase = "start"
	End   Phase = "end"
	Note  Phase = "note"
)

// Verdict is what became of a call.
type Verdict string

// The verdicts, see docs/log.md.
const (
	Injected  Verdict = "injected"  // covered, a credential was added
	Passed    Verdict = "passed"    // covered, or allowed without a service: nothing was added
	Uncovered Verdict = "uncovered" // no service, or no allow rule, covers it
	Denied    Verdict = "denied"    // refused by a rule, a policy or an invariant
	Held      Verdict = "held"      // waits for the human
	Tunnelled Verdict = "tunnelled" // not intercepted, as the configuration says
	Bypassed  Verdict = "bypassed"  // went around the proxy
	Failed    Verdict = "failed"    // covered or not, it did not get through
)

// Refused ends the Reason of a call that the human was asked about and said no to.
const Refused = "the human refused this call"

// State is where a secret stands in its life: what is refreshed, rotated or out of reach.
type State string

// The states, see docs/log.md.
const (
	Rotated   State = "rotated"   // it was refused and had changed: the new value was sent
	Previous  State = "previous"  // the new value was refused, the one before it still works and serves
	Stale     State = "stale"     // its backend is out of reach: the last value serves, for a bounded time
	Reachable State = "reachable" // note: the backend answers again
	Refreshed State = "refreshed" // note: the human dropped what the session had cached
	Leased    State = "leased"    // note: its backend has issued it for this session
	Returned  State = "returned"  // note: what was leased was given back at the end
	Left      State = "left"      // note: leased for the session, and not given back at its end
)

// Event is one line of the log. Field names are the log's format.
type Event struct {
	Session string    `json:"session"`
	Call    uint64    `json:"call"` // counts from 1 within the session
	Phase   Phase     `json:"phase"`
	Time    time.Time `json:"time"`

	Method string `json:"method,omitempty"` // CONNECT for a tunnel or a failed handshake
	Scheme string `json:"scheme,omitempty"` // https, http, wss, ws, tcp
	Host   string `json:"host,omitempty"`   // lower case, no port
	Port   int    `json:"port,omitempty"`
	Path   string `json:"path,omitempty"` // without query, scrubbed
	// Operation is what the call asks for where method and path do not say it, such as
	// "GetItem" or "mutation issueCreate": short words of the protocol, never free text.
	Operation string `json:"operation,omitempty"`

	Service string `json:"service,omitempty"`
	Secret  string `json:"secret,omitempty"` // the ref, never the value
	Where   string `json:"where,omitempty"`  // the slot that was injected: "header Authorization"
	// Label is what the catalogue tells from the shape of the key that was injected: "live"
	// or "test"; empty where it cannot be told.
	Label string `json:"label,omitempty"`
	// State is what was not as usual with the secret that was injected, or, in a note, what
	// became of one; empty for a value that its backend stands behind.
	State State `json:"state,omitempty"`

	// NotAllowed says that Service has the call's place but no allow rule of it names the
	// call: whatever became of it, it was not covered.
	NotAllowed bool `json:"not_allowed,omitempty"`

	Verdict Verdict `json:"verdict,omitempty"`
	Reason  string  `json:"reason,omitempty"` // a sentence for people
	Code    string  `json:"code,omitempty"`   // the stable code of an answer of ours
	// Asked is what became of the question to the human: "yes", "no"; empty where none was
	// asked, and in the line that tells that the call waits.
	Asked string `json:"asked,omitempty"`

	Status   int           `json:"status,omitempty"`
	Sent     int64         `json:"sent,omitempty"`     // request body, bytes
	Received int64         `json:"received,omitempty"` // response body, bytes
	Duration time.Duration `json:"ns,omitempty"`       // nanoseconds, from the request's head to the last byte
	Timing   *Timing       `json:"timing,omitempty"`

	// Auth is the kind of credential that the child itself sent: bearer, basic,
	// x-api-key, cookie, query:NAME, sigv4, placeholder; empty for none.
	Auth string `json:"auth,omitempty"`
	// Client names the program where the kernel or the User-Agent tells.
	Client string `json:"client,omitempty"`

	// Lost is how many events the Log could not write just before this one, because
	// the disk was full for instance. The Log sets it; nobody else does.
	Lost uint64 `json:"lost,omitempty"`
}

// Timing splits the duration, in nanoseconds. A kept connection has no name, connect
// or TLS part. Those of one that was made ahead began before the call, and may be longer
// than it.
type Timing struct {
	Name    time.Duration `json:"name,omitempty"`
	Connect time.Duration `json:"connect,omitempty"`
	TLS     time.Duration `json:"tls,omitempty"`
	Wait    time.Duration `json:"wait,omitempty"`
	Body    time.Duration `json:"body,omitempty"`
	Kept    bool          `json:"kept,omitempty"`  // the connection had served another call before
	Ahead   bool          `json:"ahead,omitempty"` // it was made while the agent was still connecting to us
}
