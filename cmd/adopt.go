package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"agentvault/cmd/internal/adopt"
	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/discover"
	"agentvault/cmd/internal/scan"
	"agentvault/keyring"
	"agentvault/proxy/rule"
)

// adoption moves what the child sent as credentials of its own into a store. It runs when
// the child has ended: nothing of it can be seen or answered by the agent.
type adoption struct {
	env        Env
	stores     *stores
	candidates []*adopt.Candidate
	guesser    *scan.Guesser
	ask        func(question string) (bool, error) // nil agrees
}

// adopted is a suggestion with the credential that it was given.
type adopted struct {
	discover.Suggestion
	candidate *adopt.Candidate
	hosts     []string // where it was seen: its binding
	origins   []scan.Origin
}

func newAdoption(l *live, c *adopt.Collector, ask func(string) (bool, error)) *adoption {
	stores := l.stores
	if stores == nil {
		stores = newStores(l.env, noFD, l.notice)
	}
	return &adoption{env: l.env, stores: stores, candidates: c.Candidates(), guesser: scan.NewGuesser(config.Catalogue()), ask: ask}
}

// matched finds the credential that each new service was called with. A service has one:
// where the child showed several, it is the one that most calls were taken with. The
// others, and those that should not be kept, are told.
func (a *adoption) matched(suggestions []discover.Suggestion) (fit []adopted, told []string) {
	for _, s := range suggestions {
		if s.Signed == "sigv4" || s.Auth == "sigv4" {
			told = append(told, signedBySomebody(s))
			continue
		}
		if s.Extend || s.Secret == "" {
			continue
		}
		var here []adopted
		for _, c := range a.candidates {
			if hosts := seenAt(c, s.Hosts); len(hosts) > 0 {
				here = append(here, adopted{Suggestion: s, candidate: c, hosts: hosts})
			}
		}
		slices.SortStableFunc(here, func(x, y adopted) int {
			return cmp.Or(cmp.Compare(taken(y.candidate), taken(x.candidate)), cmp.Compare(y.candidate.Calls(), x.candidate.Calls()))
		})
		chosen := false
		for _, h := range here {
			why := adopt.Judge(h.candidate, a.guesser, time.Now())
			if why == "" && chosen {
				why = "another one was used more at the same place, and a service has one secret"
			}
			if why == "" {
				why = h.complete()
			}
			if why != "" {
				told = append(told, fmt.Sprintf("not adopted: %s: %s", h.describe(), why))
				continue
			}
			chosen = true
			h.origins = scan.Origins(a.machine(), h.candidate.Value, h.User)
			for _, o := range h.origins {
				if o.Variable != "" && !slices.Contains(h.Env, o.Variable) {
					h.Env = append(h.Env, o.Variable)
				}
			}
			if e, ok := config.Lookup(h.Use); ok && !slices.ContainsFunc(h.Env, func(n string) bool { return !slices.Contains(e.Env, n) }) {
				h.Env = nil // the catalogue's names say it all
			}
			fit = append(fit, h)
		}
	}
	return fit, told
}

func (a *adoption) machine() scan.Machine {
	return scan.Machine{Home: a.env.home(), Dir: a.env.Dir, Environ: a.env.Environ}
}

// signedBySomebody speaks of requests that carry no key.
func signedBySomebody(s discover.Suggestion) string {
	return fmt.Sprintf("not adopted: the key for %s: AWS requests are signed and never carry it; if it stands in the environment: agentvault secret import --from-env", strings.Join(s.Hosts, ", "))
}

// seenAt are those of the hosts that the credential was sent to over TLS, or on loopback.
func seenAt(c *adopt.Candidate, hosts []string) []string {
	var out []string
	for _, p := range c.Places {
		secure := p.Scheme == "https" || p.Scheme == "wss" || rule.IsLoopback(p.Host)
		if place := discover.PlaceOf(p.Host, p.Port); secure && slices.Contains(hosts, place) && !slices.Contains(out, place) {
			out = append(out, place)
		}
	}
	slices.Sort(out)
	return out
}

func taken(c *adopt.Candidate) int {
	n := 0
	for _, p := range c.Places {
		n += p.Taken
	}
	return n
}

// complete fills in what only the request knew, or says why the service cannot have it.
func (h *adopted) complete() string {
	for _, p := range h.candidate.Places {
		if !slices.Contains(h.hosts, discover.PlaceOf(p.Host, p.Port)) {
			continue
		}
		if p.User != "" && h.User == "" {
			h.User = p.User
		}
		if p.AsUser && h.Use == "" {
			return "it stood where basic auth has the user, which no service of a file can say"
		}
	}
	return ""
}

// describe names a credential without a part of it.
func (h *adopted) describe() string {
	c := h.candidate
	kind := discover.Carried(c.Places[0].Kind)
	return fmt.Sprintf("%s (%d bytes), sent to %s in %s", kind, c.Value.Len(), strings.Join(h.hosts, ", "), count(c.Calls(), "call"))
}

// run asks about each, stores what is agreed to, and returns the services to be written.
func (a *adoption) run(ctx context.Context, suggestions []discover.Suggestion) ([]adopted, error) {
	fit, told := a.matched(suggestions)
	for _, line := range told {
		a.say("%s", line)
	}
	var done []adopted
	for i := range fit {
		h := &fit[i]
		if a.ask != nil {
			a.say("the agent has a credential of its own for %s: %s", h.Name, h.describe())
			yes, err := a.ask("move it into the keychain, for " + strings.Join(h.hosts, ", ") + " alone? [y/N] ")
			if err != nil {
				return done, err
			}
			if !yes {
				continue
			}
		}
		if err := a.keep(ctx, h); err != nil {
			return done, err
		}
		done = append(done, *h)
	}
	return done, nil
}

// keep stores the credential under a name that is free, or that it has already.
func (a *adoption) keep(ctx context.Context, h *adopted) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	store, err := a.stores.chain(ctx)
	if err != nil {
		return err
	}
	there, err := store.List(ctx)
	if err != nil {
		return err
	}
	name := h.Name
	for n := 2; ; n++ {
		i := slices.IndexFunc(there, func(e keyring.Entry) bool { return e.Name == name })
		if i < 0 {
			break
		}
		have, err := store.Get(ctx, keyring.Ref{Scheme: "keychain", Name: name})
		if err != nil {
			return fmt.Errorf("secret %q: %w", name, err)
		}
		if have.Value.Equal(h.candidate.Value) && !slices.ContainsFunc(h.hosts, func(x string) bool { return !slices.Contains(have.Hosts, x) }) {
			h.Secret = "keychain:" + name
			a.say("%s is stored already, for %s", name, strings.Join(have.Hosts, ", "))
			return nil
		}
		name = fmt.Sprintf("%s-%d", h.Name, n)
	}
	if err := store.Set(ctx, name, keyring.Item{Value: h.candidate.Value, Hosts: h.hosts, Set: time.Now().UTC()}); err != nil {
		return fmt.Errorf("secret %q: %w", name, err)
	}
	h.Secret = "keychain:" + name
	a.say("stored %s (%d bytes), for %s", name, h.candidate.Value.Len(), strings.Join(h.hosts, ", "))
	return nil
}

// farewell says where the originals are, which are the human's to remove.
func (a *adoption) farewell(done []adopted) {
	for _, h := range done {
		if len(h.origins) == 0 {
			a.say("%s: where the agent has it from could not be told; it still holds it", h.Name)
			continue
		}
		for _, o := range h.origins {
			in := "in " + o.Where
			if where, guessed := strings.CutPrefix(o.Where, "perhaps "); guessed {
				in = "perhaps in " + where
			}
			a.say("%s: the original is %s; to remove it there: %s", h.Name, in, o.Remove)
		}
	}
}

func (a *adoption) say(format string, args ...any) {
	fmt.Fprintf(a.env.Stderr, "agentvault: %s\n", printable(fmt.Sprintf(format, args...)))
}

// askAdoption asks on the terminal; nil where there is none to ask at.
func askAdoption(env Env) func(string) (bool, error) {
	if !env.interactive() {
		return nil
	}
	return func(question string) (bool, error) {
		tty, err := openTerminal()
		if err != nil {
			return false, fmt.Errorf("terminal: %w", err)
		}
		defer func() { _ = tty.Close() }()
		dropTypedAhead(tty) // it was meant for the agent
		answer, err := ask(tty, "agentvault: "+printable(question))
		if errors.Is(err, errInterrupted) {
			return false, nil
		}
		return answer == "y" || answer == "yes", err
	}
}
