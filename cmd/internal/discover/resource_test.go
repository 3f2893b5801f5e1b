package discover

import "testing"

func TestResource(t *testing.T) {
	for _, tt := range []struct{ name, host, path, want string }{
		{"repository by API", "api.github.com", "/repos/acme/app/pulls/3", "github.com/acme/app"},
		{"repository by git", "github.com", "/acme/app.git/info/refs", "github.com/acme/app"},
		{"repository by download", "raw.githubusercontent.com", "/acme/app/main/x/y", "github.com/acme/app"},
		{"organisation", "api.github.com", "/orgs/acme/members", "github.com/orgs/acme"},
		{"customer", "api.stripe.com", "/v1/customers/cus_NffrFeUfNV2Hib/sources", "api.stripe.com/v1/customers/cus_NffrFeUfNV2Hib"},
		{"bucket", "s3.eu-west-1.amazonaws.com", "/bucket/a/b", "s3.eu-west-1.amazonaws.com/bucket"},
		{"model and verb", "generativelanguage.googleapis.com", "/v1beta/models/gemini:generateContent", "generativelanguage.googleapis.com/v1beta/models/gemini:generateContent"},
		{"nothing", "api.openai.com", "/v1/responses", ""},
		{"a rest alone", "b.s3.amazonaws.com", "/x/y", ""},
	} {
		if got := Resource(tt.host, tt.path, Template(tt.host, tt.path)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
