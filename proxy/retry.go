package proxy

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"agentvault/proxy/event"
)

const (
	// An answer that is not passed on is read up to this length and for this long, so that
	// its connection can be used again: what servers say of a refusal is short.
	maxDiscard  = 64 << 10
	discardTime = time.Second

	// maxRefusal is more than an API says that answers 200 to a key that it refuses: Slack
	// takes some 40 bytes.
	maxRefusal = 4 << 10
)

// retry answers a refusal of an injected call: the secret is asked for again, past the
// cache, and if there is another value that may work the request is repeated with it (see
// keyring.Attempts). The child sees the last answer only. With an unchanged secret the
// upstream is not asked twice.
func (x *exchange) retry(w http.ResponseWriter, resp *http.Response) *http.Response {
	if !x.injected {
		return resp
	}
	for {
		refused, forbidden := refusal(resp)
		refused = refused || x.service.refusedBy(resp)
		switch {
		case !refused && resp.StatusCode < 400:
			x.tries.Accepted()
			return resp
		case !refused:
			return resp
		}
		if t := x.service.Tokens; t != nil && !forbidden {
			// The next request gets a new one. This one is not repeated for it: a new token
			// always differs from the old, and would double every refusal that is meant.
			t.Drop()
		}
		next := x.again(w, forbidden)
		if next == nil {
			return resp
		}
		discard(resp)
		resp = next
	}
}

// refusal says whether the upstream did not take the credential, and whether it knew it all
// the same. gRPC says so in a head that is a trailer as well.
func refusal(resp *http.Response) (refused, forbidden bool) {
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return true, false
	case http.StatusForbidden:
		return true, true
	case http.StatusOK:
		if status := resp.Header["Grpc-Status"]; len(status) == 1 {
			return status[0] == "16" || status[0] == "7", status[0] == "7"
		}
	}
	return false, false
}

// Refusal is an answer by which an API refuses a credential with another status than 401 and
// 403: the status, and what stands in the body.
type Refusal struct {
	Status int
	Says   string // a text; the status is then an error's
	// Members are what a body that is a JSON object has, among others: strings, numbers, true
	// or false. Nil goes by Says.
	Members map[string]any
}

// in reports whether body is that of the refusal.
func (r Refusal) in(body []byte) bool {
	if r.Members == nil {
		return bytes.Contains(body, []byte(r.Says))
	}
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return false
	}
	for name, want := range r.Members {
		if object[name] != want {
			return false
		}
	}
	return true
}

// refusedBy looks into an answer that may be one of the service's refusals. What it has read
// is put back. Of an answer that is no error it reads what is short, and says so, and is JSON:
// nothing that streams waits for it.
func (s *Service) refusedBy(resp *http.Response) bool {
	if !slices.ContainsFunc(s.Refusals, func(r Refusal) bool { return r.Status == resp.StatusCode }) ||
		resp.ContentLength > maxDiscard || resp.Header.Get("Content-Encoding") != "" {
		return false
	}
	if resp.StatusCode < 400 && (resp.ContentLength <= 0 || resp.ContentLength > maxRefusal || !isJSON(resp.Header.Get("Content-Type"))) {
		return false
	}
	body := resp.Body
	head, err := io.ReadAll(io.LimitReader(body, maxDiscard))
	var rest io.Reader = body
	if err != nil {
		rest = broken{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), body}
	return slices.ContainsFunc(s.Refusals, func(r Refusal) bool { return r.Status == resp.StatusCode && r.in(head) })
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// broken is the end of a body that broke off while it was read.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// again sends the request with other values, where there are any; nil where there are
// none, or it cannot be repeated.
func (x *exchange) again(w http.ResponseWriter, forbidden bool) *http.Response {
	if !x.body.again() && x.body.short(x.in.ContentLength) {
		x.body.ahead() // the answer came before the body was read
	}
	if !x.body.again() {
		x.tries.Suspect()
		return nil
	}
	before, wasPrevious := x.call.event, x.tries.Previous()
	if !x.tries.Refused(x.in.Context(), forbidden) {
		if wasPrevious {
			x.call.event.State = ""
			x.call.event.Reason = "the new value of the secret was refused, and so was the one before it"
		}
		return nil
	}
	out := x.outgoing()
	if a, _ := x.put(out); a.Code != "" {
		x.call.event = before
		return nil
	}
	resp, err := x.send(w, out)
	if err != nil {
		x.call.event = before
		return nil
	}
	return resp
}

// wasPut tells the event of the credential that is in the request now.
func (x *exchange) wasPut(where string) {
	x.injected = true
	e := &x.call.event
	e.Verdict, e.Where, e.Reason, e.State = event.Injected, where, "", ""
	switch {
	case x.tries.Previous():
		e.State, e.Reason = event.Previous, "the new value of the secret is refused so far; the one before it still works and serves"
	case x.tries.Rotated() && x.reissued:
		e.State, e.Reason = event.Rotated, "the secret had changed; its token was got with the new one"
	case x.tries.Rotated():
		e.State, e.Reason = event.Rotated, "the secret had changed; the request was repeated with the new one"
	case x.tries.Stale():
		e.State, e.Reason = event.Stale, x.tries.Item().Note
	}
}

// discard reads what is left of a short answer and closes it.
func discard(resp *http.Response) {
	if resp.ContentLength > maxDiscard || resp.StatusCode == http.StatusSwitchingProtocols {
		_ = resp.Body.Close()
		return
	}
	go func() {
		late := time.AfterFunc(discardTime, func() { _ = resp.Body.Close() })
		defer late.Stop()
		_, _ = io.CopyN(io.Discard, resp.Body, maxDiscard)
		_ = resp.Body.Close()
	}()
}
