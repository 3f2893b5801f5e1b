package cmd

import (
	"fmt"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
	"agentvault/proxy/event"
)

// services says how the session stands with its services now, those that were added in
// the middle of it included. It asks no backend.
func (l *live) services() []event.Service {
	known := make(map[string]keyring.Status)
	for _, s := range l.resolver.Statuses() {
		known[s.Ref.String()] = s
	}
	list := []event.Service{}
	for _, c := range l.book.current().Services {
		s := event.Service{Name: c.Name}
		if len(c.Endpoints) > 0 {
			rules := c.Endpoints[0].Rule
			s.Auth, s.Allow, s.Deny, s.Ask = c.Endpoints[0].Auth, texts(rules.Allow), texts(rules.Deny), texts(rules.Ask)
		}
		s.Hosts = texts(c.Hosts())
		if !c.Secret.IsZero() {
			s.Ref = c.Secret.String()
		}
		for _, ref := range refsOf(c) {
			stand(&s, ref, known[ref.String()])
		}
		list = append(list, s)
	}
	return list
}

// texts writes what stands in the file.
func texts[T fmt.Stringer](list []T) []string {
	var out []string
	for _, v := range list {
		out = append(out, v.String())
	}
	return out
}

// stand adds what is known of one secret of a service. One that is worse off than those
// before it speaks for the service.
func stand(s *event.Service, ref keyring.Ref, known keyring.Status) {
	state, note := event.Unread, ""
	switch {
	case known.Stale:
		state, note = event.Aged, known.Note
	case known.Held:
		state, note = event.Cached, known.Note
	case known.Err != nil:
		state, note = event.Missing, known.Err.Error()
	}
	if s.State != "" && severity(state) <= severity(s.State) {
		return
	}
	if ref.String() != s.Ref && note == "" {
		note = ref.String()
	}
	s.State, s.Note, s.Read, s.Expires, s.Leased = state, note, known.Fetched, known.Expires, known.Leased
}

func severity(s event.Standing) int {
	switch s {
	case event.Missing:
		return 3
	case event.Aged:
		return 2
	case event.Unread:
		return 1
	}
	return 0
}

// current is the configuration as it is now.
func (b *rulebook) current() *config.Compiled {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.compiled
}
