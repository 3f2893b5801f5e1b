package vault

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

// roles is a configuration that signs in with AppRole.
func roles(t *testing.T, s *server, c Config) Config {
	s.values["secret/a"] = map[string]any{"k": "v"}
	c.LookupEnv, c.Address, c.Namespace, c.CACert = nil, s.URL, namespace, s.caFile(t)
	c.AppRole = &AppRole{RoleID: roleID, SecretID: fixed(secretID)}
	return c
}

// The token is renewed while it can be, replaced when it cannot, and revoked in the end.
func TestTokenLives(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		s.max = 3 * time.Hour
		b := New(roles(t, s, c))
		logins := func(want int) {
			t.Helper()
			wantValue(t, b, "vault:secret/a#k", "v")
			if s.logins != want {
				t.Fatalf("%d sign-ins, want %d", s.logins, want)
			}
		}
		logins(1)
		time.Sleep(150 * time.Minute) // renewed twice
		logins(1)
		time.Sleep(25 * time.Minute) // its longest life is nearly over
		logins(2)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if len(s.tokens) != 1 || s.tokens[given] == nil {
			t.Errorf("tokens %v", s.tokens)
		}
	})
}

// A lease ends with the token that it was taken with: after a new sign-in there is a new one,
// before the old one has ended.
func TestLeaseEndsWithItsToken(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		s.max, s.ttl = 3*time.Hour, time.Hour // of tokens and leases
		b := newBackend(t, roles(t, s, c))
		wantPair(t, b, 1)
		s.set(func() { s.leases["aws/creds/agent/lease1"].end = time.Now().Add(24 * time.Hour) })
		time.Sleep(160 * time.Minute)
		if expires := wantPair(t, b, 1); time.Until(expires) > 20*time.Minute {
			t.Errorf("expires in %s, its token in 20 minutes", time.Until(expires))
		}
		time.Sleep(10 * time.Minute)
		wantPair(t, b, 2)
	})
}

// A token that the server has forgotten is replaced, once, by the get that is told so.
func TestTokenRevokedElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		s.latency = time.Millisecond
		b := newBackend(t, roles(t, s, c))
		wantValue(t, b, "vault:secret/a#k", "v")
		s.set(func() { clear(s.tokens) })
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { wantValue(t, b, "vault:secret/a#k", "v") })
		}
		wg.Wait()
		if s.logins != 2 {
			t.Errorf("%d sign-ins, want 2", s.logins)
		}
	})
}

// A policy that says no is no reason to sign in again.
func TestPolicyDenies(t *testing.T) {
	s := newServer(t, nil)
	b := newBackend(t, roles(t, s, Config{}))
	s.denied["secret/data/a"] = true
	_, err := b.Get(t.Context(), mustRef(t, "vault:secret/a#k"))
	wantError(t, err, keyring.ErrDenied, "status 403", "the policies of the token (AppRole)")
	if s.logins != 1 {
		t.Errorf("%d sign-ins", s.logins)
	}
}

// Ten refs and a wrong credential are one sign-in.
func TestWrongSecretID(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		s.latency = time.Millisecond
		c = roles(t, s, c)
		c.AppRole.SecretID = fixed("wrong-" + keyringtest.Sentinel)
		b := newBackend(t, c)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := b.Get(t.Context(), mustRef(t, "vault:secret/a#k"))
				wantError(t, err, keyring.ErrDenied, "sign in with AppRole: status 400", "check the role")
			})
		}
		wg.Wait()
		if len(s.calls) != 1 {
			t.Errorf("calls %q, want one sign-in", s.calls)
		}
	})
}

// The secret id that was unwrapped and every token are overwritten at the end, those that were
// replaced and those that were revoked as well.
func TestCloseOverwrites(t *testing.T) {
	s := newServer(t, nil)
	c := roles(t, s, Config{})
	c.AppRole.Wrapped, c.AppRole.SecretID = true, fixed(wrapping)
	s.wrapped[wrapping] = "auth/approle/role/agents/secret-id"
	b := newBackend(t, c)
	wantValue(t, b, "vault:secret/a#k", "v")
	s.set(func() { clear(s.tokens) })
	wantValue(t, b, "vault:secret/a#k", "v")
	held := append(slices.Clone(b.held), b.current.value, b.secretID)
	if len(held) != 5 {
		t.Errorf("%d secrets are held, want 2 tokens, a secret id, and those in use once more", len(held))
	}
	for _, s := range held {
		if s.Len() == 0 {
			t.Error("overwritten too early")
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range held {
		if s.Len() != 0 {
			t.Error("a credential is still in memory")
		}
	}
}

func TestWrappedSecretID(t *testing.T) {
	s := newServer(t, nil)
	c := roles(t, s, Config{})
	c.AppRole.Wrapped, c.AppRole.SecretID = true, fixed(wrapping)
	const from = "auth/approle/role/agents/secret-id"
	t.Run("good", func(t *testing.T) {
		s.wrapped[wrapping] = from
		b := newBackend(t, c)
		wantValue(t, b, "vault:secret/a#k", "v")
		s.set(func() { clear(s.tokens) }) // a second sign-in: the wrapping is gone, the secret id is not
		wantValue(t, b, "vault:secret/a#k", "v")
		if s.logins != 2 {
			t.Errorf("%d sign-ins", s.logins)
		}
	})
	t.Run("used", func(t *testing.T) {
		_, err := newBackend(t, c).Get(t.Context(), mustRef(t, "vault:secret/a#k"))
		wantError(t, err, keyring.ErrDenied, "unwrap the secret id: status 400", "somebody else has")
	})
	t.Run("wrapped by somebody else", func(t *testing.T) {
		for _, other := range []string{"cubbyhole/x", "auth/approle/role/agents", "kv/auth/approle/role/x/secret-id", "auth/userpass/role/x/secret-id"} {
			s.set(func() { s.wrapped[wrapping], s.logins = other, 0 })
			_, err := newBackend(t, c).Get(t.Context(), mustRef(t, "vault:secret/a#k"))
			wantError(t, err, keyring.ErrDenied, `the token wraps what "`+other+`" issued`, "")
			if s.wrapped[wrapping] == "" || s.logins != 0 {
				t.Error("it was unwrapped all the same")
			}
		}
	})
}

// `vault login` in another terminal mends a session.
func TestTokenFileIsReadAgain(t *testing.T) {
	s := newServer(t, nil)
	s.values["secret/a"] = map[string]any{"k": "v"}
	file := filepath.Join(t.TempDir(), ".vault-token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("hvs.old")
	env := s.env(t)
	delete(env, "VAULT_TOKEN")
	b := newBackend(t, Config{LookupEnv: lookup(env), TokenFile: file})
	_, err := b.Get(t.Context(), mustRef(t, "vault:secret/a#k"))
	wantError(t, err, keyring.ErrDenied, "the token ("+file+") has ended or was revoked", "vault login")
	write(given)
	wantValue(t, b, "vault:secret/a#k", "v")
}

// The human's own token is renewed while the session lasts, where it ends at all.
func TestGivenTokenIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		s.values["secret/a"] = map[string]any{"k": "v"}
		s.tokens[given] = &fakeToken{until: time.Now().Add(time.Hour)}
		b := newBackend(t, c)
		for range 10 {
			wantValue(t, b, "vault:secret/a#k", "v")
			time.Sleep(30 * time.Minute)
		}
	})
}

// A server that says nothing holds up nobody and nothing for longer than the caller waits.
func TestDeadServer(t *testing.T) {
	bubble(t, func(t *testing.T, s *server, c Config) {
		b := New(roles(t, s, c))
		s.set(func() { s.hang, s.started = true, make(chan struct{}) })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := b.Get(ctx, mustRef(t, "vault:secret/a#k"))
		wantError(t, err, context.DeadlineExceeded, "", "")
		start := time.Now()
		if err := b.Close(); err != nil || time.Since(start) != 0 {
			t.Errorf("Close: %v after %s", err, time.Since(start))
		}
	})
}

// Our own credentials come from elsewhere, and may be missing there.
func TestNoCredential(t *testing.T) {
	s := newServer(t, nil)
	for _, c := range []struct {
		get  func(context.Context) (keyring.Secret, error)
		want error
	}{
		{nil, keyring.ErrNotFound},
		{fixed(""), keyring.ErrEmpty},
		{func(context.Context) (keyring.Secret, error) { return keyring.Secret{}, keyring.ErrLocked }, keyring.ErrLocked},
	} {
		config := roles(t, s, Config{})
		config.AppRole.SecretID = c.get
		_, err := newBackend(t, config).Get(t.Context(), mustRef(t, "vault:secret/a#k"))
		wantError(t, err, c.want, "Vault's secret id", "")
	}
	if n := s.count("PUT"); n != 0 {
		t.Errorf("%d sign-ins without a credential", n)
	}
	s.fail = http.StatusServiceUnavailable
	_, err := newBackend(t, roles(t, s, Config{})).Get(t.Context(), mustRef(t, "vault:secret/a#k"))
	wantError(t, err, keyring.ErrUnavailable, "sign in with AppRole: status 503", "")
}
