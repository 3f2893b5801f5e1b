package config

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"

	"agentvault/keyring"
	"agentvault/proxy/inject"
)

func compiledService(t *testing.T, toml string) *CompiledService {
	t.Helper()
	c := compileText(t, toml)
	return &c.Services[0]
}

func TestInspect(t *testing.T) {
	ghp := "ghp_s3cret" + strings.Repeat("a", 30)
	ant := "sk-ant-api03-s3cret" + strings.Repeat("a", 87) + "AA"
	akia := "AKIA" + strings.Repeat("A", 16)
	live, test := "sk_live_51s3cret"+strings.Repeat("a", 91), "sk_test_51s3cret"+strings.Repeat("a", 91)
	use := func(name string) string {
		return fmt.Sprintf("[service.x]\nuse = %q\nsecret = \"keychain:x\"\n", name)
	}
	for _, tt := range []struct{ name, toml, value, host, label, foreign string }{
		{name: "its own", toml: use("github"), value: ghp},
		{name: "github's for anthropic", toml: use("anthropic"), value: ghp, foreign: "plainly a key of github, and not of anthropic"},
		{name: "anthropic's for openai", toml: use("openai"), value: ant, foreign: "plainly a key of anthropic"},
		{name: "stripe's for anthropic", toml: use("anthropic"), value: live, foreign: "stripe"},
		{name: "live", toml: use("stripe"), value: live, label: "live"},
		{name: "test", toml: use("stripe"), value: test, label: "test"},
		{name: "a provider's sandbox", toml: use("plaid"), value: "0123456789abcdef0123456789abcd", host: "sandbox.plaid.com", label: "test"},
		{name: "a kind that nobody knows", toml: use("anthropic"), value: "sk-new-s3cret-of-key-0123456789"},
		{name: "a provider without known keys", toml: use("mistral"), value: "0123456789abcdef0123456789abcdef"},
		{name: "a common prefix, and no known keys", toml: use("lemonsqueezy"), value: "live_" + strings.Repeat("a", 40)},
		{name: "github's, and no known keys", toml: use("mistral"), value: ghp, foreign: "github"},
		{name: "an id", toml: use("anthropic"), value: akia, foreign: "the id of an access key of aws"},
		{name: "an id for its own provider", toml: "[service.x]\nuse = \"aws\"\nhost = \"*.eu-west-1.amazonaws.com\"\n" +
			"auth = { type = \"sigv4\", access_key_id = \"keychain:id\" }\nsecret = \"keychain:x\"\n", value: akia, foreign: "and not a secret"},
		{name: "a gateway", toml: use("openai") + "host = \"llm.acme.test\"\n", value: ant},
		{name: "by hand, elsewhere", toml: "[service.x]\nhost = \"git.acme.test\"\nauth = \"bearer\"\nsecret = \"keychain:x\"\n", value: ghp},
		{name: "by hand, a known host", toml: "[service.x]\nhost = \"api.openai.com\"\nauth = \"bearer\"\nsecret = \"keychain:x\"\n", value: ghp, foreign: "not of openai"},
		{name: "by hand, a known host, its own", toml: "[service.x]\nhost = \"api.stripe.com\"\nauth = \"bearer\"\nsecret = \"keychain:x\"\n", value: live, label: "live"},
		{name: "part of a larger text", toml: use("anthropic"), value: "x " + ghp},
	} {
		t.Run(tt.name, func(t *testing.T) {
			label, err := compiledService(t, tt.toml).Inspect(keyring.NewSecret([]byte(tt.value)), tt.host)
			if label != tt.label || (err == nil) != (tt.foreign == "") {
				t.Fatalf("%q, %v; want %q, %q", label, err, tt.label, tt.foreign)
			}
			if err == nil {
				return
			}
			var foreign *ForeignError
			if !errors.As(err, &foreign) || !strings.Contains(err.Error(), tt.foreign) || strings.Contains(err.Error(), tt.value) {
				t.Errorf("%v, want %q", err, tt.foreign)
			}
		})
	}
}

// No key that the catalogue itself makes for a service is refused there.
func TestInspectTakesEveryShape(t *testing.T) {
	for _, e := range Catalogue() {
		if e.Shape == "" {
			continue
		}
		p, err := inject.NewPlaceholder(rand.Reader, e.Shape)
		if err != nil {
			t.Fatal(err)
		}
		s := CompiledService{Name: e.Name, known: e.Name}
		if _, err := s.Inspect(keyring.NewSecret([]byte(p)), ""); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
	}
}

// A key is known whatever stands in front of it in an environment, and what an ordinary
// environment holds is none.
func TestIsKey(t *testing.T) {
	same := mathrand.NewChaCha8([32]byte{}) // the same keys in each run
	for _, e := range Catalogue() {
		if len(e.Marks) == 0 && !hasMark(shared, e.Shape) {
			continue
		}
		p, err := inject.NewPlaceholder(same, e.Shape)
		if err != nil {
			t.Fatal(err)
		}
		if !IsKey(p) {
			t.Errorf("%s: %q is no key", e.Name, p)
		}
	}
	for _, key := range []string{
		"sk_test_4eC39HqLyjWDarjtT1zdp7dc", "rk_live_4eC39HqLyjWDarjtT1zdp7dc", // Stripe's from before they said 51
		"sk-0123456789abcdef0123456789abcdef",
	} {
		if !IsKey(key) {
			t.Errorf("%q is no key", key)
		}
	}
	for _, value := range []string{
		"", "1", "true", "xterm-256color", "en_US.UTF-8", "sk_SK.UTF-8", "sk-SK", "Europe/Bratislava", "/usr/local/bin:/usr/bin:/bin:/opt/Node20/bin",
		"/home/dev/.rustup/toolchains/1.90.0-x86_64-unknown-linux-gnu", "unix:path=/run/user/1000/bus,guid=0123456789abcdef0123456789abcdef",
		"rs=0:di=01;34:ln=01;36:*.tar=01;31", "-Xmx4g -Dfile.encoding=UTF-8", "--max-old-space-size=4096", "https://proxy.acme.test:3128",
		"postgres://app@db.acme.test:5432/app", "2026-01-02T15:04:05Z", "1.2.3-rc.4+build.5", "v20.11.1", "kubernetes.default.svc.cluster.local",
		"0123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcdef", "6ba7b810-9dad-41d1-80b4-00c04fd430c8", // a commit, a digest, an id
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "AKIAIOSFODNN7EXAMPLE", // the public half of a pair
		"sk-service-payments-eu1-production", "sk-admin-console-of-the-team", "sk-proj-the-name-of-a-project-2", "sk-proj-Payments-Team-Production", "re_run_the_failed_tests_only", "re_run_2_tests_of_10_again",
		"sk-1234", "sk-local-development-0001", "sk_test_key", "pk_test_51H8x0ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", // published with every page
		"pat", "patience", "hvs.not-yet", "test_0123456789abcdef0123456789abcdef", "live_0123456789012345678901234567890123456789",
		"ghp_", "ghp_short", "x ghp_0123456789abcdefghijABCDEFGHIJ012345", "tvly-dev-local-instance-of-mine", "fc-cache -f -v", "SG.UTF-8",
		"{\"key\":\"ghp_0123456789abcdefghijABCDEFGHIJ012345\"}", "AIza", "dapi", "gsk_model_name", "0", "en", "tty1", ":0.0", "3.12",
	} {
		if IsKey(value) {
			t.Errorf("%q is taken for a key", value)
		}
	}
}

// The lines that are read alone are all that the catalogue has.
func TestMarksAreTheCatalogues(t *testing.T) {
	var got, want []string
	for _, m := range allMarks() {
		got = append(got, fmt.Sprint(m.service, m.marks, m.ids))
	}
	for _, e := range Catalogue() {
		if e.Marks != nil {
			want = append(want, fmt.Sprint(e.Name, e.Marks, []string(nil)))
		}
		if e.IDs != nil {
			want = append(want, fmt.Sprint(e.Name, []string(nil), e.IDs))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("marks:\n%q, want\n%q", got, want)
	}
}

// What the first injection of a session pays, and what each other pays that brings a new value.
func BenchmarkInspect(b *testing.B) {
	s := CompiledService{Name: "x", known: "anthropic"}
	value := keyring.NewSecret([]byte("sk-ant-api03-s3cret" + strings.Repeat("a", 87) + "AA"))
	for b.Loop() {
		if _, err := s.Inspect(value, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// What a session's start pays for the values of an ordinary environment.
func BenchmarkIsKey(b *testing.B) {
	for b.Loop() {
		for range 100 {
			IsKey("/home/dev/.rustup/toolchains/1.90.0-x86_64-unknown-linux-gnu/bin")
		}
	}
}
