// Package inject puts a credential where a service wants it, makes the placeholders
// that the child holds in its stead, and finds them again in a request.
//
// There is one injector a file. Each replaces whatever the child put in its slot,
// every copy and spelling of it, and leaves all other bytes of the request as they
// are: a child that sends X-Api-Key to a service whose slot is Authorization still
// sends its X-Api-Key, because only the service's configuration says what a slot is.
//
// Nothing here decides whether a credential may be sent: that was decided before.
// No error of this package holds a value of a secret. Injectors are plain values,
// safe for concurrent use; a request belongs to one goroutine.
package inject

import (
	"errors"
	"net/http"
	"unicode/utf8"

	"agentvault/keyring"
)

// Injector puts secret into req, in place of everything the child put there, and says
// in which slot: "header Authorization", "query key", "body token"; "" for none. A
// request that Inject ended with an error must not be sent: it may be half changed.
type Injector interface {
	Inject(req *http.Request, secret keyring.Secret) (where string, err error)
}

// ErrNoSlot means that the request has no place for the credential: a path without
// the placeholder, a body without the field. Nothing was changed but the body's
// buffering, and the request may still be sent without a credential.
var ErrNoSlot = errors.New("the request has no place for the credential")

// ErrOperation means that the credential could be sent and is not, because of what the
// request asks for.
var ErrOperation = errors.New("the operation is refused")

// wrongOperation is ErrOperation in more words.
type wrongOperation struct{ problem }

func (*wrongOperation) Is(target error) bool { return target == ErrOperation }

// problem is an error with the remedy beside it.
type problem struct{ text, hint string }

func (p *problem) Error() string { return p.text }

// Hint says what the human can do.
func (p *problem) Hint() string { return p.hint }

// checkHeaderValue refuses what a header line cannot carry. CR, LF and NUL would let a
// secret write headers of its own. Other controls are refused by net/http as well, in
// words that do not help. White space at the ends would be cut off by the receiver.
// Beyond ASCII a header has no encoding that both sides agree on, and in practice such
// a byte is a quote or a no-break space that came along with a paste.
func checkHeaderValue(where, v string) error {
	if v == "" {
		return &problem{where + ": the secret is empty", "store its value again"}
	}
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '\r', c == '\n':
			return &problem{where + ": the secret holds a line break", "store it again without the line break"}
		case c < 0x20, c == 0x7f:
			return &problem{where + ": the secret holds a control character", "store it again; was it pasted from a terminal?"}
		case c >= utf8.RuneSelf:
			return &problem{where + ": the secret holds a character outside ASCII, which a header cannot carry", "store it again; was it pasted with quotes?"}
		}
	}
	if v[0] == ' ' || v[len(v)-1] == ' ' {
		return &problem{where + ": the secret begins or ends with a space", "store it again without the space"}
	}
	return nil
}

// checkText is for slots that encode the value: everything but controls can be sent.
func checkText(where, v string) error {
	if v == "" {
		return &problem{where + ": the secret is empty", "store its value again"}
	}
	for i := 0; i < len(v); i++ {
		if v[i] < 0x20 || v[i] == 0x7f {
			return &problem{where + ": the secret holds a control character", "store it again without line breaks"}
		}
	}
	return nil
}
