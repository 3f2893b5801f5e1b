package event

import "time"

// Service is how a session stands with one of its services at a moment. Like Head it is
// for views alone, and no part of the log. It holds no value of a secret.
type Service struct {
	Name  string   `json:"name"`
	Hosts []string `json:"hosts,omitempty"`
	Auth  string   `json:"auth,omitempty"`  // how the credential is sent: "bearer", "header", ...
	Allow []string `json:"allow,omitempty"` // its rules; no allow means that everything is allowed
	Deny  []string `json:"deny,omitempty"`
	Ask   []string `json:"ask,omitempty"`
	Ref   string   `json:"ref,omitempty"`   // of its secret; empty for a service without one
	State Standing `json:"state,omitempty"` // of its secret; empty for a service without one

	Read    time.Time `json:"read,omitzero"`    // when the backend last gave the value
	Expires time.Time `json:"expires,omitzero"` // when the value ends; zero where nobody knows
	// Leased says that the value was issued for this session and is given back at its end.
	Leased bool   `json:"leased,omitempty"`
	Note   string `json:"note,omitempty"` // what a human should know of it, such as why there is none
}

// Standing is what a session has of a secret.
type Standing string

// The standings.
const (
	Unread  Standing = "unread"  // nobody has asked for it yet
	Cached  Standing = "cached"  // its backend stands behind it
	Aged    Standing = "stale"   // its backend is out of reach, and the last value serves
	Missing Standing = "missing" // there is none: the backend says no, or was never reached
)
