package proxy

import (
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"agentvault/keyring"
	"agentvault/proxy/scrub"
)

// A rotated secret is still searched for: the upstream may echo the one before. A
// service with several endpoints has a secret for each.
const keptValues = 16

// guard knows the secrets that this session has sent, and finds them where they must
// not be: in responses and in the paths that the log keeps. The zero guard knows none.
type guard struct {
	mu     sync.Mutex
	known  atomic.Pointer[known]
	hidden atomic.Pointer[scrub.Scrubber] // see Hide
}

type known struct {
	services map[string]masked
	all      *scrubbers      // nil for none
	leaks    *scrub.Scrubber // for requests, see guessable
	some     sync.Map        // names of services, joined -> *scrubbers
}

// scrubbers search the same secrets. fitted keeps the length of what it replaces, for
// bodies whose length has been announced. The nil scrubbers find nothing.
type scrubbers struct{ free, fitted *scrub.Scrubber }

// clean returns values without secrets; values itself where there is none.
func (g *scrubbers) clean(values []string) []string {
	if g == nil {
		return values
	}
	for i, v := range values {
		if clean, found := g.free.String(v); found {
			values = slices.Clone(values)
			values[i] = clean
		}
	}
	return values
}

// named says that a header's name holds a secret. There is nothing to put in its place.
func (g *scrubbers) named(header string) bool { return g != nil && g.free.FindName(header) }

type masked struct {
	mask   string           // what the child sees instead
	values []keyring.Secret // newest last
}

// learn adds a value. It is called for every injection and returns at once for a value
// that it knows.
func (g *guard) learn(service, mask string, value keyring.Secret) {
	if g.known.Load().has(service, value) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.known.Load()
	if before.has(service, value) {
		return
	}
	next := &known{services: make(map[string]masked)}
	if before != nil {
		maps.Copy(next.services, before.services)
	}
	values := append(slices.Clone(next.services[service].values), value)
	values = values[max(0, len(values)-keptValues):]
	next.services[service] = masked{mask, values}
	next.all = next.search(slices.Sorted(maps.Keys(next.services)))
	next.leaks = next.searchRequests()
	g.known.Store(next)
}

// search makes the scrubbers of some services; nil where none has a secret.
func (k *known) search(services []string) *scrubbers {
	var secrets []scrub.Secret
	for _, name := range services {
		for _, v := range k.services[name].values {
			secrets = append(secrets, scrub.Secret{Value: v.Reveal(), Mask: k.services[name].mask})
		}
	}
	s := &scrubbers{scrub.New(secrets), scrub.NewFitted(secrets)}
	if s.free.Empty() {
		return nil
	}
	return s
}

// searchRequests leaves out what can be guessed: a request that is refused because it
// holds a secret tells that it does.
func (k *known) searchRequests() *scrub.Scrubber {
	var secrets []scrub.Secret
	for _, m := range k.services {
		for _, v := range m.values {
			if text := v.Reveal(); !guessable(text) {
				secrets = append(secrets, scrub.Secret{Value: text})
			}
		}
	}
	if s := scrub.New(secrets); !s.Empty() {
		return s
	}
	return nil
}

// Below this a value can be found by asking: a gigabyte holds every eight digits.
const leastBits = 64

// guessable estimates from above how much chance is in a value, by its length and the
// kinds of its characters.
func guessable(text string) bool {
	kinds := 0.0
	for _, k := range []struct {
		in   string
		size float64
	}{{"0123456789", 10}, {"abcdefghijklmnopqrstuvwxyz", 26}, {"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 26}} {
		if strings.ContainsAny(text, k.in) {
			kinds += k.size
		}
	}
	return float64(len(text))*math.Log2(max(kinds, 2)) < leastBits
}

// has compares the handles first: the resolver hands out the same one until the value
// changes. A service may have several values at once, one an endpoint.
func (k *known) has(service string, value keyring.Secret) bool {
	if k == nil {
		return false
	}
	values := k.services[service].values
	return slices.Contains(values, value) || slices.ContainsFunc(values, value.Equal)
}

// of returns what searches for the secrets of these services, nil where none is known.
//
// An answer is searched for the secrets of the services that name its host, and for no
// other: a search that holds back the beginning of a match tells whoever watches the
// stream how far a guess is right, and a host of the child's own could guess to the end.
func (g *guard) of(services []string) *scrubbers {
	k := g.known.Load()
	if k == nil || len(services) == 0 {
		return nil
	}
	key := services[0]
	if len(services) > 1 {
		key = strings.Join(services, "\x00")
	}
	if s, ok := k.some.Load(key); ok {
		return s.(*scrubbers)
	}
	names := slices.Clone(services)
	for _, name := range services {
		names = append(names, name+tokenSuffix)
	}
	s := k.search(names)
	k.some.Store(key, s)
	return s
}

// mask is s without secrets.
func (g *guard) mask(s string) string {
	if k := g.known.Load(); k != nil && k.all != nil {
		s, _ = k.all.free.String(s)
	}
	s, _ = g.hidden.Load().String(s)
	return s
}

// Hide keeps values out of what the log and the screen show of paths and names. They are
// the child's own credentials, which it was handed on: what it does with them is its
// business, and is neither refused nor searched for in answers. A second call replaces
// the values of the first.
func (p *Proxy) Hide(values []keyring.Secret) {
	secrets := make([]scrub.Secret, len(values))
	for i, v := range values {
		secrets[i] = scrub.Secret{Value: v.Reveal(), Mask: "‹key›"}
	}
	p.guard.hidden.Store(scrub.New(secrets))
}
