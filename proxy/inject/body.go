package inject

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"agentvault/keyring"
)

// maxBody is how much of a request is held in memory to replace a field of it. Bodies
// that carry a credential are log-ins and token requests of a few hundred bytes; 1 MiB
// leaves room for a form with text around it and keeps a flood of requests harmless.
const maxBody = 1 << 20

// Body sends the secret as named fields of the request's body: of JSON (also +json),
// of application/x-www-form-urlencoded, and as text fields of multipart/form-data.
//
// A field of JSON is a dotted path, `auth.client_secret`; a number names an element of
// a list and `*` all of them. Names compare exactly, after JSON's own escapes; a second one
// in other letters is refused. Every copy of a field is replaced, whatever its value was, and all other bytes stay. Where
// no field is present the error is ErrNoSlot: nothing is added to a body.
//
// Refused are bodies beyond 1 MiB, compressed ones, those with a digest in the header,
// other types, and JSON that is not valid. The body is read whole before anything is
// sent, and afterwards the request can be repeated (GetBody).
type Body struct{ Fields []string }

var _ Injector = Body{}

// Inject implements Injector.
func (b Body) Inject(req *http.Request, secret keyring.Secret) (string, error) {
	v := secret.Reveal()
	if v == "" {
		return "", &problem{"body: the secret is empty", "store its value again"}
	}
	edit, err := b.editor(req)
	if err != nil {
		return "", err
	}
	if req.Body == nil || req.Body == http.NoBody {
		return "", ErrNoSlot
	}
	old, err := readBody(req)
	if err != nil {
		return "", err
	}
	body, hit, err := edit(old, b.Fields, v)
	if err != nil {
		return "", err
	}
	if hit == "" {
		setBody(req, old)
		return "", ErrNoSlot
	}
	setBody(req, body)
	return "body " + hit, nil
}

// editor chooses by Content-Type. An editor returns the new body and the first field
// that it replaced, or "".
func (b Body) editor(req *http.Request) (func(body []byte, fields []string, v string) ([]byte, string, error), error) {
	for key, lines := range req.Header {
		switch {
		case sameSlot(key, "Content-Encoding") && !identity(lines):
			return nil, &problem{"body: compressed, and a compressed body is not changed", "send it without Content-Encoding"}
		case fixesBody(key):
			return nil, &problem{"body: the header " + key + " fixes its bytes", "send it without that header"}
		}
	}
	types := req.Header["Content-Type"]
	if len(types) != 1 {
		return nil, fmt.Errorf("body: %d Content-Type headers, want one", len(types))
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if err != nil {
		return nil, fmt.Errorf("body: unreadable Content-Type")
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") && !strings.EqualFold(c, "us-ascii") {
		return nil, fmt.Errorf("body: charset %q, want utf-8", slotName(c))
	}
	switch {
	case kind == "application/json", strings.HasSuffix(kind, "+json"), kind == "text/json":
		return editJSON, nil
	case kind == "application/x-www-form-urlencoded":
		return editForm, nil
	case kind == "multipart/form-data":
		boundary := params["boundary"]
		return func(body []byte, fields []string, v string) ([]byte, string, error) {
			return editMultipart(body, boundary, fields, v)
		}, nil
	}
	return nil, fmt.Errorf("body: type %q (one of: application/json, application/x-www-form-urlencoded, multipart/form-data)", slotName(kind))
}

func identity(lines []string) bool {
	for _, line := range lines {
		if line != "" && !strings.EqualFold(strings.TrimSpace(line), "identity") {
			return false
		}
	}
	return true
}

func readBody(req *http.Request) ([]byte, error) {
	tooLarge := fmt.Errorf("body: larger than %d bytes, the most that is read to replace a field", maxBody)
	if req.ContentLength > maxBody {
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if len(body) > maxBody {
		return nil, tooLarge
	}
	return body, req.Body.Close()
}

// setBody fixes the framing. A body with trailers stays chunked: only so can they follow.
func setBody(req *http.Request, body []byte) {
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	if len(req.Trailer) > 0 {
		req.ContentLength = -1
		return
	}
	clearSlot(req.Header, "Content-Length")
	req.ContentLength, req.TransferEncoding = int64(len(body)), nil
	req.Header["Content-Length"] = []string{strconv.Itoa(len(body))}
}

// splice replaces one stretch of a body.
type splice struct {
	from, to int
	text     string
}

// applySplices works on splices that are in order and do not overlap.
func applySplices(body []byte, edits []splice) []byte {
	size := len(body)
	for _, e := range edits {
		size += len(e.text) - (e.to - e.from)
	}
	out, done := make([]byte, 0, size), 0
	for _, e := range edits {
		out = append(out, body[done:e.from]...)
		out = append(out, e.text...)
		done = e.to
	}
	return append(out, body[done:]...)
}

func editForm(body []byte, fields []string, v string) ([]byte, string, error) {
	raw, hit := string(body), ""
	for _, field := range fields {
		next, found, err := setParam("body "+field, raw, field, v)
		if err != nil {
			return nil, "", err
		}
		if found && hit == "" {
			hit = field
		}
		raw = next
	}
	return []byte(raw), hit, nil
}

// editMultipart replaces the contents of text fields. Files are left alone.
func editMultipart(body []byte, boundary string, fields []string, v string) ([]byte, string, error) {
	if boundary == "" {
		return nil, "", fmt.Errorf("body: multipart without a boundary")
	}
	if strings.Contains(v, boundary) {
		return nil, "", fmt.Errorf("body: the secret holds the multipart boundary")
	}
	parts, err := splitMultipart(body, boundary)
	if err != nil {
		return nil, "", err
	}
	var edits []splice
	hit, odd := "", ""
	for _, p := range parts {
		if p.file || !slices.Contains(fields, p.name) {
			if !p.file && slices.ContainsFunc(fields, func(f string) bool { return strings.EqualFold(f, p.name) }) {
				odd = p.name
			}
			continue
		}
		if p.encoded {
			return nil, "", fmt.Errorf("body %s: the field has a transfer encoding", p.name)
		}
		if hit == "" {
			hit = p.name
		}
		edits = append(edits, splice{p.from, p.to, v})
	}
	if odd != "" && hit != "" {
		return nil, "", otherLetters(odd)
	}
	return applySplices(body, edits), hit, nil
}
