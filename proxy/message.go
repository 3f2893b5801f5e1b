package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"agentvault/proxy/event"
	"agentvault/proxy/inject"
)

// searchesFrames says that placeholders in WebSocket messages are replaced.
func (x *exchange) searchesFrames() bool {
	return x.service != nil && x.service.Search.Messages() && isUpgrade(x.in.Header)
}

// editor replaces placeholders in the child's text messages; nil where none are looked
// for. The secret is that of the upgrade, so that what the server sends is searched for
// the same one.
func (x *exchange) editor() func(text []byte) ([]byte, error) {
	if !x.searchesFrames() {
		return nil
	}
	finder := x.rules.finder
	return func(text []byte) ([]byte, error) {
		found := x.service.Search.FindMessage(text, finder)
		if len(found) == 0 {
			return nil, nil
		}
		if a, refused := x.foreign(found); refused {
			return nil, &frameRefusal{a, event.Denied}
		}
		if a, refused := x.copies(found, "message"); refused {
			return nil, &frameRefusal{a, event.Denied}
		}
		for _, f := range found {
			var err error
			if text, err = f.ReplaceMessage(text, x.value.Reveal()); err != nil {
				a, verdict := injectAnswer(x.service, err)
				return nil, &frameRefusal{a, verdict}
			}
		}
		x.injectedInto(found)
		return text, nil
	}
}

// injectedInto tells the log that a message was given the credential.
func (x *exchange) injectedInto(found []inject.Found) {
	x.open.Lock()
	e := &x.call.event
	where := places(found)
	switch {
	case e.Verdict != event.Injected:
		e.Verdict, e.Where, e.Reason = event.Injected, where, ""
	case !strings.Contains(e.Where, where): // a gateway may be identified to many times
		e.Where += ", " + where
	}
	e.Secret, e.Auth = x.service.Secret.String(), "placeholder"
	x.open.Unlock()
}

// foreign refuses a placeholder of another service.
func (x *exchange) foreign(found []inject.Found) (Answer, bool) {
	for _, f := range found {
		if f.Service != x.service.Name {
			why := fmt.Sprintf("it belongs to another service than %q, which covers this request", x.service.Name)
			return foreignPlaceholder(f, why), true
		}
	}
	return Answer{}, false
}

// copies refuses more than one copy, unless the service allows it.
func (x *exchange) copies(found []inject.Found, of string) (Answer, bool) {
	n := inject.Count(found)
	if n <= 1 || x.service.Copies {
		return Answer{}, false
	}
	return Answer{Status: http.StatusForbidden, Code: CodeCopies, Service: x.service.Name,
		Message: fmt.Sprintf("the placeholder stands in %d places of one %s (%s)", n, of, places(found)),
		Help:    "send it once; if the API needs both, the human can set copies = true on the service"}, true
}
