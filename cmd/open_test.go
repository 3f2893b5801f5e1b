package cmd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"agentvault/cmd/internal/config"
	"agentvault/keyring"
)

// distant is a backend whose every answer takes a while.
type distant struct{ latency time.Duration }

func (d distant) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	select {
	case <-time.After(d.latency):
		return keyring.Item{Value: keyring.NewSecret([]byte("s3cret-of-" + ref.Name))}, nil
	case <-ctx.Done():
		return keyring.Item{}, ctx.Err()
	}
}

// BenchmarkSessionStart opens a whole session (configuration, authority, files, log, proxy)
// that needs ten secrets of a backend 50 ms away, up to where the agent would be started.
func BenchmarkSessionStart(b *testing.B) {
	var toml strings.Builder
	for i := range 10 {
		fmt.Fprintf(&toml, "[service.s%d]\nhost = \"s%d.acme.test\"\nauth = \"bearer\"\nsecret = \"vault:secret/s%d#key\"\n", i, i, i)
	}
	home := b.TempDir()
	env := Env{Stderr: os.Stderr, Dir: home, LookupEnv: func(name string) (string, bool) {
		if name == "HOME" {
			return home, true
		}
		return "", false
	}}
	o := sessionOptions{argv: []string{"true"}, passphraseFD: noFD, secrets: func() (*keyring.Resolver, error) {
		return keyring.NewResolver(keyring.ResolverConfig{Backends: map[string]func() (keyring.Backend, error){
			"vault": func() (keyring.Backend, error) { return distant{50 * time.Millisecond}, nil }}}), nil
	}}
	var longest, total time.Duration
	n := 0
	for b.Loop() {
		began := time.Now()
		f, err := config.Parse(config.FileName, []byte(toml.String()))
		if err != nil {
			b.Fatal(err)
		}
		if o.configText, err = f.Compile(); err != nil {
			b.Fatal(err)
		}
		l, err := open(b.Context(), env, o)
		if err != nil {
			b.Fatal(err)
		}
		d := time.Since(began)
		l.close()
		longest, total, n = max(longest, d), total+d, n+1
	}
	b.ReportMetric(float64((total/time.Duration(n)).Microseconds())/1000, "ms/start")
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms/longest")
}
