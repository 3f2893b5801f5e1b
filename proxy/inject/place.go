package inject

import (
	"net/http"
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

// DropOthers removes what the child sent in the common credential headers beside the
// placeholder: two credentials in one request would let the child choose the account that
// the other one's secret is shown to.
func DropOthers(req *http.Request, found []Found) {
	for key := range req.Header {
		for _, h := range commonHeaders {
			if sameSlot(key, h) && h != "Sec-Websocket-Protocol" && !standsIn(found, key) {
				delete(req.Header, key)
			}
		}
	}
}

func standsIn(found []Found, key string) bool {
	for _, f := range found {
		if f.slot.kind != inQuery && f.slot.key == key {
			return true
		}
	}
	return false
}
