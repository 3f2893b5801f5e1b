package inject

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The slots in which APIs at large take a credential. A service's own slot is always one.
var (
	commonHeaders = [...]string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Private-Token", "X-Auth-Token", "Sec-Websocket-Protocol"}
	commonQuery   = [...]string{"key", "api_key", "apikey", "api-key", "access_token", "private_token", "token", "auth_token"}
)

// Credential reports whether x stands where the service's credential belongs: in the slot
// that its injector fills, or in one that APIs at large read a credential from and nothing
// else. Anywhere else the API would take the secret for content, and the child could have
// it written into an account of its own: ?title=PLACEHOLDER.
func (x Found) Credential(own Injector) bool {
	kind, name, _ := strings.Cut(x.Where, " ")
	name = strings.TrimSuffix(name, " (Basic)")
	if kind == slotKindOf(own) && sameSlot(name, slotNameOf(own)) {
		return true
	}
	switch x.slot.kind {
	case inHeader, inBasic:
		for _, h := range commonHeaders {
			if sameSlot(name, h) {
				return true
			}
		}
	case inQuery:
		for _, q := range commonQuery {
			if strings.EqualFold(name, q) {
				return true
			}
		}
	}
	return false
}

func slotKindOf(in Injector) string {
	switch in.(type) {
	case Header, Bearer, Basic, SigV4:
		return "header"
	case Query:
		return "query"
	case Cookie:
		return "cookie"
	}
	return ""
}

func slotNameOf(in Injector) string {
	switch in := in.(type) {
	case Header:
		return in.Name
	case Bearer, Basic, SigV4:
		return "Authorization"
	case Query:
		return in.Name
	case Cookie:
		return in.Name
	}
	return ""
}

// DropOthers removes what the child sent beside the placeholder in the service's own slot,
// in the places where the placeholder stands, and in the common credential headers: two
// credentials in one request would let the child choose the account that the other one's
// secret is shown to. The copies that are to be replaced are what it returns: they may stand
// on other lines than before.
func DropOthers(req *http.Request, found []Found, own Injector) ([]Found, error) {
	kind, name := slotKindOf(own), slotNameOf(own)
	for key, lines := range req.Header {
		if kind == "header" && sameSlot(key, name) || commonHeader(key) {
			switch standing(found, key, lines) {
			case len(lines):
			case 0:
				delete(req.Header, key)
			default:
				found = slices.Clone(found)
				req.Header[key] = onlyStanding(found, key, lines)
			}
		}
	}
	if kind == "cookie" {
		found = slices.Clone(found)
		dropCookies(req, found, name)
	}
	var names []string
	if kind == "query" {
		names = append(names, name)
	}
	return found, dropParams(req, found, names)
}

func commonHeader(key string) bool {
	for _, h := range commonHeaders {
		if sameSlot(key, h) && h != "Sec-Websocket-Protocol" {
			return true
		}
	}
	return false
}

// standsAt says that a copy stands on a line of a header.
func (x *Found) standsAt(key string, line int) bool {
	return (x.slot.kind == inHeader || x.slot.kind == inBasic) && x.slot.key == key && x.slot.line == line
}

// standing counts the lines of a header that hold a placeholder.
func standing(found []Found, key string, lines []string) (n int) {
	for i := range lines {
		for k := range found {
			if found[k].standsAt(key, i) {
				n++
				break
			}
		}
	}
	return n
}

// onlyStanding returns these lines, and tells found where they are then.
func onlyStanding(found []Found, key string, lines []string) (kept []string) {
	for i, line := range lines {
		here := false
		for k := range found {
			if found[k].standsAt(key, i) {
				found[k].slot.line, here = len(kept), true
			}
		}
		if here {
			kept = append(kept, line)
		}
	}
	return kept
}

// dropCookies removes the cookies of that name that hold no placeholder, and tells found
// where the others are then.
func dropCookies(req *http.Request, found []Found, name string) {
	for key, lines := range req.Header {
		if !sameSlot(key, "Cookie") {
			continue
		}
		var kept []string
		for i, line := range lines {
			pieces := strings.Split(line, ";")
			pieces = slices.DeleteFunc(pieces, func(piece string) bool {
				got, _, _ := strings.Cut(piece, "=")
				return strings.Trim(got, " \t") == name && !holdsAny(found, piece)
			})
			if line = strings.TrimLeft(strings.Join(pieces, ";"), " \t"); line == "" {
				continue
			}
			for n := range found {
				if at := &found[n].slot; at.kind == inCookie && at.key == key && at.line == i {
					at.line = len(kept)
				}
			}
			kept = append(kept, line)
		}
		if req.Header[key] = kept; kept == nil {
			delete(req.Header, key)
		}
	}
}

// dropParams removes the parameters of these names, and of those that hold a placeholder,
// which hold none.
func dropParams(req *http.Request, found []Found, names []string) error {
	raw := req.URL.RawQuery
	if raw == "" {
		return nil
	}
	pieces := strings.Split(raw, "&")
	for _, piece := range pieces {
		if name, _, ok := strings.Cut(piece, "="); ok && holdsAny(found, piece) {
			if plain, err := url.QueryUnescape(name); err == nil && plain != "" {
				names = append(names, plain)
			}
		}
	}
	kept := make([]string, 0, len(pieces))
	for _, piece := range pieces {
		drop := false
		for _, name := range names {
			same, err := sameParam("query "+slotName(name), piece, name)
			if err != nil {
				return err
			}
			drop = drop || same && !holdsAny(found, piece)
		}
		if !drop {
			kept = append(kept, piece)
		}
	}
	if len(kept) < len(pieces) {
		req.URL.RawQuery = strings.Join(kept, "&")
	}
	return nil
}

// holdsAny says that a placeholder that was found stands in a piece.
func holdsAny(found []Found, piece string) bool {
	for _, f := range found {
		if countEncoded(piece, f.Placeholder) > 0 {
			return true
		}
	}
	return false
}
