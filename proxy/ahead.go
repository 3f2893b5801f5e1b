package proxy

import (
	"crypto/tls"
	"net"
	"slices"
	"strconv"
	"sync"
)

// maxHabits bounds what is remembered of programs: their names are the child's words.
const maxHabits = 256

// habits remembers what each program spoke last through a tunnel to a port. A program that
// spoke TLS there will do so again, and in the same version of HTTP, so its next host is
// connected to while the program still prepares its own handshake.
type habits struct {
	mu sync.Mutex
	of map[habit]bool // whether HTTP/2 was offered
}

type habit struct {
	client string
	port   int
}

// learn keeps what a tunnel's child has offered.
func (h *habits) learn(t *tunnel, http2 bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := habit{t.client, t.port}
	if _, known := h.of[k]; known || len(h.of) < maxHabits {
		h.of[k] = http2
	}
}

// forget is for a tunnel in which no TLS was spoken.
func (h *habits) forget(t *tunnel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.of, habit{t.client, t.port})
}

func (h *habits) guess(t *tunnel) (http2, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	http2, known = h.of[habit{t.client, t.port}]
	return http2, known
}

// dialAhead makes a connection for the request that a tunnel will probably bring.
func (p *Proxy) dialAhead(t *tunnel, http2 bool) {
	rules := p.rules.Load()
	switch rules.Unmatched {
	case Ask, Deny: // nothing may be asked of a host that will be refused, not even its name
		if !rules.Set.Covers(t.host, t.port) {
			return
		}
	}
	p.transports.ahead(http2, net.JoinHostPort(t.host, strconv.Itoa(t.port)))
}

// greeted is called when the child's first words have come. They tell for certain which
// protocol it will speak.
func (p *Proxy) greeted(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	t := hello.Conn.(*tunnelConn).tunnel
	http2 := slices.Contains(hello.SupportedProtos, "h2")
	p.habits.learn(t, http2)
	p.dialAhead(t, http2)
	return nil, nil
}
