package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
	"agentvault/keyring/keyringtest"
)

// bubble runs test in a world whose clock stands still while anybody works.
func bubble(t *testing.T, test func(t *testing.T, s *server, c Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := keyringtest.NewPipes()
		s := newServer(t, p)
		c := s.config(t)
		c.Dial = p.Dial
		test(t, s, c)
	})
}

const pair = "vault:aws/creds/agent#"

// wantPair gets both fields and fails unless they are those of lease n.
func wantPair(t *testing.T, b *Backend, n int) (expires time.Time) {
	t.Helper()
	id := wantValue(t, b, pair+"access_key", fmt.Sprintf("AKIA%d", n))
	key := wantValue(t, b, pair+"secret_key", fmt.Sprintf("key-%d-%s", n, keyringtest.Sentinel))
	if id.Version == "" || id.Version != key.Version {
		t.Errorf("versions %q and %q", id.Version, key.Version)
	}
	return id.Expires
}

// All fields come from one lease, however many ask at once.
func TestLeaseIsShared(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		s.latency = 50 * time.Millisecond
		b := newBackend(t, c)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { wantPair(t, b, 1) })
		}
		wg.Wait()
		if s.issued != 1 {
			t.Errorf("%d leases, want 1", s.issued)
		}
	})
}

func TestLeaseIsRenewedAndRevoked(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		b := newBackend(t, c)
		if expires := wantPair(t, b, 1); time.Until(expires) != time.Hour {
			t.Errorf("expires in %s", time.Until(expires))
		}
		s.count("")
		time.Sleep(39 * time.Minute)
		if n := s.count("PUT sys/leases/renew"); n != 0 {
			t.Errorf("%d renewals in the first 39 minutes", n)
		}
		time.Sleep(2 * time.Minute)
		if n := s.count("PUT sys/leases/renew"); n != 1 {
			t.Errorf("%d renewals after two thirds, want 1", n)
		}
		time.Sleep(9 * time.Hour)
		if expires := wantPair(t, b, 1); time.Until(expires) < 20*time.Minute {
			t.Errorf("expires in %s", time.Until(expires))
		}
		if left := b.Release(t.Context()); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		if len(s.leases) != 0 || s.revokedBy["aws/creds/agent/lease1"] != "itself" {
			t.Errorf("leases %v, revoked %v", s.leases, s.revokedBy)
		}
		if s.tokens[given] == nil {
			t.Error("a token that we were given was revoked")
		}
		s.count("")
		if _, err := b.Get(t.Context(), mustRef(t, pair+"access_key")); err == nil {
			t.Error("Get after Release: no error")
		}
		time.Sleep(time.Hour)
		if n := s.count(""); n != 0 {
			t.Errorf("%d requests after Release", n)
		}
	})
}

// A lease at the end of its longest life is replaced while the old one still works.
func TestLeaseIsReplaced(t *testing.T) {
	for _, renewable := range []bool{true, false} {
		t.Run(fmt.Sprintf("renewable=%t", renewable), func(t *testing.T) {
			bubble(t, func(t *testing.T, s *server, c Config) {
				s.ttl, s.max = time.Hour, 3*time.Hour
				if !renewable {
					s.max = s.ttl
				}
				b := newBackend(t, c)
				first := wantPair(t, b, 1)
				for time.Until(first) > s.ttl/4 && time.Since(first.Add(-s.ttl)) < s.max {
					if expires := wantPair(t, b, 1); !renewable && expires != first {
						t.Errorf("the end moved to %s", expires)
					} else if renewable {
						first = expires
					}
					time.Sleep(time.Minute)
				}
				if len(s.leases) != 1 {
					t.Errorf("%d leases", len(s.leases))
				}
				wantPair(t, b, 2)
				if l := s.leases["aws/creds/agent/lease1"]; l == nil || !time.Now().Before(l.until) {
					t.Error("the first lease ended before its successor came")
				}
				if left := b.Release(t.Context()); len(left) != 0 || len(s.leases) != 0 {
					t.Errorf("left %v, leases %v", left, s.leases)
				}
			})
		})
	}
}

// What an operator revokes is noticed by the next get, which the proxy's retry makes.
func TestLeaseRevokedElsewhere(t *testing.T) {
	for _, limit := range []time.Duration{24 * time.Hour, time.Hour} { // renewable or not
		bubble(t, func(t *testing.T, s *server, c Config) {
			s.max = limit
			b := newBackend(t, c)
			wantPair(t, b, 1)
			time.Sleep(time.Minute)
			wantPair(t, b, 1)
			s.set(func() { clear(s.leases) })
			time.Sleep(time.Minute)
			wantPair(t, b, 2)
		})
	}
}

// Through the resolver, in use: the pair changes, and never comes from two leases.
func TestLeaseInResolver(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		s.ttl, s.max = 10*time.Minute, 10*time.Minute
		b := New(c)
		r := keyring.NewResolver(keyring.ResolverConfig{Backends: map[string]func() (keyring.Backend, error){
			"vault": func() (keyring.Backend, error) { return b, nil },
		}})
		defer r.Close()
		id, key := mustRef(t, pair+"access_key"), mustRef(t, pair+"secret_key")
		for range 60 * 6 {
			items, err := r.GetTogether(t.Context(), id, key)
			if err != nil {
				t.Fatal(err)
			}
			n := strings.TrimPrefix(items[0].Value.Reveal(), "AKIA")
			if !strings.HasPrefix(items[1].Value.Reveal(), "key-"+n+"-") {
				t.Fatalf("the id of lease %s with another's key", n)
			}
			s.set(func() {
				if l := s.leases["aws/creds/agent/lease"+n]; l == nil || !time.Now().Before(l.until) {
					t.Fatalf("lease %s has ended and is served", n)
				}
			})
			time.Sleep(10 * time.Second)
		}
		if s.issued < 6 || s.issued > 10 {
			t.Errorf("%d leases of 10 minutes within an hour", s.issued)
		}
		s.stuck = true
		left := r.Release(t.Context())
		if len(left) == 0 || left[0].Ref != "vault:aws/creds/agent" || !errors.Is(left[0], keyring.ErrDenied) ||
			left[0].Hint() != "to revoke it: vault lease revoke -address=https://127.0.0.1:8200 -namespace=team/a aws/creds/agent/lease"+fmt.Sprint(s.issued-len(left)+1) {
			t.Errorf("left: %v, %s", left, left[0].Hint())
		}
		s.set(func() { s.stuck = false })
		if left := r.Release(t.Context()); len(left) != 0 {
			t.Errorf("the second try left %v", left)
		}
		for id, l := range s.leases {
			if time.Now().Before(l.until) {
				t.Errorf("%s is still valid", id)
			}
		}
	})
}

// A token of our own takes with it what cannot be revoked one by one; a batch token cannot.
func TestRevokeByToken(t *testing.T) {
	for _, batch := range []bool{false, true} {
		bubble(t, func(t *testing.T, s *server, c Config) {
			s.stuck, s.batch = true, batch
			c.LookupEnv, c.Address, c.Namespace, c.CACert = nil, s.URL, namespace, s.caFile(t)
			c.AppRole = &AppRole{RoleID: roleID, SecretID: fixed(secretID)}
			b := New(c)
			wantPair(t, b, 1)
			err := b.Close()
			if batch {
				wantError(t, err, keyring.ErrDenied, "vault:aws/creds/agent: still valid, until ", "vault lease revoke ")
			} else if err != nil || s.revokedBy["aws/creds/agent/lease1"] != "token" || len(s.tokens) != 1 {
				t.Errorf("Close: %v, revoked %v, tokens %v", err, s.revokedBy, s.tokens)
			}
		})
	}
}

// A lease that is on its way when the session ends is waited for, and given back.
func TestReleaseDuringTake(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		b := newBackend(t, c)
		if _, err := b.Get(t.Context(), mustRef(t, "vault:aws/other#x")); !errors.Is(err, keyring.ErrNotFound) {
			t.Fatal(err) // signed in, and the mount known
		}
		s.set(func() { s.latency = time.Second })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := b.Get(ctx, mustRef(t, pair+"access_key")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Get: %v", err)
		}
		if left := b.Release(t.Context()); len(left) != 0 || s.issued != 1 || len(s.leases) != 0 {
			t.Errorf("left %v, issued %d, leases %v", left, s.issued, s.leases)
		}
	})
}

func TestReleaseIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		b := New(c)
		wantPair(t, b, 1)
		s.set(func() { s.latency = time.Hour })
		start := time.Now()
		err := b.Close()
		wantError(t, err, keyring.ErrUnavailable, "no answer in time", "vault lease revoke ")
		if d := time.Since(start); d != leasing.CloseTime {
			t.Errorf("Close took %s", d)
		}
		time.Sleep(2 * time.Hour) // the server comes back
	})
}

// A server that is away during renewals is asked again, not all the time, and the lease lives.
func TestRenewalSurvivesAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		b := newBackend(t, c)
		wantPair(t, b, 1)
		s.count("")
		s.set(func() { s.fail = http.StatusServiceUnavailable })
		time.Sleep(50 * time.Minute)
		if n := s.count("PUT sys/leases/renew"); n != 1 {
			t.Errorf("%d tries within 50 minutes", n)
		}
		s.set(func() { s.fail = 0 })
		time.Sleep(5 * time.Minute)
		if n := s.count("PUT sys/leases/renew"); n != 1 {
			t.Errorf("%d renewals after the outage", n)
		}
		time.Sleep(10 * time.Minute)
		wantPair(t, b, 1)
	})
}

// Ten secrets at a server 50 ms away: sign-in, a question for the mount and the reads, each
// side by side.
func TestTenSecrets(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		c.LookupEnv, c.Address, c.Namespace, c.CACert = nil, s.URL, namespace, s.caFile(t)
		c.AppRole = &AppRole{RoleID: roleID, SecretID: fixed(secretID)}
		s.latency = 50 * time.Millisecond
		r := keyring.NewResolver(keyring.ResolverConfig{Backends: map[string]func() (keyring.Backend, error){
			"vault": func() (keyring.Backend, error) { return New(c), nil },
		}})
		defer r.Close()
		var refs []keyring.Ref
		for i := range 10 {
			path := fmt.Sprintf("secret/s%d", i)
			s.values[path] = map[string]any{"k": "v"}
			refs = append(refs, mustRef(t, "vault:"+path+"#k"))
		}
		start := time.Now()
		if errs := r.ResolveAll(t.Context(), refs); len(errs) != 0 {
			t.Fatal(errs)
		}
		if d := time.Since(start); d != 150*time.Millisecond {
			t.Errorf("it took %s", d)
		}
		if len(s.calls) != 12 {
			t.Errorf("calls: %q", s.calls)
		}
	})
}
