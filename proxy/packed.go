package proxy

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"agentvault/proxy/event"
)

// holdTime is how long the head of a compressed answer waits for its body to become whole:
// until then an echo can be replaced and nothing is lost. It is paid once an answer, by
// those of servers that compress although they were asked not to, and never by a stream
// that says that it is one.
const holdTime = 100 * time.Millisecond

// deliverPacked is for a body that came compressed although a plain one was asked for. As
// long as it is known to hold no secret it passes as it came. One that is found before
// anything was passed on is replaced in the plain text; one that is found later breaks the
// answer off, and from then on the answers of that host are passed on plain.
func (x *exchange) deliverPacked(w http.ResponseWriter, resp *http.Response, g *scrubbers) error {
	encoding, host := encodings(resp.Header), x.tunnel.host
	part := resp.StatusCode == http.StatusPartialContent
	if part && !strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes 0-") {
		return x.deliverStream(w, resp, resp.Body, g) // nobody can unpack it
	}
	if _, told := x.proxy.echoing.get(host); !part && (told || strings.Contains(encoding, ",")) {
		return x.deliverDecoded(w, resp, g)
	}
	wire := &counted{resp.Body, &x.call.event.Received}
	t, err := newTandem(encoding, wire, g.free)
	if err != nil {
		x.withhold(w, err)
		return nil
	}
	t.part = part
	control := http.NewResponseController(w)
	flush := func() error {
		if t.over && resp.ContentLength >= 0 {
			return nil // it leaves in one piece; without a length it stays in chunks
		}
		return control.Flush()
	}
	t.begin = func() error {
		w.WriteHeader(resp.StatusCode)
		return flush()
	}
	t.out = func(p []byte) error {
		if _, err := w.Write(p); err != nil {
			return err
		}
		return flush()
	}
	if isStream(resp.Header) {
		t.late()
	} else {
		timer := time.AfterFunc(x.proxy.holdTime, t.late)
		defer timer.Stop()
	}
	switch err = t.run(); {
	case err == nil && resp.ContentLength < 0 && x.in.Context().Err() != nil:
		return &childError{x.in.Context().Err()} // see deliverStream
	case err == nil:
		return nil
	case t.opened && errors.Is(err, errEcho):
		x.proxy.echoing.keep(host, true)
		return fmt.Errorf("%w, and part of it had been passed on; repeat the request, the answers of %s are unpacked from now on", errEcho, host)
	case t.opened:
		return err
	case part, errors.Is(err, errBomb), errors.Is(err, errUnproven):
		x.withhold(w, err) // of a part the plain text would not be the range that was asked for
		return nil
	}
	x.call.event.Received = 0 // it is read once more
	resp.Body = io.NopCloser(t.again())
	return x.deliverDecoded(w, resp, g)
}

// isStream says that whoever waits for the answer waits for each of its pieces.
func isStream(h http.Header) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch kind {
	case "text/event-stream", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/stream+json", "application/json-seq":
		return true
	}
	return enveloped(kind)
}

// withhold is for an answer that cannot be searched. Nothing of it has been passed on.
func (x *exchange) withhold(w http.ResponseWriter, why error) {
	a := Answer{Status: http.StatusBadGateway, Code: CodeUpstream, Message: why.Error(),
		Help: "the answer could not be searched for the session's secrets and was withheld"}
	e := &x.call.event
	e.Verdict, e.Code, e.Reason, e.Status = event.Failed, a.Code, a.Message, a.Status
	clear(w.Header())
	a.write(w)
}

// deliverDecoded unpacks a body: inside it an echo cannot be seen. The child gets it plain.
func (x *exchange) deliverDecoded(w http.ResponseWriter, resp *http.Response, g *scrubbers) error {
	wire := &counted{Reader: resp.Body, n: new(int64)}
	plain, err := newDecoded(encodings(resp.Header), wire)
	if err != nil {
		x.withhold(w, err)
		return nil
	}
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Length", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"} {
		h.Del(name)
	}
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h.Set("Etag", "W/"+tag) // the bytes are no longer those that the tag named
	}
	resp.ContentLength = -1
	return x.deliverStream(w, resp, &bomb{Reader: plain, wire: wire.n}, g)
}
