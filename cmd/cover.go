package cmd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/discover"
	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// rulebook is a session's configuration as it is now. A key of the human's is all that
// changes it: what a file says is read once, at the start, because the agent can write to
// most of them.
type rulebook struct {
	live   *live
	path   string // --config
	noFile bool   // the demo's: nothing is written

	mu       sync.Mutex
	compiled *config.Compiled
}

// plan is how a call would be covered: by a service of its own, or by a rule that the
// service of its host lacks.
type plan struct {
	text    string       // what is shown, and for a new service what is written
	service *config.File // the new service; nil where one is there already, whose allow gets ops
	name    string       // of the service
	at      *rule.Match  // the endpoint that lacks the rule
	ops     []rule.Op    // the rules: several where one call asks for several operations
	asks    bool         // the rule is there, and asks
	pos     fmt.Stringer // where the service stands
	source  string       // the path of the file that it stands in
}

var errNoPlan = errors.New("no configuration can cover this call")

// plan wants mu held.
func (b *rulebook) plan(e event.Event) (plan, error) {
	e.Phase, e.Verdict, e.Service, e.Code = event.End, event.Uncovered, "", ""
	asked := inject.Asked(e.Method, e.Host, e.Path, e.Operation)
	m := b.compiled.Rules.MatchAsked(e.Host, e.Port, e.Method, e.Path, asked)
	if m.Kind == rule.None && e.Port == 80 && e.Scheme == "http" { // as the proxy does
		m = b.compiled.Rules.MatchAsked(e.Host, rule.DefaultPort, e.Method, e.Path, asked)
	}
	e.Service = m.Service
	endpoints := discover.Endpoints([]event.Event{e})
	if len(endpoints) != 1 || len(endpoints[0].Allow) == 0 {
		return plan{}, errNoPlan
	}
	ops, err := parseOps(endpoints[0].Allow...)
	if err != nil {
		return plan{}, err
	}
	switch m.Kind {
	case rule.Covered, rule.NotAllowed:
		i := slices.IndexFunc(b.compiled.Services, func(s config.CompiledService) bool { return s.Name == m.Service })
		s := b.compiled.Services[i]
		p := plan{name: m.Service, at: &m, ops: ops, asks: m.Ask, pos: s.Pos, source: s.Source}
		p.text = wider(p.name, endpoints[0].Allow)
		if m.Kind == rule.Covered && !m.Ask {
			return plan{}, fmt.Errorf("service %q covers it by now", m.Service)
		}
		return p, nil
	case rule.None:
		return b.newService(endpoints)
	}
	return plan{}, fmt.Errorf("%w: %s", errNoPlan, m.Reason)
}

// wider says which rules a service lacks.
func wider(service string, ops []string) string {
	return fmt.Sprintf("[service.%s]  allow += %s", service, quoted(ops))
}

// quoted writes rules with commas between them.
func quoted(ops []string) string {
	all := make([]string, len(ops))
	for i, op := range ops {
		all[i] = strconv.Quote(op)
	}
	return strings.Join(all, ", ")
}

// newService is what discover suggests for the endpoint, under a name that is free.
func (b *rulebook) newService(endpoints []discover.Endpoint) (plan, error) {
	for _, s := range b.compiled.Services {
		endpoints = append(endpoints, discover.Endpoint{Service: s.Name, Covered: true})
	}
	suggestions := discover.Suggest(endpoints, knowledge(nil))
	if len(suggestions) != 1 || suggestions[0].Extend {
		return plan{}, errNoPlan
	}
	p := plan{name: suggestions[0].Name, text: suggestions[0].TOML()}
	var err error
	p.service, err = config.Parse(config.FileName, []byte(p.text))
	return p, err
}

// text is the TOML that would cover a call, "" where nothing can.
func (b *rulebook) text(e event.Event) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, err := b.plan(e)
	if err != nil || p.asks {
		return ""
	}
	return p.text
}

// cover makes the session cover the call, writes what can be written, and says what it
// did. shown is what the human saw of it, "" where that was the call alone.
func (b *rulebook) cover(e event.Event, shown string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, err := b.plan(e)
	switch {
	case err != nil:
		return "", err
	case shown != "" && strings.TrimSpace(p.text) != strings.TrimSpace(shown):
		return "", errors.New("the configuration has changed since this was shown: look again")
	case p.asks:
		return b.unask(p)
	case p.service == nil:
		return b.widen(p)
	}
	added, err := p.service.Compile()
	if err != nil {
		return "", err
	}
	if err := b.checkSecrets(added); err != nil {
		return "", err
	}
	return b.write(p, added)
}

// write writes a new service and has the session use it.
func (b *rulebook) write(p plan, added *config.Compiled) (string, error) {
	next := *b.compiled
	next.Services = append(slices.Clone(next.Services), added.Services...)
	next.Refs = append(slices.Clone(next.Refs), added.Refs...)
	said := "service " + p.name + " covers it in this session; the demo writes no file"
	if !b.noFile {
		path, approvable := b.target()
		w, err := addServices(b.live.env, path, p.text)
		if err != nil {
			return "", err
		}
		said = "service " + p.name + " covers it from now on; it stands in " + path + w.remark(approvable)
	}
	return said, b.swap(&next)
}

// widen adds a rule to the service that is there, in its file and in the session.
func (b *rulebook) widen(p plan) (string, error) {
	what := strings.Join(texts(p.ops), " and ")
	if b.noFile {
		return fmt.Sprintf("service %s allows %s in this session; the demo writes no file", p.name, what), b.swap(b.extended(p))
	}
	w, err := editConfig(b.live.env, p.source, func(old []byte) ([]byte, error) {
		return config.AddAllow(old, p.name, texts(p.ops))
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("service %s allows %s from now on", p.name, what) + w.remark(b.approvable(p.source)), b.swap(b.extended(p))
}

// unask takes the rule that asks out of the service, in its file and in the session. One
// that is wider than the call is left to the human: it asks for other calls as well.
func (b *rulebook) unask(p plan) (string, error) {
	i := slices.IndexFunc(b.compiled.Services, func(s config.CompiledService) bool { return s.Name == p.name })
	if b.noFile || len(p.ops) != 1 || !slices.Contains(b.compiled.Services[i].Ask, p.ops[0]) {
		return fmt.Sprintf("allowed for this session; later ones ask, as ask of service %s says (%s)", p.name, p.pos), nil
	}
	w, err := editConfig(b.live.env, p.source, func(old []byte) ([]byte, error) {
		return config.DropAsk(old, p.name, p.ops[0].String())
	})
	if err != nil {
		return "", err
	}
	next := *b.compiled
	next.Services = slices.Clone(next.Services)
	s := &next.Services[i]
	s.Ask = without(s.Ask, p.ops[0])
	s.Endpoints = slices.Clone(s.Endpoints)
	for j := range s.Endpoints {
		s.Endpoints[j].Rule.Ask = without(s.Endpoints[j].Rule.Ask, p.ops[0])
	}
	return fmt.Sprintf("service %s does not ask for %s any more", p.name, p.ops[0]) + w.remark(b.approvable(p.source)), b.swap(&next)
}

func without(list []rule.Op, op rule.Op) []rule.Op {
	return slices.DeleteFunc(slices.Clone(list), func(o rule.Op) bool { return o == op })
}

// approvable says whether a file is one that has to be approved before it is used.
func (b *rulebook) approvable(path string) bool {
	return b.path == "" && path != filepath.Join(b.live.env.configDir(), config.FileName)
}

// extended is the configuration with a rule more on one endpoint.
func (b *rulebook) extended(p plan) *config.Compiled {
	next := *b.compiled
	next.Services = slices.Clone(next.Services)
	for i := range next.Services {
		s := &next.Services[i]
		if s.Name == p.name {
			s.Endpoints = slices.Clone(s.Endpoints)
			r := &s.Endpoints[p.at.Endpoint].Rule
			r.Allow = append(slices.Clone(r.Allow), p.ops...)
		}
	}
	return &next
}

// swap puts other rules in force. It wants mu held.
func (b *rulebook) swap(next *config.Compiled) error {
	var all []rule.Service
	for _, s := range next.Services {
		for _, e := range s.Endpoints {
			all = append(all, e.Rule)
		}
	}
	set, err := rule.New(all)
	if err != nil {
		return err
	}
	next.Rules = set
	rules, err := b.live.rules(next)
	if err != nil {
		return err
	}
	b.compiled = next
	b.live.proxy.Swap(rules)
	return nil
}

// checkSecrets finds what would keep new services from working: a secret that is not
// there, or that is bound to other hosts.
func (b *rulebook) checkSecrets(added *config.Compiled) error {
	for _, s := range added.Services {
		refs := []keyring.Ref{s.Secret}
		for _, e := range s.Endpoints {
			refs = append(refs, e.Refs()...)
		}
		for _, ref := range refs {
			if ref.IsZero() {
				continue
			}
			// Past the cache: it may have been stored a second ago, in another terminal.
			item, _, err := b.live.resolver.Refresh(context.Background(), ref)
			if err != nil {
				return secretError(s, ref, err)
			}
			for _, h := range s.Hosts() {
				if ref.Stored() && !bindingNames(item.Hosts, h) {
					return withHint(fmt.Errorf("service %q: %s is not bound to %s", s.Name, ref, h), "%s", setCommand(ref, s))
				}
			}
		}
	}
	return nil
}

// target is the file that a new service belongs into, see configTarget.
func (b *rulebook) target() (path string, approvable bool) { return configTarget(b.live.env, b.path) }

// written says what became of a file.
type written struct {
	created  bool
	approved bool // it was before, or is new: what stands in it is what the human has seen
}

// remark is what the human has to know of a file that needs an approval.
func (w written) remark(approvable bool) string {
	if approvable && !w.approved {
		return ", which has changed since it was approved: read it before the next session"
	}
	return ""
}

// addServices adds the text of services to a file, see editConfig.
func addServices(env Env, path, text string) (written, error) {
	return editConfig(env, path, func(old []byte) ([]byte, error) { return config.Appended(old, text), nil })
}

// editConfig changes a file, and approves the result where the human had approved what
// stood there before: the agent can write to the file as well, and nobody must approve in
// passing what it wrote.
func editConfig(env Env, path string, change func(old []byte) ([]byte, error)) (written, error) {
	e, err := config.Edit(path, change)
	if err != nil {
		return written{}, &configError{err}
	}
	trust := config.NewTrust(env.stateDir())
	// Without a home there is nowhere to write an approval down.
	w := written{created: e.Created, approved: env.stateDir() != "" && (e.Created || trust.Approved(path, e.Before))}
	if !w.approved {
		return w, nil
	}
	return w, trust.Approve(path, e.After)
}
