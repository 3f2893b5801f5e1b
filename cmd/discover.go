package cmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"agentvault/cmd/internal/adopt"
	"agentvault/cmd/internal/auditlog"
	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/discover"
	"agentvault/proxy/event"
)

// statusUncovered is the exit status of --fail-uncovered.
const statusUncovered = status(1)

type discoverOptions struct {
	json, write, strict, adopt, failUncovered bool

	config    string
	from      []string // sessions
	all       bool
	since     time.Duration
	sinceText string
}

// past says that logs are read and nothing is run.
func (o *discoverOptions) past() bool { return len(o.from) > 0 || o.all || o.sinceText != "" }

func newDiscoverCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:      "discover",
		Usage:     "list the endpoints that a session called, and the configuration that covers them",
		ArgsUsage: "-- COMMAND [ARG...]",
		Description: `Runs COMMAND like run does, but lets all pass that no service covers, and hands the
environment's own credentials on, so that they are seen being used. With --from, --all or --since it reads
the logs of sessions that have ended ("last" is the newest). What is covered is said by
the configuration of then; what would cover the rest, by the configuration of now.

Where COMMAND used credentials of its own, discover offers on a terminal to move them
into the keychain once it has ended; --adopt does so without asking.`,
		Flags: append(sessionFlags(),
			&cli.StringFlag{Name: "unmatched", Hidden: true}, // for the sake of what is said about it
			&cli.StringSliceFlag{Name: "from", Usage: "report on this `SESSION` instead of running one; may be repeated"},
			&cli.BoolFlag{Name: "all", Usage: "report on every session that has a log"},
			&cli.StringFlag{Name: "since", Usage: "report on the calls of the last `TIME` (90m, 24h, 7d)"},
			&cli.BoolFlag{Name: "json", Usage: "print the report as JSON"},
			&cli.BoolFlag{Name: "write", Usage: "add what is missing to agentvault.toml: services, and rules to those that are there"},
			&cli.BoolFlag{Name: "strict", Usage: "with --write: then set unmatched = \"deny\""},
			&cli.BoolFlag{Name: "adopt", Usage: "move the credentials that the command used of its own into the keychain, and write their services"},
			&cli.BoolFlag{Name: "fail-uncovered", Usage: "exit with 1 if any endpoint is uncovered"},
		),
		Action: func(c *cli.Context) error {
			o, err := discoverFlags(c)
			if err != nil {
				return err
			}
			if o.past() {
				return discoverPast(env, o)
			}
			s, err := sessionFlagValues(env, c)
			if err != nil {
				return err
			}
			return discoverRun(c.Context, env, s, o)
		},
	}
}

func discoverFlags(c *cli.Context) (o discoverOptions, err error) {
	o = discoverOptions{json: c.Bool("json"), write: c.Bool("write"), strict: c.Bool("strict"), adopt: c.Bool("adopt"), failUncovered: c.Bool("fail-uncovered"),
		config: c.String("config"), from: c.StringSlice("from"), all: c.Bool("all"), sinceText: c.String("since")}
	if o.sinceText != "" {
		if o.since, err = days(o.sinceText); err != nil {
			return o, usagef("", "--since %q: %v", o.sinceText, err)
		}
	}
	ways := 0
	for _, is := range []bool{len(o.from) > 0, o.all, o.sinceText != ""} {
		if is {
			ways++
		}
	}
	switch {
	case c.IsSet("unmatched"):
		return o, usagef("agentvault run --unmatched "+shellWord(c.String("unmatched"))+" -- claude", "discover: --unmatched does nothing here: what no service covers passes, so that it is seen")
	case ways > 1:
		return o, usagef("", "discover: --from, --all and --since choose sessions in different ways: want one of them")
	case ways > 0 && c.NArg() > 0:
		return o, usagef("", "discover: either --from, --all or --since, or a command, not both")
	case ways > 0 && o.adopt:
		return o, usagef("agentvault discover --adopt -- claude", "discover: --adopt needs a command: a log holds no credential")
	case o.strict && !o.write:
		return o, usagef("agentvault discover --from last --write --strict", "discover: --strict goes with --write")
	}
	return o, nil
}

func discoverRun(ctx context.Context, env Env, s sessionOptions, o discoverOptions) error {
	s.observe = true
	ask := askAdoption(env)
	if o.adopt || ask != nil && !o.json {
		s.own = new(adopt.Collector)
		defer s.own.Wipe()
	}
	return run(ctx, env, s, func(l *live) error {
		l.mu.Lock()
		endpoints, over := l.summary.Endpoints()
		l.mu.Unlock()
		d := &discovery{env: env, options: o, endpoints: endpoints, over: over, session: shortID(l.id), again: "--from " + shortID(l.id), compiled: l.compiled}
		if s.own != nil && (o.adopt || len(s.own.Candidates()) > 0) {
			d.adoption = newAdoption(l, s.own, ask)
			if o.adopt {
				d.adoption.ask = nil
			}
		}
		return d.run(ctx)
	})
}

// discoverPast reads logs.
func discoverPast(env Env, o discoverOptions) error {
	q, r, err := pastSessions(env, o)
	if err != nil {
		return err
	}
	var folder discover.Folder
	stats, err := q.Each(func(call *event.Event) error {
		folder.Add(call)
		return nil
	})
	if err != nil {
		return err
	}
	tellGaps(env, stats)
	if v, err := viewConfig(env, o.config); err == nil {
		r.compiled = v.compiled
	} else {
		report(env.Stderr, fmt.Errorf("what would cover the rest is told without the configuration, which does not load: %w", err))
	}
	r.endpoints, r.over = folder.Endpoints(), folder.Over()
	return r.run(context.Background())
}

// pastSessions chooses the logs.
func pastSessions(env Env, o discoverOptions) (q auditlog.Query, r *discovery, err error) {
	r = &discovery{env: env, options: o}
	if len(o.from) > 0 {
		for _, name := range o.from {
			s, isFile, err := findLog(env, name)
			if err != nil {
				return q, r, err
			}
			q.Sessions = append(q.Sessions, s)
			if !isFile { // it is found by its id
				name = shortID(s.ID)
			}
			r.session = name
			r.again += " --from " + shellWord(name)
		}
		if len(o.from) > 1 {
			r.session = ""
		}
		r.again = strings.TrimPrefix(r.again, " ")
		return q, r, nil
	}
	if q.Sessions, err = allSessions(env); err != nil {
		return q, r, err
	}
	r.again = "--all"
	if o.sinceText != "" {
		q.Since = time.Now().Add(-o.since)
		q.Sessions = auditlog.Since(q.Sessions, q.Since)
		r.again = "--since " + o.sinceText
	}
	return q, r, nil
}

// shellWord quotes a word for a shell where it must be.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// discovery is a report in the making.
type discovery struct {
	env       Env
	options   discoverOptions
	endpoints []discover.Endpoint
	over      int
	session   string           // its short id, "" for several
	again     string           // flags that choose the same sessions
	compiled  *config.Compiled // the configuration of now; nil without one
	adoption  *adoption        // nil where nothing can be adopted
}

// run reports, adopts and writes, in the order in which the human wants to know: who is
// asked has seen the report, who is not sees the report of what was done.
func (d *discovery) run(ctx context.Context) error {
	o := d.options
	asks := d.adoption != nil && d.adoption.ask != nil
	if d.adoption != nil && !asks {
		if err := d.adopt(ctx); err != nil {
			return err
		}
	}
	if err := d.report(asks); err != nil {
		return err
	}
	if asks {
		if err := d.adopt(ctx); err != nil {
			return err
		}
		rest := d.suggestions()
		fmt.Fprint(d.env.Stdout, discover.Closing(rest, d.show()))
		if !o.write {
			printTOML(d.env, rest)
		}
	}
	if o.write {
		if err := d.writing().write(d.suggestions()); err != nil {
			return err
		}
	}
	if c := discover.CoverageOf(d.endpoints); o.failUncovered && c.Covered < c.Endpoints {
		return statusUncovered
	}
	return nil
}

func (d *discovery) suggestions() []discover.Suggestion {
	return discover.Suggest(d.endpoints, knowledge(d.compiled))
}

func (d *discovery) writing() *writing {
	return &writing{env: d.env, named: d.options.config, compiled: d.compiled, strict: d.options.strict}
}

// show is how the report looks.
func (d *discovery) show() discover.Options {
	options := discover.Options{Session: d.session, Again: d.again, Knowledge: knowledge(d.compiled), Over: d.over, Location: time.Local}
	if d.options.config != "" {
		options.Again += " --config " + shellWord(d.options.config)
	}
	if d.options.write { // what it would tell to type is being done
		options.Again, options.Written = "", true
	}
	if isTerminal(d.env.Stdout) {
		options.Width, options.Color = width(d.env.Stdout), d.env.color(d.env.Stdout)
	}
	return options
}

// report writes the report; open leaves out what to type.
func (d *discovery) report(open bool) error {
	options := d.show()
	options.Open = open
	if d.options.json {
		return discover.JSON(d.env.Stdout, d.endpoints, options)
	}
	if err := discover.Report(d.env.Stdout, d.endpoints, options); err != nil {
		return err
	}
	if !d.options.write && !open {
		printTOML(d.env, d.suggestions())
	}
	return nil
}

// adopt stores what can be, writes its services, and takes the result for the
// configuration of now.
func (d *discovery) adopt(ctx context.Context) error {
	done, err := d.adoption.run(ctx, d.suggestions())
	if err != nil || len(done) == 0 {
		return err
	}
	var services []discover.Suggestion
	for _, a := range done {
		services = append(services, a.Suggestion)
	}
	if err := d.writing().write(services); err != nil {
		return err
	}
	d.adoption.farewell(done)
	v, err := viewConfig(d.env, d.options.config)
	if err != nil {
		return err
	}
	d.compiled = v.compiled
	return nil
}

func printTOML(env Env, suggestions []discover.Suggestion) {
	for _, s := range suggestions {
		fmt.Fprintf(env.Stdout, "\n%s", s.TOML())
	}
}
