package cmd

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/check"
	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// statusNotCovered is the exit status of explain for a call that gets no credential.
const statusNotCovered = status(1)

func newExplainCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say which rule would decide a call, and why, without sending it",
		ArgsUsage: "[METHOD] URL",
		Description: `Exit status: 0 where a service covers the call and allows it, 1 where not, 2 after
errors of the file or the arguments.

--json prints one object:
  method, url  the call
  operation    what it asks for there, as given
  covered      true where a service covers the call and allows it
  service      whose place it is; "" for none
  rule         the allow or deny rule that decided; "" for none
  unmatched    the policy for what is not covered
  steps        [{what, text}]: why, in the order in which it is decided
  config       the TOML that would cover it; "" where it is covered or none can`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "use this `FILE` instead of the project's agentvault.toml"},
			&cli.StringFlag{Name: "operation", Usage: "what the call asks for where one path takes many `OPERATION`s: GetItem, \"mutation issueCreate\""},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
		},
		Action: func(c *cli.Context) error {
			asked, err := parseCall(c.Args().Slice())
			if err != nil {
				return err
			}
			asked.operation, asked.told = c.String("operation"), c.IsSet("operation")
			return explain(c.Context, env, c.String("config"), asked, c.Bool("json"))
		},
	}
}

// askedCall is a call as the rules see it.
type askedCall struct {
	method, host, path string
	port               int
	plain              bool   // http
	operation          string // as the log writes it
	told               bool   // operation was given
}

func parseCall(args []string) (askedCall, error) {
	const example = "agentvault explain GET https://api.github.com/user"
	a := askedCall{method: "GET"}
	if len(args) == 2 {
		a.method, args = args[0], args[1:]
	}
	if len(args) != 1 || slices.Contains(rule.Methods(), args[0]) {
		return a, usagef(example, "explain: want a method and a URL")
	}
	if !slices.Contains(rule.Methods(), a.method) {
		// Methods are case-sensitive on the wire; whoever types one means the usual.
		if a.method = strings.ToUpper(a.method); slices.Contains(rule.Methods(), a.method) {
			return parseURL(a, args[0])
		}
		return a, usagef(example, "explain: unknown method %q (one of: %s)", a.method, strings.Join(rule.Methods()[:8], ", "))
	}
	return parseURL(a, args[0])
}

func parseURL(a askedCall, given string) (askedCall, error) {
	const example = "agentvault explain GET https://api.github.com/user"
	text := given
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return a, usagef(example, "explain: %q is not a URL", given)
	}
	switch u.Scheme {
	case "https", "wss":
		a.port = 443
	case "http", "ws":
		a.port, a.plain = 80, true
	default:
		return a, usagef(example, "explain: unknown scheme %q (one of: https, http, wss, ws)", u.Scheme)
	}
	if u.Port() != "" {
		if a.port, err = strconv.Atoi(u.Port()); err != nil || a.port < 1 || a.port > 65535 {
			return a, usagef(example, "explain: port %q is not 1 to 65535", u.Port())
		}
	}
	if a.host, err = rule.CanonicalHost(u.Hostname()); err != nil {
		return a, usagef(example, "explain: %v", err)
	}
	if a.path = u.EscapedPath(); a.path == "" {
		a.path = "/"
	}
	return a, nil
}

// asked is what the rules are told of the call's operation.
func (a askedCall) asked() rule.Asked {
	if !a.told {
		return rule.Asked{Why: "give it with --operation"}
	}
	return inject.Asked(a.method, a.host, a.path, a.operation)
}

func (a askedCall) String() string {
	return strings.TrimSpace(a.method + " " + a.url() + " " + a.operation)
}

func (a askedCall) url() string {
	scheme, usual := "https", 443
	if a.plain {
		scheme, usual = "http", 80
	}
	at := rule.Host{Name: a.host}
	if a.port != usual {
		at.Port = a.port
	}
	return scheme + "://" + at.String() + a.path
}

func explain(ctx context.Context, env Env, path string, a askedCall, asJSON bool) error {
	v, err := viewConfig(env, path)
	if err != nil {
		return &configError{err}
	}
	c := v.compiled
	asked := a.asked()
	m := c.Rules.MatchAsked(a.host, a.port, a.method, a.path, asked)
	if a.plain && m.Kind == rule.None && a.port == 80 { // as the proxy does
		m = c.Rules.MatchAsked(a.host, rule.DefaultPort, a.method, a.path, asked)
	}
	e := &explanation{askedCall: a, viewedConfig: v, match: m}
	e.bindings = func() func(keyring.Ref) (check.Binding, bool) { return storedBindings(ctx, env, c.Refs) }
	good, config := e.decide(), ""
	if !good {
		config = e.cover()
	}
	if asJSON {
		err = e.json(env.Stdout, good, config)
	} else {
		v.tellUnapproved(env)
		err = e.text(env.Stdout, config)
	}
	if err == nil && !good {
		err = statusNotCovered
	}
	return err
}
