package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// serve is the handler inside the tunnels.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	p.active.Add(1)
	defer p.active.Add(-1)
	t := r.Context().Value(tunnelKey{}).(*tunnel)
	if !t.used.Load() {
		t.used.Store(true)
	}
	up, extended, a := asUpgrade(r)
	if a.Code != "" {
		p.note(t, r.Method, a)
		a.write(w)
		return
	}
	p.handle(w, up, t, extended)
}

// handle takes one request of the child the whole way: identity, rules, credential,
// exchange. extended is nil unless r stands for an extended CONNECT.
func (p *Proxy) handle(w http.ResponseWriter, r *http.Request, t *tunnel, extended *extended) {
	rules := p.rules.Load()
	if r.URL.Path == "" && r.URL.Opaque == "" {
		r.URL.Path = "/" // of an absolute form; it is what will be sent
	}
	if hasBody(r) { // a server may pass an upgrade over (RFC 9110 7.8), and here they all do
		delete(r.Header, "Upgrade")
	}
	path := r.URL.EscapedPath()
	x := new(exchange)
	c := &x.call
	c.begin(p, t, r.Method, scheme(r, t), inject.MaskPath(t.host, p.guard.mask(path)))
	if name := program(r); name != "" {
		c.event.Client = p.guard.mask(name)
	}
	defer c.survive()
	for _, check := range []func(*http.Request, *tunnel) (Answer, bool){checkIdentity, checkForm} {
		if a, refused := check(r, t); refused {
			c.refuse(w, r, a, event.Denied)
			return
		}
	}
	cleanHops(r.Header)
	if where, found := p.guard.leakInHead(r, path); found {
		c.refuseLeak(w, r, where)
		return
	}
	c.in = r
	if c.event.Auth = inject.ClientAuth(r); c.event.Auth == "path" {
		if _, own := rules.finder.FindString(path); own {
			c.event.Auth = "placeholder"
		}
	}
	x.prepare(p, t, r)
	x.rules, x.extended = rules, extended
	c.asked = inject.Operation(r, t.host, x.beginning)
	if text := inject.OperationText(c.asked); text != "" {
		c.event.Operation = p.guard.mask(text)
	}
	out := x.outgoing()
	x.found = rules.finder.Find(out)
	service, a, verdict := p.decide(r.Context(), rules, c, path, x.found)
	if a.Code != "" {
		if c.announced { // it was held
			x.body.stop(w, r, drainTime)
		}
		c.refuse(w, r, a, verdict)
		return
	}
	x.service = service
	if service == nil && p.config.Own != nil && c.event.Service == "" {
		if own, ok := inject.OwnCredential(r, c.event.Auth); ok {
			p.config.Own(c.event, own)
		}
	}
	if service != nil {
		if a, refused := checkOverrides(r, service); refused {
			c.refuse(w, r, a, event.Denied)
			return
		}
		if a, verdict := x.credential(out); a.Code != "" {
			if x.body.leaked() { // an injector read it
				a, verdict = leakAnswer("the body"), event.Denied
			}
			c.refuse(w, r, a, verdict)
			return
		}
	}
	x.run(w, out)
}

func scheme(r *http.Request, t *tunnel) string {
	upgrade := isUpgrade(r.Header)
	switch {
	case upgrade && t.secure:
		return "wss"
	case upgrade:
		return "ws"
	case t.secure:
		return "https"
	}
	return "http"
}

// checkIdentity holds the CONNECT host, the SNI and the Host or :authority together:
// they are one host, or nothing is sent.
func checkIdentity(r *http.Request, t *tunnel) (Answer, bool) {
	refuse := func(what, name string) (Answer, bool) {
		_, authority := t.authority()
		return Answer{Status: http.StatusMisdirectedRequest, Code: CodeMisdirected,
			Message: fmt.Sprintf("%s is %q, but the connection was made for %s", what, name, authority),
			Help:    "agentvault sends a request to the host of its connection only; let the client connect to the host that it means"}, true
	}
	if _, authority := t.authority(); r.Host != authority { // the same, in another spelling?
		defaultPort := 80
		if t.secure {
			defaultPort = 443
		}
		host, port, err := splitAuthority(r.Host, defaultPort)
		if err != nil {
			return badHost(err), true
		}
		if host != t.host || port != t.port {
			return refuse("the request's host", r.Host)
		}
	}
	if r.TLS != nil && r.TLS.ServerName != "" && r.TLS.ServerName != t.host {
		if sni, err := rule.CanonicalHost(r.TLS.ServerName); err != nil || sni != t.host {
			return refuse("the TLS server name", r.TLS.ServerName)
		}
	}
	if !t.allowed {
		return refusedHost(t.host)
	}
	return Answer{}, false
}

// checkForm refuses what no client of an API sends, and what would be read in one way by
// the rules and in another by the server.
func checkForm(r *http.Request, _ *tunnel) (Answer, bool) {
	switch r.Method {
	case http.MethodTrace, "TRACK", http.MethodConnect:
		return Answer{Status: http.StatusMethodNotAllowed, Code: CodeMethod,
			Message: fmt.Sprintf("%s is refused", r.Method),
			Help:    "TRACE and TRACK send the request's own credential back; a tunnel does not begin inside a tunnel"}, true
	}
	star := r.URL.Path == "*" && r.Method == http.MethodOptions
	if r.URL.Opaque != "" || !star && !strings.HasPrefix(r.URL.Path, "/") {
		return Answer{Status: http.StatusBadRequest, Code: CodePath,
			Message: "the request's target is no path", Help: "a path begins with a slash; * is for OPTIONS alone"}, true
	}
	if !oneLength(r.Header["Content-Length"]) {
		return Answer{Status: http.StatusBadRequest, Code: CodeBody,
			Message: "the request's Content-Length is not one number", Help: "send one Content-Length (RFC 9110 8.6)"}, true
	}
	lines := 0
	for _, values := range r.Header {
		lines += len(values)
	}
	if lines > maxHeaders {
		return Answer{Status: http.StatusRequestHeaderFieldsTooLarge, Code: CodeHeaders,
			Message: fmt.Sprintf("the request has %d header lines; the limit is %d", lines, maxHeaders), Help: "send fewer headers"}, true
	}
	return Answer{}, false
}

// oneLength refuses over HTTP/2 what the server refuses over HTTP/1.1: several lengths,
// and one that is no number, which it would take for none.
func oneLength(lines []string) bool {
	switch len(lines) {
	case 0:
		return true
	case 1:
		_, err := strconv.ParseUint(lines[0], 10, 63)
		return err == nil
	}
	return false
}

// decide asks the rules. It returns the service that covers the call, nil for a call
// that passes without one, or an answer that refuses it.
func (p *Proxy) decide(ctx context.Context, rules *Rules, c *call, path string, found []inject.Found) (*Service, Answer, event.Verdict) {
	if path == "*" {
		path = "/" // the server as a whole
	}
	m := rules.Set.MatchAsked(c.event.Host, c.event.Port, c.event.Method, path, c.asked)
	if c.event.Scheme == "http" || c.event.Scheme == "ws" {
		m = plainMatch(rules, m, c, path)
	}
	c.event.Service, c.event.Reason, c.rule = m.Service, m.Reason, m.Rule
	c.event.NotAllowed = m.Kind == rule.NotAllowed
	mayAsk := c.event.NotAllowed && rules.Unmatched == Ask && p.config.Ask != nil
	for _, f := range found {
		c.event.Auth = "placeholder"
		if m.Kind != rule.Covered && !mayAsk || f.Service != m.Service {
			return nil, misdirected(f, c, m), event.Denied
		}
	}
	switch m.Kind {
	case rule.Covered:
		s := rules.services[Endpoint{m.Service, m.Endpoint}]
		if s == nil { // rules that do not fit together decide nothing
			return nil, Answer{Status: http.StatusInternalServerError, Code: CodeInject, Service: m.Service,
				Message: fmt.Sprintf("service %q has no credential settings", m.Service), Help: "this is a mistake in agentvault; please report it"}, event.Failed
		}
		if m.Ask {
			if a := p.hold(ctx, c); a.Code != "" {
				return nil, a, event.Denied
			}
		}
		return s, Answer{}, ""
	case rule.Denied:
		return nil, Answer{Status: http.StatusForbidden, Code: CodeDenied, Service: m.Service,
			Message: m.Reason, Help: "the human who started this session forbade this call; do not retry it"}, event.Denied
	case rule.Ambiguous:
		return nil, Answer{Status: http.StatusBadRequest, Code: CodePath, Service: m.Service,
			Message: m.Reason, Help: "send the path in its plain form"}, event.Denied
	}
	return p.unmatched(ctx, rules, c, path, m, len(found) > 0)
}

// unmatched is the policy for what no service, or no allow rule, covers.
//
// Where the human is asked, and a service has the call's place, a yes is a yes to that
// service: the call goes out as if a rule allowed it, with the credential. shown says that
// the child shows its placeholder.
func (p *Proxy) unmatched(ctx context.Context, rules *Rules, c *call, path string, m rule.Match, shown bool) (*Service, Answer, event.Verdict) {
	c.event.Verdict = event.Uncovered
	switch rules.Unmatched {
	case Allow:
		c.event.Verdict = event.Passed
		return nil, Answer{}, ""
	case Warn, "":
		return nil, Answer{}, ""
	case Ask:
		if p.config.Ask != nil {
			s := rules.services[Endpoint{m.Service, m.Endpoint}]
			if m.Kind != rule.NotAllowed {
				s = nil
			}
			if s != nil && !s.Secret.IsZero() && (s.Always || shown) {
				c.event.Reason += "; it leaves with the credential of " + s.Name
			}
			if a := p.hold(ctx, c); a.Code != "" {
				return nil, a, event.Denied
			}
			if s := p.covered(rules, c, path); s != nil {
				return s, Answer{}, ""
			}
			if s == nil {
				c.event.Verdict = event.Uncovered
			}
			return s, Answer{}, ""
		}
	}
	a := Answer{Status: http.StatusForbidden, Code: CodeUnmatched, Service: c.event.Service,
		Message: c.event.Reason + `, and the session refuses such calls (unmatched = "deny")`,
		Help:    "ask the human to add this to agentvault.toml and to start the session again"}
	if rules.Cover != nil {
		a.Config = rules.Cover(c.event.Host, c.event.Port, c.event.Method, path, c.event.Operation)
	}
	return nil, a, event.Denied
}

// hold lets a call wait for the human, in the log and on the screen. Nothing is sent and
// no secret is resolved before the answer, which is an Answer to the child if it is no.
func (p *Proxy) hold(ctx context.Context, c *call) Answer {
	leave := Leave{Reason: "there is nobody to ask"}
	switch {
	case len(c.event.Path) > maxPath: // it was clipped: a yes would be to all that begin alike
		leave.Reason = fmt.Sprintf("its path is longer than the %d bytes that can be asked about", maxPath)
	case p.config.Ask != nil:
		asked := c.event
		asked.Phase, asked.Verdict = event.Start, event.Held
		leave = p.config.Ask(ctx, asked, func() {
			c.event.Verdict = event.Held
			c.keepRefused(Answer{})
			c.started()
			go c.body.ahead()
		})
	}
	c.event.Verdict, c.event.Reason = "", strings.TrimSuffix(c.event.Reason+"; "+leave.Reason, "; ")
	if c.event.Asked = "no"; leave.OK {
		c.event.Asked = "yes"
		c.announced = false // it has a second start, which tells when it went out
		return Answer{}
	}
	return Answer{Status: http.StatusForbidden, Code: CodeHeld, Service: c.event.Service,
		Message: c.event.Reason, Help: "the human who started the session is asked about such calls; do not retry it without asking"}
}

// covered is the service that covers a held call by now, if the answer was a rule.
func (p *Proxy) covered(before *Rules, c *call, path string) *Service {
	rules := p.rules.Load()
	if rules == before {
		return nil
	}
	m := rules.Set.MatchAsked(c.event.Host, c.event.Port, c.event.Method, path, c.asked)
	if c.event.Scheme == "http" || c.event.Scheme == "ws" {
		m = plainMatch(rules, m, c, path)
	}
	if m.Kind != rule.Covered {
		return nil
	}
	c.event.Service, c.event.Reason, c.event.NotAllowed, c.rule = m.Service, m.Reason, false, m.Rule
	return rules.services[Endpoint{m.Service, m.Endpoint}]
}

// plainMatch maps port 80 of plain HTTP onto a pattern without a port, which means the
// default port of the scheme.
func plainMatch(rules *Rules, m rule.Match, c *call, path string) rule.Match {
	if m.Kind == rule.None && c.event.Port == 80 {
		return rules.Set.MatchAsked(c.event.Host, rule.DefaultPort, c.event.Method, path, c.asked)
	}
	return m
}

func misdirected(f inject.Found, c *call, m rule.Match) Answer {
	why := fmt.Sprintf("it belongs to another service than %q, which covers this request", m.Service)
	if m.Kind != rule.Covered {
		why = fmt.Sprintf("service %q does not cover %s %s%s", f.Service, c.event.Method, c.event.Host, c.event.Path)
	}
	return foreignPlaceholder(f, why)
}

func foreignPlaceholder(f inject.Found, why string) Answer {
	return Answer{Status: http.StatusForbidden, Code: CodePlaceholder, Service: f.Service,
		Message: fmt.Sprintf("%s holds the placeholder of service %q: %s", f.Where, f.Service, why),
		Help:    "the value in the environment stands for a credential of that service alone; send it to that service's hosts only, or ask the human to cover this call in agentvault.toml"}
}
