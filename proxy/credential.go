package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// misplaced is a placeholder where the API would take it for content.
func misplaced(s *Service, f inject.Found) Answer {
	return Answer{Status: http.StatusForbidden, Code: CodePlaceholder, Service: s.Name,
		Message: fmt.Sprintf("%s holds the placeholder of service %q, and no credential belongs there", f.Where, s.Name),
		Help:    "send it as the API documents it, in a credential header or parameter; if the API takes its key in this place, the human can say so in the service's auth"}
}

// Headers and parameters by which some servers take a request for another one than it
// says it is. The rules saw the method and the path.
var overrides = [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url", "X-Original-Method"}

// checkOverrides refuses a covered request that asks to be read differently.
func checkOverrides(r *http.Request, s *Service) (Answer, bool) {
	what := ""
	for _, name := range overrides {
		if len(r.Header[name]) > 0 {
			what = "the header " + name
		}
	}
	for name := range r.Header { // CGI reads X_Http_Method as the same
		if strings.ContainsRune(name, '_') && slices.Contains(overrides[:], http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))) {
			what = "the header " + name
		}
	}
	if strings.Contains(r.URL.RawQuery, "_method") {
		if _, ok := r.URL.Query()["_method"]; ok {
			what = "the parameter _method"
		}
	}
	return Answer{Status: http.StatusMethodNotAllowed, Code: CodeMethod, Service: s.Name,
		Message: what + " asks the server for another operation than the one that was allowed",
		Help:    "send the operation itself, without the override"}, what != ""
}

// credential puts the service's credential into out, or says why it may not.
func (x *exchange) credential(out *http.Request) (Answer, event.Verdict) {
	s, e := x.service, &x.call.event
	e.Verdict = event.Passed
	if s.Secret.IsZero() && len(x.found) == 0 {
		return Answer{}, ""
	}
	more, err := s.Search.Find(out, x.rules.finder)
	if err != nil {
		return searchAnswer(s, err), event.Denied
	}
	if len(more) > 0 {
		e.Auth, x.found = "placeholder", append(x.found, more...)
	}
	if a, refused := x.foreign(more); refused {
		return a, event.Denied
	}
	if len(x.found) == 0 {
		switch {
		case x.searchesFrames(): // there may be one in a message to come
		case !s.Always:
			e.Reason = "covered, and nothing was added: the agent did not present its placeholder"
			return Answer{}, ""
		}
	}
	e.Secret = s.Secret.String()
	if a, refused := x.copies(x.found, "request"); refused {
		return a, event.Denied
	}
	if !x.tunnel.secure && !(s.Insecure && rule.IsLoopback(x.tunnel.host)) {
		return Answer{Status: http.StatusForbidden, Code: CodeInsecure, Service: s.Name,
			Message: "a credential is never sent over plain HTTP",
			Help:    "use https; for a server on this machine the human can set insecure = true on the service and address it as localhost"}, event.Denied
	}
	if x.tries, err = x.proxy.config.Secrets.Begin(x.in.Context(), s.refs, x.body.short(x.in.ContentLength)); err != nil {
		return secretAnswer(s, err), event.Failed
	}
	return x.put(out)
}

// complete checks the bindings of what was resolved and makes the injector of it.
func (x *exchange) complete() (inject.Injector, Answer, bool) {
	s := x.service
	mask := x.proxy.rules.Load().mask(s.Name)
	check := func(ref keyring.Ref, item keyring.Item) (Answer, bool) {
		a, refused := checkBinding(s.Name, ref, item, x.tunnel.host, x.tunnel.port)
		if !refused {
			x.proxy.guard.learn(s.Name, mask, item.Value)
		}
		return a, refused
	}
	if a, refused := check(s.Secret, x.tries.Item()); refused || len(s.Others) == 0 {
		return s.Inject, a, refused
	}
	others := make([]keyring.Secret, len(s.Others))
	for i, item := range x.tries.Rest() {
		if a, refused := check(s.Others[i], item); refused {
			return nil, a, true
		}
		others[i] = item.Value
	}
	return s.Inject.(inject.Partial).With(others), Answer{}, false
}

// obtain is what this try sends and how, after bindings and shape were checked. A try whose
// secret the token endpoint refuses becomes the next one, where there is one.
func (x *exchange) obtain() (inject.Injector, keyring.Secret, Answer, event.Verdict) {
	s := x.service
	for {
		injector, a, refused := x.complete()
		if refused {
			return nil, keyring.Secret{}, a, event.Denied
		}
		label, err := s.inspect(x.tries.Item().Value, x.tunnel.host)
		if err != nil {
			return nil, keyring.Secret{}, shapeAnswer(s, err), event.Denied
		}
		x.call.event.Label = label
		if value, again, a, verdict := x.exchanged(x.tries.Item()); !again {
			return injector, value, a, verdict
		}
	}
}

// put injects what this try resolved into out.
func (x *exchange) put(out *http.Request) (Answer, event.Verdict) {
	s, e := x.service, &x.call.event
	injector, value, a, verdict := x.obtain()
	if a.Code != "" {
		return a, verdict
	}
	x.value = value
	if len(x.found) == 0 && !s.Always { // for the messages of a WebSocket
		e.Secret = ""
		e.Reason = "covered, and nothing was added to the upgrade: its messages are searched for the placeholder"
		return Answer{}, ""
	}
	if s.ClientCert {
		pool, err := x.proxy.certified.pool(s.Name, value, x.proxy.now())
		if err != nil {
			return injectAnswer(s, err)
		}
		x.pool = pool
		x.wasPut("client certificate")
		return Answer{}, ""
	}
	where := ""
	found := x.found
	if _, owner := injector.(inject.Owner); owner {
		found = nil // the injector deals with the placeholder itself
	}
	if len(found) > 0 {
		var err error
		if found, err = inject.DropOthers(out, found, injector); err != nil {
			return injectAnswer(s, err)
		}
	}
	for _, f := range found {
		if !f.Credential(injector) && !s.Search.Allows(f) {
			return misplaced(s, f), event.Denied
		}
		if err := f.Replace(out, value); err != nil {
			return injectAnswer(s, err)
		}
	}
	if len(found) > 0 {
		where = places(found)
	}
	if len(found) == 0 {
		slot, err := injector.Inject(out, value)
		if errors.Is(err, inject.ErrNoSlot) {
			e.Reason = "covered, and nothing was added: " + err.Error()
			return Answer{}, ""
		}
		if err != nil {
			return injectAnswer(s, err)
		}
		where = slot
	}
	x.wasPut(where)
	return Answer{}, ""
}

// inspection is what Inspect said of the last value.
type inspection struct {
	value keyring.Secret
	host  string
	label string
	err   error
}

// inspect asks Inspect once for each value: the resolver hands out the same one until the
// value changes.
func (s *Service) inspect(value keyring.Secret, host string) (label string, err error) {
	if s.Inspect == nil {
		return "", nil
	}
	if last := s.inspected.Load(); last != nil && last.value == value && last.host == host {
		return last.label, last.err
	}
	label, err = s.Inspect(value, host)
	s.inspected.Store(&inspection{value, host, label, err})
	return label, err
}

func shapeAnswer(s *Service, err error) Answer {
	return Answer{Status: http.StatusForbidden, Code: CodeShape, Service: s.Name,
		Message: fmt.Sprintf("service %q: %s: %v; it was not sent", s.Name, s.Secret, err),
		Help:    "ask the human to store the right value, or to correct the secret of the service in agentvault.toml"}
}

// checkBinding holds the secret to the hosts that were named when it was stored.
func checkBinding(service string, ref keyring.Ref, item keyring.Item, host string, port int) (Answer, bool) {
	if item.Hosts == nil && !ref.Stored() {
		return Answer{}, false
	}
	for _, text := range item.Hosts {
		if text == host && port == rule.DefaultPort && strings.IndexByte(host, ':') < 0 { // the usual one, without parsing it
			return Answer{}, false
		}
		if h, err := rule.ParseHost(text); err == nil && h.Match(host, port) {
			return Answer{}, false
		}
	}
	host = joinAuthority(host, port, 443)
	message := fmt.Sprintf("secret %s is bound to %s and may not be sent to %s", ref, strings.Join(item.Hosts, ", "), host)
	if len(item.Hosts) == 0 {
		message = fmt.Sprintf("secret %s is not bound to any host", ref)
	}
	help := fmt.Sprintf("if this host is right, the human adds it for %q in [binding] of their own agentvault.toml", ref)
	if ref.Stored() {
		help = fmt.Sprintf("if this host is right, the human stores the secret again with it: agentvault secret set %s --host %s",
			ref.Name, strings.Join(append(slices.Clone(item.Hosts), host), " --host "))
	}
	return Answer{Status: http.StatusForbidden, Code: CodeBinding, Service: service, Message: message, Help: help}, true
}

func secretAnswer(s *Service, err error) Answer {
	a := Answer{Status: http.StatusBadGateway, Code: CodeSecret, Service: s.Name,
		Message: fmt.Sprintf("service %q: %v", s.Name, err), Help: "ask the human to look at it: agentvault secret list"}
	var h interface{ Hint() string }
	switch {
	case errors.As(err, &h) && h.Hint() != "":
		a.Help = h.Hint()
	case errors.Is(err, keyring.ErrNotFound) && s.Secret.Stored():
		a.Help = "ask the human to store it: agentvault secret set " + s.Secret.Name
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, keyring.ErrUnavailable):
		a.Status, a.Help = http.StatusServiceUnavailable, "the place where the secret is kept does not answer; try again later"
	}
	return a
}

// searchAnswer is for a body that had to be searched for the placeholder, and could not be.
func searchAnswer(s *Service, err error) Answer {
	a := Answer{Status: http.StatusRequestEntityTooLarge, Code: CodeSearch, Service: s.Name,
		Message: fmt.Sprintf("service %q says that bodies are searched for its placeholder: %v", s.Name, err),
		Help:    "send the credential in a header, or the body smaller and in plain text; the human can also take body out of the service's search"}
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		a.Status, a.Help = http.StatusUnsupportedMediaType, h.Hint()
	}
	return a
}

func injectAnswer(s *Service, err error) (Answer, event.Verdict) {
	a := Answer{Status: http.StatusBadGateway, Code: CodeInject, Service: s.Name,
		Message: fmt.Sprintf("service %q: %v", s.Name, err), Help: "ask the human to check the service's auth and the stored secret"}
	verdict := event.Failed
	if errors.Is(err, inject.ErrOperation) { // a client does not ask again after a 403
		a.Status, a.Code, verdict = http.StatusForbidden, CodeOperation, event.Denied
	}
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		a.Help = h.Hint()
	}
	return a, verdict
}

func places(found []inject.Found) string {
	if len(found) == 1 {
		return found[0].Where
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Where)
	}
	return strings.Join(names, ", ")
}
