package proxy

import (
	"maps"
	"slices"
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
	mu    sync.Mutex
	known atomic.Pointer[known]
}

type known struct {
	services map[string]masked
	scrubbers
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
	var secrets []scrub.Secret
	for _, m := range next.services {
		for _, v := range m.values {
			secrets = append(secrets, scrub.Secret{Value: v.Reveal(), Mask: m.mask})
		}
	}
	next.free, next.fitted = scrub.New(secrets), scrub.NewFitted(secrets)
	g.known.Store(next)
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

// scrubbers returns nil while no secret is known.
func (g *guard) scrubbers() *scrubbers {
	k := g.known.Load()
	if k == nil || k.free.Empty() {
		return nil
	}
	return &k.scrubbers
}

// mask is s without secrets.
func (g *guard) mask(s string) string {
	if k := g.known.Load(); k != nil {
		s, _ = k.free.String(s)
	}
	return s
}
