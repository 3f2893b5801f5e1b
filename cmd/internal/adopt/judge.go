package adopt

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/scan"
	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/rule"
)

// minValue is the shortest value that is adopted, in bytes: shorter ones cannot be searched
// for in answers (see package scrub), and no provider's key is one.
const minValue = 8

// soon is how long a token must still be good for to be worth keeping.
const soon = 30 * 24 * time.Hour

// Judge says why a credential should not be moved into a store; "" is no reason against
// it. now is the time.
func Judge(c *Candidate, g *scan.Guesser, now time.Time) string {
	text := c.Value.Reveal() // to be told from its looks; it goes nowhere
	switch {
	case len(text) < minValue:
		return fmt.Sprintf("a value of %d bytes is too short to be one that answers can be searched for", len(text))
	case len(text) > keyring.MaxValue:
		return fmt.Sprintf("a value of %d bytes is more than a store keeps", len(text))
	}
	if why := shortLived(text, now); why != "" {
		return why
	}
	if why := strange(c, g); why != "" {
		return why
	}
	if !slices.ContainsFunc(c.Places, func(p *Place) bool { return p.Taken > 0 }) {
		return "every call with it was answered with 401 or 403, or not at all"
	}
	return ""
}

// shortLived names the kinds of token that a login renews by itself.
func shortLived(text string, now time.Time) string {
	for _, k := range []struct{ prefix, what string }{
		{"sk-ant-oat", "it is Claude's own login: its refresh tokens are good for a single use, and two owners of one would lock each other out"},
		{"sk-ant-ort", "it is Claude's own login: its refresh tokens are good for a single use, and two owners of one would lock each other out"},
		{"ya29.", "it is an access token of Google's, good for an hour"},
		{"ghu_", "it is a user token of a GitHub App, good for eight hours"},
		{"ghs_", "it is an installation token of a GitHub App, good for an hour"},
		{"xoxe.", "it is a rotating token of Slack's, good for twelve hours"},
		{"sl.", "it is an access token of Dropbox's, good for four hours"},
	} {
		if strings.HasPrefix(text, k.prefix) {
			return k.what + "; the login that renews it stays with the agent"
		}
	}
	if end := expiry(text); !end.IsZero() && end.Sub(now) < soon {
		return fmt.Sprintf("it is a token that ends on %s; the login that renews it stays with the agent", end.UTC().Format(time.DateOnly))
	}
	return ""
}

// expiry is when a JSON Web Token says that it ends (RFC 7519 4.1.4); zero for anything
// else.
func expiry(text string) time.Time {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || !strings.HasPrefix(text, "ey") {
		return time.Time{}
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var c struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(claims, &c) != nil || c.Exp <= 0 || c.Exp > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(c.Exp), 0)
}

// strange says that the key of one provider was sent to another's host. To bind it there
// would make a rule of what may have been an accident, or the agent's intent.
func strange(c *Candidate, g *scan.Guesser) string {
	owner := g.Guess("", c.Value).Service
	if owner == "" {
		return ""
	}
	e, ok := config.Lookup(owner)
	if !ok || e.OwnHost != "" {
		return "" // its hosts are not known
	}
	for _, p := range c.Places {
		if !covers(e, p) {
			return fmt.Sprintf("it looks like a key of %s and was sent to %s, which is none of its hosts", e.Title, event.Escape(p.Host))
		}
	}
	return ""
}

func covers(e config.Entry, p *Place) bool {
	for _, ep := range e.Endpoints {
		for _, text := range ep.Hosts {
			if h, err := rule.ParseHost(text); err == nil && h.Match(p.Host, p.Port) {
				return true
			}
		}
	}
	return false
}
