package cmd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/session"
	"agentvault/keyring"
)

// issuing is a backend that issues a credential for the session and may be unable to take it
// back.
type issuing struct {
	stuck    bool
	released atomic.Int32
}

func (b *issuing) Get(context.Context, keyring.Ref) (keyring.Item, error) {
	return keyring.Item{Value: keyring.NewSecret([]byte("s3cret-of-a-lease")), Version: "lease-1", Expires: time.Now().Add(time.Hour), Lease: "vault lease revoke lease-1"}, nil
}

func (b *issuing) Release(context.Context) []keyring.Leftover {
	if b.released.Add(1); !b.stuck {
		return nil
	}
	return []keyring.Leftover{{Ref: "vault:db/creds/agent", Err: errors.New("no answer"), Command: "vault lease revoke lease-1"}}
}

// What was issued for a session is given back, or listed, when agentvault itself crashes: in
// the view, which is the main goroutine, or in a goroutine of the session.
func TestPanicReturnsLeases(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the child is a shell")
	}
	f, err := config.Parse(config.FileName, []byte("[service.db]\nhost = \"db.acme.test\"\nauth = \"bearer\"\nsecret = \"vault:db/creds/agent#password\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		stuck bool
		do    func(l *live, child *session.Child)
	}{
		{"in the view", false, func(*live, *session.Child) { panic("of the view") }},
		{"in the view, out of reach", true, func(*live, *session.Child) { panic("of the view") }},
		{"in a goroutine", false, func(l *live, child *session.Child) { l.background(func() { panic("of a goroutine") }); child.Wait() }},
		{"in a goroutine, out of reach", true, func(l *live, child *session.Child) { l.background(func() { panic("of a goroutine") }); child.Wait() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := testEnv(t)
			said, err := os.Create(filepath.Join(env.Dir, "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer said.Close()
			env.Stderr = said
			b := &issuing{stuck: tt.stuck}
			log := filepath.Join(env.Dir, "log.jsonl")
			o := sessionOptions{argv: []string{"sleep", "60"}, passphraseFD: noFD, configText: compiled, logPath: log,
				secrets: func() (*keyring.Resolver, error) {
					return keyring.NewResolver(keyring.ResolverConfig{Backends: map[string]func() (keyring.Backend, error){
						"vault": func() (keyring.Backend, error) { return b, nil }}}), nil
				}}
			show := func(_ context.Context, l *live, environ []string) (int, error) {
				child, err := l.start(session.Options{Env: environ, Mode: session.Group})
				if err != nil {
					return 0, err
				}
				tt.do(l, child)
				return child.Wait(), nil
			}
			err = protect(func() error { return runWith(t.Context(), env, o, show, nil) })
			var p *panicError
			if !errors.As(err, &p) || b.released.Load() != 1 {
				t.Errorf("%v, released %d times", err, b.released.Load())
			}
			text, _ := os.ReadFile(said.Name())
			logged, _ := os.ReadFile(log)
			if told := strings.Contains(string(text), "to revoke it: vault lease revoke lease-1"); told != tt.stuck {
				t.Errorf("said: %s", text)
			}
			state := map[bool]string{true: `"state":"left"`}[tt.stuck]
			if !strings.Contains(string(logged), state) {
				t.Errorf("the log lacks %s: %s", state, logged)
			}
		})
	}
}
