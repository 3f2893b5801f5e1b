package inject

import "strings"

// maxWhere bounds a name from the child inside a Where, which goes to the log.
const maxWhere = 64

// CredentialHeader says whether a header's name reads like one that carries a credential,
// so that its value is not for showing.
func CredentialHeader(name string) bool { return credentialHeader(name) }

// credentialHeader says whether a header's name reads like one that carries a
// credential. It is asked for every header of every request, so it allocates nothing.
//
// The names that matter: Authorization, Proxy-Authorization, X-Api-Key, Api-Key,
// X-Goog-Api-Key, Private-Token, X-Auth-Token, Cookie. All others are told by a word of
// their name, because every service invents one: X-Vault-Token, Dd-Api-Key, X-Secret.
func credentialHeader(name string) bool {
	if !hasCredentialWord(name) {
		return sameSlot(name, "Sec-Websocket-Protocol") // browsers have no other slot
	}
	for _, not := range [...]string{
		"Idempotency-Key", "X-Idempotency-Key", "Sec-Websocket-Key", "X-Csrf-Token", "X-Xsrf-Token", "Surrogate-Key",
	} {
		if sameSlot(name, not) {
			return false
		}
	}
	return true
}

func hasCredentialWord(name string) bool {
	for start, i := 0, 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '-' && name[i] != '_' {
			continue
		}
		if credentialWord(name[start:i]) {
			return true
		}
		start = i + 1
	}
	return false
}

// credentialWord compares one word of a name. The length is the cheap first test.
func credentialWord(w string) bool {
	switch len(w) {
	case 3:
		return strings.EqualFold(w, "key") || strings.EqualFold(w, "jwt") || strings.EqualFold(w, "pat")
	case 4:
		return strings.EqualFold(w, "auth")
	case 5:
		return strings.EqualFold(w, "token")
	case 6:
		return strings.EqualFold(w, "cookie") || strings.EqualFold(w, "apikey") || strings.EqualFold(w, "secret") ||
			strings.EqualFold(w, "passwd")
	case 7:
		return strings.EqualFold(w, "authkey")
	case 8:
		return strings.EqualFold(w, "password") || strings.EqualFold(w, "apitoken")
	case 9:
		return strings.EqualFold(w, "accesskey") || strings.EqualFold(w, "authtoken")
	case 10:
		return strings.EqualFold(w, "credential")
	case 11:
		return strings.EqualFold(w, "accesstoken") || strings.EqualFold(w, "credentials")
	case 13:
		return strings.EqualFold(w, "authorization")
	}
	return false
}

// slotName is a name from the child as a Where shows it: bounded. Escaping it for a
// terminal is the reader's part, as for everything else from the network.
func slotName(s string) string {
	if len(s) > maxWhere {
		return s[:maxWhere] + "..."
	}
	return s
}
