package inject

import (
	"net/http"
	"testing"
)

const botToken = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw8"

func TestMaskPath(t *testing.T) {
	for _, tt := range []struct{ name, host, path, want string }{
		{"bot", "api.telegram.org", "/bot" + botToken + "/sendMessage", "/bot‹key›/sendMessage"},
		{"bot, escaped", "api.telegram.org", "/bot123456789%3AAAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw8/getMe", "/bot‹key›/getMe"},
		{"file of a bot", "api.telegram.org", "/file/bot" + botToken + "/documents/file_1.pdf", "/file/bot‹key›/documents/file_1.pdf"},
		{"bot of a server of one's own", "bots.acme.test", "/bot" + botToken + "/getMe", "/bot‹key›/getMe"},
		{"bot's page", "api.telegram.org", "/bots/123456789/settings", "/bots/123456789/settings"},
		{"webhook of Slack", "hooks.slack.com", "/services/T01ABCDEF23/B01ABCDEF23/x7KdQ2mNvB4cR8tYpL1sWz9a", "/services/T01ABCDEF23/B01ABCDEF23/‹key›"},
		{"webhook of Discord", "discord.com", "/api/webhooks/1123456789012345678/Vn3kQ-x7KdQ2mNvB4cR8tYpL1sWz9aVn3kQx7KdQ2mNvB4cR8tYpL1sWz9a", "/api/webhooks/1123456789012345678/‹key›"},
		{"message of Discord", "discord.com", "/api/v10/channels/1123456789012345678/messages/1123456789012345679", "/api/v10/channels/1123456789012345678/messages/1123456789012345679"},
		{"node of Alchemy", "eth-mainnet.g.alchemy.com", "/v2/Vn3kQ-x7KdQ2mNvB4cR8tYpL1sWz9aVn", "/v2/‹key›"},
		{"key in a path", "x.test", "/proxy/sk-proj-Vn3kQx7KdQ2mNvB4cR8tYp/chat", "/proxy/‹key›/chat"},
		{"token in a path", "x.test", "/npm/_auth/ghp_16C7e42F292c6912E7710c838347Ae178B4a", "/npm/_auth/‹key›"},
		{"JWT", "x.test", "/verify/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "/verify/‹key›"},
		{"two of them", "x.test", "/a/ghp_16C7e42F292c6912E7710c838347Ae178B4a/ghp_16C7e42F292c6912E7710c838347Ae178B4b", "/a/‹key›/‹key›"},
		{"ids stay", "api.stripe.com", "/v1/checkout/sessions/cs_test_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6", "/v1/checkout/sessions/cs_test_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6"},
		{"hashes stay", "x.test", "/blobs/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "/blobs/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
		{"documents stay", "docs.googleapis.com", "/v1/documents/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms", "/v1/documents/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"},
		{"slugs stay", "x.test", "/blog/sk-how-we-learned-to-love-keys", "/blog/sk-how-we-learned-to-love-keys"},
		{"empty", "x.test", "", ""},
	} {
		got := MaskPath(tt.host, tt.path)
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if again := MaskPath(tt.host, got); again != got {
			t.Errorf("%s: masked twice it is %q", tt.name, again)
		}
	}
}

func TestClientAuthOfPath(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"https://api.telegram.org/bot" + botToken + "/getMe", "path"},
		{"https://hooks.slack.com:443/services/T01ABCDEF23/B01ABCDEF23/x7KdQ2mNvB4cR8tYpL1sWz9a", "path"},
		{"https://api.stripe.com/v1/charges/ch_3MmlLrLkdIwHu7ix0snN0B15", ""},
	} {
		r, err := http.NewRequest(http.MethodGet, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := ClientAuth(r); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.url, got, tt.want)
		}
	}
}

func BenchmarkMaskPath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		MaskPath("api.github.com", "/repos/acme/app/contents/a-long-name-of-a-file-without-any-key.go")
	}
}
