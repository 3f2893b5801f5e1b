package inject

import (
	"bytes"
	"errors"
	"mime"
	"net/textproto"
	"strings"
)

// part is one part of a multipart body: where its contents stand, and what it is.
type part struct {
	name     string
	file     bool // has a file name: its contents are the child's business
	encoded  bool // base64 or quoted-printable
	from, to int
}

var errMultipart = errors.New("body: multipart that cannot be taken apart")

// splitMultipart finds the parts by their offsets; mime/multipart tells contents but
// not where they stand. It is strict: what a lenient origin could read in another way
// is an error.
func splitMultipart(body []byte, boundary string) ([]part, error) {
	delimiter := []byte("--" + boundary)
	if !bytes.HasPrefix(body, delimiter) {
		// A preamble is legal and nobody sends one.
		return nil, errMultipart
	}
	separator := []byte("\r\n--" + boundary)
	var parts []part
	for at := len(delimiter); ; {
		rest := body[at:]
		if bytes.HasPrefix(rest, []byte("--")) {
			return parts, nil
		}
		line := bytes.IndexByte(rest, '\n')
		if line < 0 || strings.Trim(string(rest[:line]), " \t\r") != "" {
			return nil, errMultipart
		}
		from := at + line + 1
		end := bytes.Index(body[from-2:], separator)
		if end < 0 {
			return nil, errMultipart
		}
		end += from - 2
		p, err := readPart(body, from, max(end, from))
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
		at = end + len(separator)
	}
}

func readPart(body []byte, from, to int) (part, error) {
	head := bytes.Index(body[from:to], []byte("\r\n\r\n"))
	if head < 0 {
		return part{}, errMultipart
	}
	p := part{from: from + head + 4, to: to}
	lines := strings.Split(string(body[from:from+head]), "\r\n")
	dispositions := 0
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(line, "\r\n") {
			return part{}, errMultipart
		}
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "Content-Disposition":
			dispositions++
			_, params, err := mime.ParseMediaType(strings.TrimSpace(value))
			if err != nil {
				return part{}, errMultipart
			}
			p.name = params["name"]
			_, p.file = params["filename"]
		case "Content-Transfer-Encoding":
			switch strings.ToLower(strings.TrimSpace(value)) {
			case "7bit", "8bit", "binary":
			default:
				p.encoded = true
			}
		}
	}
	if dispositions > 1 {
		return part{}, errMultipart
	}
	return p, nil
}
