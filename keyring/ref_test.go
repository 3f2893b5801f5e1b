package keyring

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Ref
	}{
		{"keychain:github", Ref{Scheme: "keychain", Name: "github"}},
		{"file:a.b_c-d", Ref{Scheme: "file", Name: "a.b_c-d"}},
		{"env:GITHUB_TOKEN", Ref{Scheme: "env", Name: "GITHUB_TOKEN"}},
		{"exec:op read 'op://dev/x y/token?a=b#c@d'", Ref{Scheme: "exec", Name: "op read 'op://dev/x y/token?a=b#c@d'"}},
		{"infisical:KEY", Ref{Scheme: "infisical", Name: "KEY"}},
		{"infisical:KEY?project=p-1&env=dev&path=/agents/a%20b", Ref{Scheme: "infisical", Name: "KEY",
			Params: url.Values{"project": {"p-1"}, "env": {"dev"}, "path": {"/agents/a b"}}}},
		{"infisical:db#DB_PASSWORD?project=s&env=dev", Ref{Scheme: "infisical", Name: "db", Field: "DB_PASSWORD",
			Params: url.Values{"project": {"s"}, "env": {"dev"}}}},
		{"infisical:*?project=p-1", Ref{Scheme: "infisical", Name: "*", Params: url.Values{"project": {"p-1"}}}},
		{"vault:secret/agents/billing#api_key", Ref{Scheme: "vault", Name: "secret/agents/billing", Field: "api_key"}},
		{"vault:secret/one", Ref{Scheme: "vault", Name: "secret/one"}},
		{"vault:team a/aws/creds/agent#a@b#c", Ref{Scheme: "vault", Name: "team a/aws/creds/agent", Field: "a@b#c"}},
		{"aws:prod/stripe", Ref{Scheme: "aws", Name: "prod/stripe"}},
		{"aws:prod/db#password@AWSPREVIOUS", Ref{Scheme: "aws", Name: "prod/db", Field: "password", Stage: "AWSPREVIOUS"}},
		{"aws:mail/alice@acme.test", Ref{Scheme: "aws", Name: "mail/alice@acme.test"}},
		{"aws:mail/alice@acme.test@AWSPENDING", Ref{Scheme: "aws", Name: "mail/alice@acme.test", Stage: "AWSPENDING"}},
		{"aws:arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf#user", Ref{Scheme: "aws",
			Name: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf", Field: "user"}},
	} {
		got, err := ParseRef(c.in)
		if err != nil {
			t.Errorf("ParseRef(%q): %v", c.in, err)
			continue
		}
		if got.String() != c.in || got.IsZero() {
			t.Errorf("ParseRef(%q).String() = %q", c.in, got)
		}
		if text, err := json.Marshal(got); err != nil || !strings.Contains(string(text), "keychain") && strings.HasPrefix(c.in, "keychain") {
			t.Errorf("JSON of %q: %s, %v", c.in, text, err)
		}
		got.raw = ""
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("ParseRef(%q) = %+v, want %+v", c.in, got, c.want)
		}
		again, err := ParseRef(got.String()) // put together by hand
		if again.raw = ""; err != nil || !reflect.DeepEqual(again, c.want) {
			t.Errorf("ParseRef(%q) = %+v, %v; want %+v", got, again, err, c.want)
		}
	}
}

func TestParseRefErrors(t *testing.T) {
	for _, c := range []struct {
		in, want string
		quotes   bool
	}{
		{"", "not a secret ref", false},
		{"github", "not a secret ref: want SCHEME:NAME", false},
		{"hcv:x", `unknown secret scheme "hcv" (one of: keychain, file, infisical, vault, aws, env, exec)`, false},
		{"ghp_0123456789abcdef:x", "not a secret ref", false}, // a token, not a scheme
		{"keychain:", "no name", true},
		{"keychain: ", "no name", true},
		{"keychain:a/b", "letters, digits", true},
		{"keychain:a?b=c", "letters, digits", true},
		{"env:A B", "letters, digits", true},
		{"infisical:../../v1/x?project=p", "letters, digits", true},
		{"infisical:*#F?project=p", "letters, digits", true},
		{"infisical:A*", "letters, digits", true},
		{"keychain:*", "letters, digits", true},
		{"infisical:K?a=%zz", "unreadable parameters", true},
		{"exec:a\nb", "control character", true},
		{"vault:secret", "no path below the mount (want vault:MOUNT/PATH#FIELD)", true},
		{"vault:secret/", "segment", true},
		{"vault:secret/../sys/raw#x", "segment", true},
		{"vault:secret//a", "segment", true},
		{"vault:secret/a?version=1", "no '?'", true},
		{`vault:secret/a\b`, "no '?'", true},
		{"vault:secret/a#", "nothing after #", true},
		{"vault:#a", "no name", true},
		{"aws:", "no name", true},
		{"aws:a b", "letters, digits", true},
		{"aws:a@", "nothing after @", true},
		{"aws:a@AWSOLD", `unknown stage "AWSOLD" (one of: AWSCURRENT, AWSPREVIOUS, AWSPENDING)`, true},
		{"aws:arn:aws:s3:::bucket", "not the ARN of a secret", true},
		{"aws:arn:aws:secretsmanager:evil.test/:1:secret:x-AbCdEf", "not the name of a region", true},
		{"aws:prod:db", "not the ARN of a secret", true},
		{"exec: ", "no name", true},
	} {
		_, err := ParseRef(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ParseRef(%q): %v, want %q in it", c.in, err, c.want)
			continue
		}
		if !c.quotes && len(c.in) > 12 && strings.Contains(err.Error(), c.in) {
			t.Errorf("ParseRef(%q): %v repeats what may be a value", c.in, err)
		}
	}
}

func TestKey(t *testing.T) {
	folder, err := ParseRef("infisical:*?project=p&path=/a*")
	if err != nil {
		t.Fatal(err)
	}
	if key, err := folder.Key("TOKEN"); err != nil || key.String() != "infisical:TOKEN?project=p&path=/a*" || key.Name != "TOKEN" {
		t.Errorf("Key: %s, %v", key, err)
	}
	for _, name := range []string{"", "a/b", "a?env=prod"} {
		if key, err := folder.Key(name); err == nil {
			t.Errorf("Key(%q) = %s", name, key)
		}
	}
	one, _ := ParseRef("infisical:TOKEN")
	if key, err := one.Key("OTHER"); err == nil {
		t.Errorf("a key of a key: %s", key)
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"github", "a.b_c-D9", ".", "..", strings.Repeat("x", maxName)} {
		if err := CheckName(name); err != nil {
			t.Errorf("CheckName(%q): %v", name, err)
		}
	}
	for _, name := range []string{"", "a/b", `a\b`, "a b", "a:b", "é", "a\x00", strings.Repeat("x", maxName+1)} {
		if err := CheckName(name); err == nil {
			t.Errorf("CheckName(%.20q): no error", name)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"keychain:github", "file:x", "env:X", "exec:op read 'a b'", "infisical:K?project=p&env=e&path=/a",
		"vault:secret/app#token", "aws:arn:aws:secretsmanager:eu-west-1:1:secret:x-AbCdEf#k@AWSPREVIOUS", "x:", ":", "infisical:K?%",
		"vault:aws/creds/agent#access_key", "vault:a/../b", "aws:a@b@AWSCURRENT", "aws:a#b@c", "aws:a@AWSCURRENT#b",
		"infisical:db#F?project=p&ttl=1h", "infisical:K?a=b#c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseRef(s)
		if err != nil {
			if !ref.IsZero() {
				t.Errorf("ParseRef(%q) gives a ref and an error", s)
			}
			return
		}
		if ref.String() != s || ref.Name == "" || ref.IsZero() {
			t.Errorf("ParseRef(%q) = %+v", s, ref)
		}
		if strings.ContainsAny(s, "\r\n\x00\x1b") {
			t.Errorf("ParseRef(%q) took a control character", s)
		}
		// The parts say all: what is put together from them is the same secret.
		byHand := ref
		byHand.raw = ""
		again, err := ParseRef(byHand.String())
		if again.raw = ""; err != nil || !reflect.DeepEqual(again, byHand) {
			t.Errorf("ParseRef(%q) = %+v; its parts give %q, which is %+v, %v", s, byHand, byHand, again, err)
		}
	})
}
