package cmd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/prove"
	"agentvault/keyring"
)

// statusFailedTest is the exit status of a test that failed, as go test has it.
const statusFailedTest = status(1)

// testOptions are the flags of `test`.
type testOptions struct {
	services     []string
	config       string
	upstreams    []string // SERVICE=URL
	junit        string
	tap          bool
	passphraseFD int
}

func newTestCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "test",
		Usage:     "send real requests through the proxy and check which credential was used",
		ArgsUsage: "[SERVICE...]",
		Description: `For each service its test entries, or the catalogue's request that asks who one is.
Checked are the answer, which secret was sent and where it stood, that the agent's side
saw none, and that a host which no service covers gets none. Exit status 1 if any check
fails.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "use this `FILE` instead of the project's agentvault.toml"},
			&cli.StringSliceFlag{Name: "upstream", Usage: "send a service's tests to another origin, `SERVICE=URL`; may be repeated"},
			&cli.StringFlag{Name: "junit", Usage: "write the results as JUnit XML to this `FILE`"},
			&cli.BoolFlag{Name: "tap", Usage: "print the results as TAP"},
			passphraseFlag(),
		},
		Action: func(c *cli.Context) error {
			return testServices(c.Context, env, testOptions{
				services: c.Args().Slice(), config: c.String("config"), upstreams: c.StringSlice("upstream"),
				junit: c.String("junit"), tap: c.Bool("tap"), passphraseFD: c.Int("passphrase-fd"),
			})
		},
	}
}

func testServices(ctx context.Context, env Env, o testOptions) error {
	began := time.Now()
	if id := env.get("AGENTVAULT_SESSION"); id != "" {
		return withHint(fmt.Errorf("this is inside session %s: an agent does not test the human's credentials", shortID(id)),
			"run it from a terminal outside the session")
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	compiled, err := loadConfig(env, o.config, approver(env))
	if err != nil {
		return err
	}
	names, err := chosen(compiled, o.services)
	if err != nil {
		return err
	}
	if compiled, err = prove.AllowIdentity(compiled); err != nil {
		return &configError{err}
	}
	if compiled, err = atStaging(compiled, names, o.upstreams); err != nil {
		return err
	}
	report, err := proveServices(ctx, env, o, compiled, names)
	if err != nil {
		return err
	}
	if err := writeReport(env, o, report, began); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case report.Count(prove.Failed) > 0:
		return statusFailedTest
	case report.Count(prove.Passed) == 0:
		return &configError{withHint(errors.New("test: nothing was tested: none of the services has a test"),
			`add to a service: test = [{ request = "GET /path", status = 200 }]`)}
	}
	return nil
}

// chosen are the names that were given, or all.
func chosen(c *config.Compiled, given []string) ([]string, error) {
	var all []string
	for _, s := range c.Services {
		all = append(all, s.Name)
	}
	if len(all) == 0 {
		return nil, &configError{withHint(errors.New("test: no service is configured"), "agentvault init")}
	}
	for _, name := range given {
		if !slices.Contains(all, name) {
			return nil, usagef("", "test: no service %q (one of: %s)", name, strings.Join(all, ", "))
		}
	}
	if len(given) == 0 {
		return all, nil
	}
	return given, nil
}

// atStaging sends the tests elsewhere where the file or a flag says so. The flag wins.
func atStaging(c *config.Compiled, names, flags []string) (*config.Compiled, error) {
	origins := map[string]string{}
	for _, s := range c.Services {
		if s.Upstream != "" && slices.Contains(names, s.Name) {
			origins[s.Name] = s.Upstream
		}
	}
	for _, text := range flags {
		name, origin, ok := strings.Cut(text, "=")
		switch {
		case !ok || origin == "":
			return nil, usagef("--upstream github=https://staging.example.test", "--upstream %q: want SERVICE=URL", text)
		case !slices.Contains(names, name):
			return nil, usagef("", "--upstream %q: service %q is not tested (one of: %s)", text, name, strings.Join(names, ", "))
		}
		origins[name] = origin
	}
	for _, s := range c.Services {
		origin, ok := origins[s.Name]
		if !ok {
			continue
		}
		moved, err := prove.AtStaging(c, s.Name, origin)
		if err != nil {
			return nil, &configError{fmt.Errorf("service %q: %w", s.Name, err)}
		}
		c = moved
	}
	return c, nil
}

// proveServices runs a session like run does, with a client of ours in the child's place.
func proveServices(ctx context.Context, env Env, o testOptions, compiled *config.Compiled, names []string) (*prove.Report, error) {
	decoy, err := prove.NewDecoy()
	if err != nil {
		return nil, fmt.Errorf("test: %w", err)
	}
	defer decoy.Close()
	upstream, err := parentUpstream(env)
	if err != nil {
		return nil, err
	}
	upstream.Roots, upstream.Proxy = decoy.Roots(upstream.Roots), decoy.Proxy(upstream.Proxy)
	// A secret that cannot be had fails the checks of its own service alone.
	l, err := open(ctx, env, sessionOptions{argv: []string{"agentvault", "test"}, configText: compiled, lazy: true, alone: true, passphraseFD: o.passphraseFD, upstream: upstream})
	if err != nil {
		return nil, err
	}
	defer l.close()
	client, err := l.client()
	if err != nil {
		return nil, err
	}
	p := &prove.Prover{Client: client, Events: new(prove.Recorder), Decoy: decoy, Placeholder: l.placeholder, Exchanged: l.exchanged,
		Resolve: l.resolver.Get, Rules: compiled.Rules, Tunnel: compiled.Tunnel}
	l.mu.Lock()
	l.onEvent = p.Events.Add
	l.mu.Unlock()
	report := new(prove.Report)
	for _, s := range compiled.Services {
		if !slices.Contains(names, s.Name) {
			continue
		}
		if !o.tap {
			fmt.Fprintln(env.Stdout, testHeading(s))
		}
		p.Service(ctx, s, func(c prove.Check) {
			report.Add(c)
			if !o.tap {
				fmt.Fprint(env.Stdout, c.Line())
			}
		})
	}
	if !o.tap {
		fmt.Fprintf(env.Stdout, "\n%s; the calls: agentvault log %s\n", report.Summary(), shortID(l.id))
	}
	return report, nil
}

func testHeading(s config.CompiledService) string {
	secret := s.Secret.String()
	if secret == "" {
		secret = "no credential"
	}
	return printable(s.Name + ": " + secret)
}

// client is one in the child's place: it goes through the session's proxy, for loopback
// too, and trusts the session's authority alone.
func (l *live) client() (*http.Client, error) {
	pem, err := os.ReadFile(l.files.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyURL(l.address), DisableKeepAlives: true, DisableCompression: true,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// placeholder is what the child's environment holds for a service; "" is nothing.
func (l *live) placeholder(s config.CompiledService) string {
	if len(s.Env) == 0 {
		return ""
	}
	if in := l.standIns[s.Name]; in != nil {
		return in.placeholder
	}
	return ""
}

// exchanged is the token that goes out in a secret's stead, which the session has by now.
func (l *live) exchanged(ctx context.Context, s config.CompiledService, secret keyring.Secret) keyring.Secret {
	in := l.standIns[s.Name]
	if in == nil || in.tokens == nil {
		return keyring.Secret{}
	}
	token, _, err := in.tokens.Token(ctx, secret)
	if err != nil {
		return keyring.Secret{} // the proxy had none either, and said why
	}
	return token
}

func writeReport(env Env, o testOptions, r *prove.Report, began time.Time) error {
	if o.tap {
		if err := r.TAP(env.Stdout); err != nil {
			return err
		}
	}
	if o.junit == "" {
		return nil
	}
	f, err := os.Create(o.junit)
	if err != nil {
		return fmt.Errorf("--junit %s: %w", o.junit, unwrapPath(err))
	}
	if err := errors.Join(r.JUnit(f, began), f.Close()); err != nil {
		return fmt.Errorf("--junit %s: %w", o.junit, unwrapPath(err))
	}
	return nil
}
