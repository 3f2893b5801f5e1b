package inject

import (
	"encoding/base64"
	"strings"
)

// minPathKey is the shortest segment that PathKey looks at. Keys that stand in paths are
// longer; names and most ids are shorter, so that most paths cost a count of slashes.
const minPathKey = 20

// PathKey finds the credential that a client wrote into the path of its URL, as bots and
// webhooks have it: /bot123:ABC/getMe, /services/T0/B0/KEY. The path is the escaped one.
// It is told by the host where the provider documents the place, and by the shape of the
// provider's keys elsewhere. end is 0 where there is none.
//
// It serves the log and what is said of a call; no decision hangs on it.
func PathKey(host, path string) (start, end int) {
	for at := 0; at < len(path); {
		next := strings.IndexByte(path[at:], '/')
		if next < 0 {
			next = len(path) - at
		}
		if next >= minPathKey {
			segment := path[at : at+next]
			if from := keyInSegment(segment); from >= 0 {
				return at + from, at + next
			}
			if hookPlace(host, path[:at]) {
				return at, at + next
			}
		}
		at += next + 1
	}
	return 0, 0
}

// MaskPath is the path with every credential in it replaced.
func MaskPath(host, path string) string {
	const mask = "‹key›"
	for {
		start, end := PathKey(host, path)
		if end == 0 {
			return path
		}
		path = path[:start] + mask + path[end:]
	}
}

// hookPlace reports whether what follows before is the secret part of a webhook's or an
// API's address. The places are those of the providers' documentation.
func hookPlace(host, before string) bool {
	switch host {
	case "hooks.slack.com": // /services/T…/B…/KEY, /workflows/T…/A…/ID/KEY, /triggers/T…/ID/KEY
		return strings.Count(before, "/") >= 4
	case "discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com": // /api/v10/webhooks/ID/KEY
		_, id, ok := strings.Cut(before, "/webhooks/")
		return ok && strings.Count(id, "/") == 1
	case "maker.ifttt.com": // /trigger/EVENT/with/key/KEY
		return strings.HasSuffix(before, "/key/")
	case "api.day.app", "hc-ping.com", "api.pushcut.io":
		return before == "/"
	}
	name, domain, _ := strings.Cut(host, ".")
	switch {
	case domain == "webhook.office.com": // /webhookb2/…/IncomingWebhook/KEY/…
		return strings.HasSuffix(before, "/IncomingWebhook/")
	case domain == "g.alchemy.com" || domain == "infura.io" || name == "rpc" && domain == "ankr.com": // /v2/KEY
		return strings.Count(before, "/") >= 2
	}
	return false
}

// keyInSegment gives where the key in a segment begins, or -1.
func keyInSegment(s string) int {
	if from := botKey(s); from >= 0 {
		return from
	}
	if strings.IndexByte("sprgxhndSAyle", s[0]) < 0 { // no prefix begins otherwise
		return -1
	}
	for _, prefix := range [...]string{
		"sk-", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "pplx-", "gsk_", "xai-", "hf_", "r8_",
		"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "npm_", "pypi-", "dckr_pat_",
		"xoxb-", "xoxp-", "xoxa-", "xoxe.", "xapp-", "SG.", "AIza", "ya29.", "dop_v1_", "lin_api_", "shpat_", "sbp_",
	} {
		if strings.HasPrefix(s, prefix) && keyText(s[len(prefix):]) {
			return 0
		}
	}
	if isJWT(s) {
		return 0
	}
	return -1
}

// botKey finds `bot123456:ABC...` of Telegram's and the APIs that follow it, also with the
// colon escaped.
func botKey(s string) int {
	rest, ok := strings.CutPrefix(s, "bot")
	if !ok {
		return -1
	}
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits < 6 {
		return -1
	}
	for _, colon := range [...]string{":", "%3A", "%3a"} {
		if token, ok := strings.CutPrefix(rest[digits:], colon); ok && len(token) >= 30 {
			return len("bot")
		}
	}
	return -1
}

// keyText reports whether s could be what stands behind a key's prefix: long, of the
// characters that keys have, and with a digit, which slugs of that length seldom have.
func keyText(s string) bool {
	digit := false
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			digit = true
		case c|0x20 >= 'a' && c|0x20 <= 'z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return digit && len(s) >= 16
}

// isJWT reports whether s is a signed JSON Web Token: three parts, the first of which is
// an object.
func isJWT(s string) bool {
	if !strings.HasPrefix(s, "ey") || strings.Count(s, ".") != 2 {
		return false
	}
	head, _, _ := strings.Cut(s, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	return err == nil && strings.HasPrefix(string(text), `{`)
}
