package inject

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// searchText replaces a placeholder in one kind of text.
type searchText interface {
	// replace returns text with the copies of old in the field of that name ("" for
	// anywhere) replaced by v, encoded as the text asks, and how many there were. Without
	// one the text is returned as it is.
	replace(text []byte, old, name, v string) ([]byte, int, error)
}

// searchedBody chooses by Content-Type; nil is for a type that is not searched: images,
// archives, streams of bytes.
func searchedBody(req *http.Request) (searchText, error) {
	types := req.Header["Content-Type"]
	if len(types) != 1 {
		return nil, nil
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if err != nil {
		return nil, nil
	}
	var text searchText
	switch {
	case kind == "application/json", strings.HasSuffix(kind, "+json"), kind == "text/json",
		kind == "application/x-ndjson", kind == "application/jsonl":
		text = jsonText{}
	case kind == "application/x-www-form-urlencoded":
		text = formText{}
	case kind == "multipart/form-data":
		text = multipartText{params["boundary"]}
	case kind == "application/xml", kind == "text/xml", strings.HasSuffix(kind, "+xml"):
		text = xmlText{}
	case strings.HasPrefix(kind, "text/"), kind == "application/graphql":
		text = plainText{}
	default:
		return nil, nil
	}
	for key, lines := range req.Header {
		if sameSlot(key, "Content-Encoding") && !identity(lines) {
			return nil, &problem{"body: compressed, and the service says that it is searched for the placeholder", "send it without Content-Encoding"}
		}
	}
	return text, nil
}

// fixedBody refuses a body whose bytes are told in the head as well.
func fixedBody(req *http.Request) error {
	for key := range req.Header {
		if fixesBody(key) {
			return &problem{"body: the header " + key + " fixes its bytes", "send it without that header"}
		}
	}
	return nil
}

func fixesBody(key string) bool {
	return sameSlot(key, "Content-Md5") || sameSlot(key, "Digest") || sameSlot(key, "Content-Digest") || sameSlot(key, "Repr-Digest")
}

// plainText has no encoding.
type plainText struct{}

func (plainText) replace(text []byte, old, name, v string) ([]byte, int, error) {
	if name != "" {
		return text, 0, nil // it has no fields
	}
	return replaceCopies(text, old, v)
}

func replaceCopies(text []byte, old, v string) ([]byte, int, error) {
	n := bytes.Count(text, []byte(old))
	if n == 0 {
		return text, 0, nil
	}
	return bytes.ReplaceAll(text, []byte(old), []byte(v)), n, nil
}

type xmlText struct{}

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")

func (xmlText) replace(text []byte, old, name, v string) ([]byte, int, error) {
	if name != "" {
		return text, 0, nil
	}
	return replaceCopies(text, old, xmlEscapes.Replace(v))
}

type formText struct{}

func (formText) replace(text []byte, old, name, v string) ([]byte, int, error) {
	pieces, copies := strings.Split(string(text), "&"), 0
	for i, piece := range pieces {
		if name != "" {
			same, err := sameParam("body "+name, piece, name)
			if err != nil {
				return nil, 0, err
			}
			if !same {
				continue
			}
		}
		out, n := replaceEncoded(piece, old, escapeParam(v), true, -1)
		pieces[i], copies = out, copies+n
	}
	if copies == 0 {
		return text, 0, nil
	}
	return []byte(strings.Join(pieces, "&")), copies, nil
}

// multipartText searches text fields. Files are the child's business.
type multipartText struct{ boundary string }

func (m multipartText) replace(body []byte, old, name, v string) ([]byte, int, error) {
	if !bytes.Contains(body, []byte(old)) {
		return body, 0, nil
	}
	if m.boundary == "" || strings.Contains(v, m.boundary) {
		return nil, 0, errMultipart
	}
	parts, err := splitMultipart(body, m.boundary)
	if err != nil {
		return nil, 0, err
	}
	var edits []splice
	copies := 0
	for _, p := range parts {
		if p.file || p.encoded || name != "" && p.name != name {
			continue
		}
		out, n, _ := replaceCopies(body[p.from:p.to], old, v)
		if n > 0 {
			edits, copies = append(edits, splice{p.from, p.to, string(out)}), copies+n
		}
	}
	return applySplices(body, edits), copies, nil
}

// jsonText is one document, or with no name also several: lines of JSON, or JSON behind
// a number as Socket.IO sends it.
type jsonText struct{}

func (jsonText) replace(text []byte, old, name, v string) ([]byte, int, error) {
	escaped, err := quoteJSON(v)
	if err != nil {
		return nil, 0, err
	}
	escaped = escaped[1 : len(escaped)-1]
	if name == "" {
		// Between the quotes of a string; some encoders write every slash as \/.
		out, n, _ := replaceCopies(text, old, escaped)
		if slashed := strings.ReplaceAll(old, "/", `\/`); slashed != old {
			more := 0
			out, more, _ = replaceCopies(out, slashed, escaped)
			n += more
		}
		return out, n, nil
	}
	if !bytes.Contains(text, []byte(old)) && !bytes.ContainsRune(text, '\\') {
		return text, 0, nil
	}
	if !json.Valid(text) {
		if !bytes.Contains(text, []byte(old)) {
			return text, 0, nil
		}
		return nil, 0, errors.New("body: not valid JSON")
	}
	w := jsonWalker{body: text}
	copies := 0
	w.edit = func(quoted []byte) (string, bool) {
		s := ""
		if quoted[0] != '"' || json.Unmarshal(quoted, &s) != nil {
			return "", false
		}
		n := strings.Count(s, old)
		copies += n
		if n == 0 {
			return "", false
		}
		out, err := quoteJSON(strings.ReplaceAll(s, old, v))
		return out, err == nil
	}
	w.value([]jsonPath{{name, strings.Split(name, ".")}})
	return applySplices(text, w.edits), copies, nil
}

// quoteJSON writes a JSON string, its quotes included.
func quoteJSON(v string) (string, error) {
	if !utf8.ValidString(v) {
		return "", &problem{"body: the secret is not UTF-8, which JSON text must be", ""}
	}
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", errors.New("body: the secret cannot be written as JSON")
	}
	return strings.TrimSuffix(quoted.String(), "\n"), nil
}

// FindMessage looks for placeholders in one text message of a WebSocket, as Find does in
// requests. A message that is not JSON has no fields, and is searched only by a place
// without a name.
func (s Search) FindMessage(text []byte, f *Finder) []Found {
	names, anywhere := s.names("websocket")
	if len(names) == 0 || f == nil {
		return nil
	}
	if anywhere {
		names = []string{""}
	}
	var found []Found
	kind := messageText(text)
	for _, k := range f.known {
		for _, name := range names {
			_, n, err := kind.replace(text, k.placeholder, name, k.placeholder)
			if err != nil || n == 0 {
				continue
			}
			found = append(found, Found{Placeholder: k.placeholder, Service: k.service, Where: strings.TrimSpace("websocket " + slotName(name)),
				Copies: n, slot: slot{kind: inMessage, key: name}})
		}
	}
	return found
}

// ReplaceMessage returns the message with the copies of one Found replaced.
func (x Found) ReplaceMessage(text []byte, v string) ([]byte, error) {
	if v == "" {
		return nil, &problem{x.Where + ": the secret is empty", "store its value again"}
	}
	kind := messageText(text)
	if _, plain := kind.(plainText); plain && !utf8.ValidString(v) {
		return nil, &problem{x.Where + ": the secret is not UTF-8, which a text message must be", ""}
	}
	out, n, err := kind.replace(text, x.Placeholder, x.slot.key, v)
	if err == nil && n == 0 {
		err = x.gone()
	}
	return out, err
}

// messageText tells JSON, also behind the numbers and the name space of Socket.IO, from
// other text.
func messageText(text []byte) searchText {
	for i, c := range text {
		switch {
		case c == '{', c == '[':
			return jsonText{}
		case c >= '0' && c <= '9', c == ' ', c == '\t', c == '\r', c == '\n':
		case c == '/' && i > 0: // 42/admin,["auth",...]
			if at := bytes.IndexByte(text[i:], ','); at >= 0 && at < maxWhere {
				return messageText(text[i+at+1:])
			}
			return plainText{}
		default:
			return plainText{}
		}
	}
	return plainText{}
}

// replaceBody replaces all copies of one Found in the body, which it reads and sets.
func (x Found) replaceBody(req *http.Request, v string) error {
	if v == "" {
		return &problem{x.Where + ": the secret is empty", "store its value again"}
	}
	text, err := searchedBody(req)
	if err != nil || text == nil {
		return errors.Join(err, x.gone())
	}
	body, err := readBody(req)
	if err != nil {
		return err
	}
	body, n, err := text.replace(body, x.Placeholder, x.slot.key, v)
	if err != nil {
		return err
	}
	if n == 0 {
		return x.gone()
	}
	setBody(req, body)
	return nil
}

// replacePath replaces one copy in the path, under the conditions of Path.
func (x Found) replacePath(req *http.Request, v string) error {
	raw, n, err := putInPath(req.URL.EscapedPath(), x.Placeholder, v, 1)
	if err != nil {
		return err
	}
	if n == 0 {
		return x.gone()
	}
	return setPath(req.URL, raw)
}
