package infisical

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

// bubble runs test in a world whose clock stands still while anybody works.
func bubble(t *testing.T, test func(t *testing.T, s *server, b *Backend)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := keyringtest.NewPipes()
		s := newServerAt(t, p)
		c := s.config()
		c.Dial = p.Dial
		b := New(c)
		t.Cleanup(func() { _ = b.Close() })
		test(t, s, b)
	})
}

func dynamicRef(t *testing.T, field string) keyring.Ref {
	return mustRef(t, "infisical:db#"+field+"?project=proj-x&env=dev&path=/agents")
}

// wantPair gets two fields and fails unless they are those of lease n.
func wantPair(t *testing.T, b *Backend, n int) (expires time.Time) {
	t.Helper()
	user, err := b.Get(t.Context(), dynamicRef(t, "DB_USERNAME"))
	if err != nil {
		t.Fatal(err)
	}
	pass, err := b.Get(t.Context(), dynamicRef(t, "DB_PASSWORD"))
	if err != nil {
		t.Fatal(err)
	}
	if user.Value.Reveal() != fmt.Sprintf("user%d", n) || !strings.HasPrefix(pass.Value.Reveal(), fmt.Sprintf("pass%d-", n)) {
		t.Fatalf("%s and another's password, want those of lease %d", user.Value.Reveal(), n)
	}
	if user.Version == "" || user.Version != pass.Version {
		t.Errorf("versions %q and %q", user.Version, pass.Version)
	}
	return user.Expires
}

func TestDynamicSecret(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, b *Backend) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { wantPair(t, b, 1) })
		}
		wg.Wait()
		if expires := wantPair(t, b, 1); s.issued != 1 || time.Until(expires) != time.Hour {
			t.Errorf("%d leases, the first ends in %s", s.issued, time.Until(expires))
		}
		if port, err := b.Get(t.Context(), dynamicRef(t, "DB_PORT")); err != nil || port.Value.Reveal() != "5432" {
			t.Errorf("port %q, %v", port.Value.Reveal(), err)
		}
		time.Sleep(10 * time.Hour) // nobody asks: the lease is renewed all the same
		wantPair(t, b, 1)
		s.look(func() {
			if s.renewed < 10 || s.renewed > 25 {
				t.Errorf("%d renewals in ten hours", s.renewed)
			}
		})
		for range 14 * 4 { // its longest life comes to an end, in use
			time.Sleep(15 * time.Minute)
			var left time.Duration
			s.look(func() { left = time.Until(s.leases["lease-1"].until) })
			if left > 15*time.Minute {
				wantPair(t, b, 1)
			}
		}
		wantPair(t, b, 2)
		if left := b.Release(t.Context()); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		if l := s.leases["lease-2"]; l != nil {
			t.Error("the second lease was not deleted")
		}
		if _, err := b.Get(t.Context(), dynamicRef(t, "DB_PORT")); err == nil {
			t.Error("Get after Release: no error")
		}
	})
}

// What somebody deletes is noticed by the next get, which the proxy's retry makes.
func TestDynamicSecretDeletedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, b *Backend) {
		wantPair(t, b, 1)
		s.look(func() { delete(s.leases, "lease-1") })
		time.Sleep(time.Minute)
		wantPair(t, b, 2)
		s.look(func() { clear(s.tokens) }) // and an access token that ends takes no lease with it
		time.Sleep(time.Minute)
		wantPair(t, b, 2)
	})
}

func TestDynamicSecretLeft(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, b *Backend) {
		wantPair(t, b, 1)
		s.stuck = true
		left := b.Release(t.Context())
		if len(left) != 1 || !errors.Is(left[0], keyring.ErrDenied) || left[0].Until.IsZero() ||
			left[0].Ref != "infisical:db?env=dev&path=%2Fagents&project=proj-x" || left[0].Hint() == "" {
			t.Errorf("left: %+v", left)
		}
		s.stuck = false
		if err := b.Close(); err != nil || len(s.leases) != 0 {
			t.Errorf("Close: %v, leases %v", err, s.leases)
		}
	})
}

func TestDynamicSecretErrors(t *testing.T) {
	s := newServer(t)
	b := New(s.config())
	t.Cleanup(func() { _ = b.Close() })
	for _, c := range []struct {
		ref, text string
		want      error
	}{
		{"infisical:db#X?project=proj-x&env=dev&path=/agents", `no field "X" (one of: DB_PASSWORD, DB_PORT, DB_USERNAME)`, keyring.ErrNotFound},
		{"infisical:other#X?project=proj-x&env=dev&path=/agents", "status 404", keyring.ErrNotFound},
		{"infisical:db#X?env=dev", "with the project's slug", nil},
		{"infisical:db#X?project=p&path=x", "start with /", nil},
		{"infisical:db#X?project=p&folder=/x", `unknown parameter "folder" (one of: project, env, path, ttl)`, nil},
	} {
		_, err := b.Get(t.Context(), mustRef(t, c.ref))
		if err == nil || !strings.Contains(err.Error(), c.text) || c.want != nil && !errors.Is(err, c.want) ||
			strings.Contains(err.Error(), keyringtest.Sentinel) {
			t.Errorf("Get %s: %v, want %q", c.ref, err, c.text)
		}
	}
	s.fail = http.StatusServiceUnavailable
	if _, err := b.Get(t.Context(), mustRef(t, "infisical:new#X?project=proj-x&env=dev&path=/agents")); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("a server that is down: %v", err)
	}
}
