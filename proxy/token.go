package proxy

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
)

// Tokens exchanges a service's secret for what is sent in its stead; inject.Cache does
// it in the product. One Tokens belongs to one service.
type Tokens interface {
	Token(ctx context.Context, secret keyring.Secret) (keyring.Secret, time.Time, error)
	// Drop forgets the token: the upstream refused it.
	Drop()
}

// tokenSuffix tells a service's tokens from its secret in the guard.
const tokenSuffix = " token"

// exchanged is what is injected for an item: the secret itself, or a token made of it. The
// place that the secret is exchanged at has to be in its binding as well. again says that
// this place refused the secret, and that the tries have another value now.
func (x *exchange) exchanged(item keyring.Item) (value keyring.Secret, again bool, a Answer, v event.Verdict) {
	s := x.service
	if s.Tokens == nil {
		return item.Value, false, Answer{}, ""
	}
	if s.TokenHost.Name != "" {
		port := s.TokenHost.Port
		if port <= 0 {
			port = 443
		}
		if a, refused := checkBinding(s.Name, s.Secret, item, s.TokenHost.Name, port); refused {
			return keyring.Secret{}, false, a, event.Denied
		}
	}
	token, _, err := s.Tokens.Token(x.in.Context(), item.Value)
	if err != nil {
		if errors.Is(err, inject.ErrRefused) && x.tries.Refused(x.in.Context(), false) {
			x.reissued = true
			return keyring.Secret{}, true, Answer{}, ""
		}
		return keyring.Secret{}, false, tokenAnswer(s, x.proxy.guard.mask(err.Error()), err), event.Failed
	}
	if x.reissued {
		x.tries.Accepted() // by the token endpoint, which is whom the secret is for
	}
	x.proxy.guard.learn(s.Name+tokenSuffix, x.proxy.rules.Load().mask(s.Name), token)
	return token, false, Answer{}, ""
}

func tokenAnswer(s *Service, text string, err error) Answer {
	a := Answer{Status: http.StatusBadGateway, Code: CodeToken, Service: s.Name,
		Message: fmt.Sprintf("service %q: no token for %s: %s", s.Name, s.Secret, text),
		Help:    "ask the human to check the service's auth and the stored secret"}
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		a.Help = h.Hint()
	}
	return a
}

// certified are the pools of connections that present a client certificate. They are
// apart from all others: no call without the credential ever shares such a connection.
type certified struct {
	upstream Upstream

	mu    sync.Mutex
	pools map[[sha256.Size]byte]certifiedPool // by service and certificate
}

type certifiedPool struct {
	*transports
	cert tls.Certificate
}

func (c *certified) pool(service string, secret keyring.Secret, now time.Time) (*transports, error) {
	key := sha256.Sum256([]byte(service + "\x00" + secret.Reveal()))
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.pools[key]; ok {
		return p.transports, inject.CheckExpiry(p.cert, now)
	}
	cert, err := inject.ClientCertificate(secret)
	if err == nil {
		err = inject.CheckExpiry(cert, now)
	}
	if err != nil {
		return nil, err
	}
	t := newTransports(c.upstream, cert)
	if c.pools == nil {
		c.pools = make(map[[sha256.Size]byte]certifiedPool)
	}
	c.pools[key] = certifiedPool{t, cert}
	return t, nil
}

func (c *certified) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.pools {
		t.close()
	}
}
