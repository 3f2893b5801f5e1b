package proxy

import "sync"

// maxRemembered bounds what is kept of hosts, because the child chooses their names. An
// agent that crawls the web meets many; a name has at most 253 bytes.
const maxRemembered = 1024

// remembered keeps one thing of each host, and forgets some host when there would be too
// many: what is kept can always be found out again. The zero remembered is empty and ready;
// it is safe for concurrent use.
type remembered[V any] struct {
	mu sync.RWMutex
	of map[string]V
}

func (m *remembered[V]) get(host string) (v V, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok = m.of[host]
	return v, ok
}

func (m *remembered[V]) keep(host string, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = make(map[string]V)
	}
	if _, known := m.of[host]; !known && len(m.of) == maxRemembered {
		for other := range m.of {
			delete(m.of, other)
			break
		}
	}
	m.of[host] = v
}
