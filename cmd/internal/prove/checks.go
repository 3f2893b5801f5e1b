package prove

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"agentvault/keyring"
	"agentvault/proxy"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// checkAnswer: the server took the credential for the one that it should be.
func (x *trial) checkAnswer(a answer, at target) {
	name := x.label() + " answers " + x.expected()
	switch {
	case a.err != nil:
		x.add(name, Failed, a.refusal(), "", a.took)
	case a.end().Code != "": // the answer is the proxy's, not the server's
		x.add(name, Failed, fmt.Sprintf("agentvault refused it (%s): %s", a.end().Code, a.refusal()), x.hint(a, at), a.took)
	case x.t.Status != 0 && a.status != x.t.Status, x.t.Status == 0 && a.status >= 400:
		x.add(name, Failed, fmt.Sprintf("got %d%s", a.status, excerpt(a.body)), statusHint(a.status, x.s.Secret), a.took)
	default:
		if wrong := mismatch(x.t.JSON, a.body); wrong != "" {
			x.add(name, Failed, wrong, "is it the right secret, and the right account? "+x.s.Secret.String(), a.took)
			return
		}
		x.add(name, Passed, "", "", a.took)
	}
}

func (x *trial) expected() string {
	out := "below 400"
	if x.t.Status != 0 {
		out = fmt.Sprint(x.t.Status)
	}
	return out + spellJSON(x.t.JSON)
}

// hint is what the proxy's answer tells the agent, put for the human. A test at another
// host than the service's needs the binding to name both.
func (x *trial) hint(a answer, at target) string {
	if a.end().Code == proxy.CodeBinding && x.s.Secret.Stored() {
		command := "agentvault secret set"
		if x.s.Secret.Scheme == "file" {
			command += " --file"
		}
		for _, h := range append(append([]string(nil), x.secret.Hosts...), at.authority()) {
			command += " --host " + h
		}
		return "a secret goes only where it was bound to when it was stored, and a test server is no exception: if " +
			at.authority() + " may have it: " + command + " " + x.s.Secret.Name
	}
	return helpOf(a.body)
}

func statusHint(status int, ref keyring.Ref) string {
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return "the server did not take " + ref.String() + "; is it still valid, and does the service's auth say how it is sent?"
	}
	return ""
}

// checkInjection: exactly one credential went out, it was the configured one, and it
// stood where the configuration says.
func (x *trial) checkInjection(a answer, at target) {
	if x.s.Secret.IsZero() {
		x.checkNothingAdded(a)
		return
	}
	name := x.s.Secret.String() + " was sent, once"
	e := a.end()
	var injected []event.Event
	for _, one := range a.events {
		if one.Verdict == event.Injected {
			injected = append(injected, one)
		}
	}
	want := x.slot(context.Background(), at)
	places := strings.Count(e.Where, ", ") + 1
	switch {
	case len(a.events) == 0:
		x.add(name, Failed, "no event came from the proxy", "", 0)
	case len(injected) == 0:
		x.add(name, Failed, x.notInjected(e), "agentvault explain "+x.t.Method+" https://"+at.authority()+at.url.EscapedPath(), 0)
	case len(injected) > 1:
		x.add(name, Failed, fmt.Sprintf("%d requests with a credential went out", len(injected)), "", 0)
	case e.Service != x.s.Name || e.Secret != x.s.Secret.String():
		x.add(name, Failed, fmt.Sprintf("service %q sent %s", e.Service, e.Secret), "", 0)
	case places > 1 && !x.s.Copies:
		x.add(name, Failed, fmt.Sprintf("it stood in %d places: %s", places, e.Where), "", 0)
	case e.State == event.Previous:
		x.add(name, Failed, "the server refused the newest value, and the one before it was sent", "put the right value where "+x.s.Secret.String()+" is kept", 0)
	case want != "" && e.Where != want:
		x.add(name, Failed, fmt.Sprintf("it stood in %s, and the service says %s", e.Where, want), "", 0)
	default:
		x.add(name, Passed, x.sent(e), "", 0)
	}
}

// sent says where, and which version: a rotated secret has the same name.
func (x *trial) sent(e event.Event) string {
	var parts []string
	if e.Where != "" {
		parts = append(parts, e.Where)
	}
	if x.endpoint != nil && x.endpoint.ClientCert {
		parts = append(parts, "the client certificate of the connection")
	}
	if e.Label != "" {
		parts = append(parts, "a "+e.Label+" key")
	}
	if x.secret.Version != "" {
		parts = append(parts, "version "+x.secret.Version)
	}
	if e.State != "" {
		parts = append(parts, string(e.State))
	}
	if !x.secret.Set.IsZero() {
		parts = append(parts, "set "+x.secret.Set.UTC().Format("2006-01-02 15:04Z"))
	}
	return strings.Join(parts, ", ")
}

func (x *trial) notInjected(e event.Event) string {
	text := fmt.Sprintf("verdict %q", e.Verdict)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if x.endpoint != nil && !x.endpoint.Always && x.held == "" {
		text += "; the service waits for its placeholder, and no variable in env gives it to the agent"
	}
	return text
}

func (x *trial) checkNothingAdded(a answer) {
	name := "no credential was added"
	if e := a.end(); len(a.events) == 0 || e.Verdict == event.Injected || e.Secret != "" {
		x.add(name, Failed, fmt.Sprintf("verdict %q, secret %q", e.Verdict, e.Secret), "", 0)
		return
	}
	x.add(name, Passed, "", "", 0)
}

// checkClean: what came back to the child's side holds the placeholder at most.
func (x *trial) checkClean(a answer) {
	const name = "the agent's side saw no secret"
	switch {
	case x.s.Secret.IsZero():
		return
	case a.err != nil:
		x.add(name, Skipped, "there was no answer to look at", "", 0)
	case x.search.Empty():
		x.add(name, Skipped, x.unsearched(), "", 0)
	case x.search.Find(a.body):
		x.add(name, Failed, "the answer's body holds the secret", "this is a defect of agentvault: report it, and replace the secret", 0)
	case x.search.Find([]byte(headerText(a.header))):
		x.add(name, Failed, "the answer's headers hold the secret", "this is a defect of agentvault: report it, and replace the secret", 0)
	default:
		x.add(name, Passed, "", "", 0)
	}
}

func (x *trial) unsearched() string {
	if n := x.secret.Value.Len(); n > 0 {
		return fmt.Sprintf("a value of %d bytes is too short to be told from other text", n)
	}
	return "the secret could not be had"
}

// checkElsewhere: the same request to a host that no service covers carries nothing.
func (x *trial) checkElsewhere(ctx context.Context, at target) {
	const name = "a host that no service covers does not get it"
	host, why := x.decoyHost()
	if why == "" && x.search.Empty() {
		why = x.unsearched()
	}
	if why != "" {
		x.add(name, Skipped, why, "", 0)
		return
	}
	x.p.Decoy.reset()
	r, err := x.request(ctx, at.elsewhere(host), false)
	if err != nil {
		x.add(name, Skipped, err.Error(), "", 0)
		return
	}
	a := x.send(r)
	e, seen := a.end(), x.p.Decoy.seen()
	switch {
	case x.search.Find(seen):
		x.add(name, Failed, "the server of "+host+" was sent the secret", "this is a defect of agentvault: report it", a.took)
	case e.Verdict == event.Injected || e.Secret != "":
		x.add(name, Failed, fmt.Sprintf("verdict %q with %s", e.Verdict, e.Secret), "", a.took)
	case len(seen) > 0:
		x.add(name, Passed, "it arrived there without a credential", "", a.took)
	case e.Verdict == event.Denied:
		x.add(name, Passed, "it was refused: "+e.Code, "", a.took)
	default:
		x.add(name, Failed, "it neither arrived nor was refused: "+a.refusal(), "", a.took)
	}
}

// checkPlaceholder: what the child holds is worth nothing anywhere else.
func (x *trial) checkPlaceholder(ctx context.Context, at target) {
	const name = "its placeholder is refused there"
	host, why := x.decoyHost()
	if why == "" && x.held == "" {
		why = "the agent is given none: no variable in env"
	}
	if why != "" {
		x.add(name, Skipped, why, "", 0)
		return
	}
	x.p.Decoy.reset()
	r, err := x.request(ctx, at.elsewhere(host), false)
	if err == nil {
		err = present(r, x.elsewhereSlot(), x.held)
	}
	if err != nil {
		x.add(name, Skipped, err.Error(), "", 0)
		return
	}
	a := x.send(r)
	e, seen := a.end(), x.p.Decoy.seen()
	switch {
	case len(seen) > 0:
		x.add(name, Failed, "the request arrived there", "", a.took)
	case e.Verdict != event.Denied || e.Code != proxy.CodePlaceholder:
		x.add(name, Failed, a.refusal(), "", a.took)
	default:
		x.add(name, Passed, e.Code, "", a.took)
	}
}

// elsewhereSlot is the service's own, where that is one in which the proxy looks for
// placeholders of other hosts: paths and bodies are free text.
func (x *trial) elsewhereSlot() inject.Injector {
	if x.endpoint == nil {
		return inject.Bearer{}
	}
	switch x.endpoint.Inject.(type) {
	case inject.Path, inject.Body, inject.None:
		return inject.Bearer{}
	}
	return x.endpoint.Inject
}

// decoyHost is a name that no rule covers; why says that there is none.
func (x *trial) decoyHost() (host, why string) {
	host = x.p.Decoy.Host()
	if x.p.Rules.Covers(host, rule.DefaultPort) {
		return "", "a service covers " + host + ", as it does every host"
	}
	for _, t := range x.p.Tunnel {
		if t.Match(host, rule.DefaultPort) {
			return "", host + " is never intercepted (tunnel)"
		}
	}
	return host, ""
}
