package awssm

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

func mustRef(t *testing.T, s string) keyring.Ref {
	t.Helper()
	ref, err := keyring.ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func wantValue(t *testing.T, b *Backend, ref, want string) keyring.Item {
	t.Helper()
	item, err := b.Get(t.Context(), mustRef(t, ref))
	if err != nil {
		t.Fatalf("Get %s: %v", ref, err)
	}
	if got := item.Value.Reveal(); got != want {
		t.Fatalf("Get %s = %q, want %q", ref, got, want)
	}
	return item
}

// wantError fails unless getting ref is want, says text, and hints at hint.
func wantError(t *testing.T, b *Backend, ref string, want error, text, hint string) {
	t.Helper()
	_, err := b.Get(t.Context(), mustRef(t, ref))
	var h interface{ Hint() string }
	switch {
	case err == nil || want != nil && !errors.Is(err, want):
		t.Errorf("Get %s: error %v, want one that is %v", ref, err, want)
	case !strings.Contains(err.Error(), text):
		t.Errorf("Get %s: error %q, want %q in it", ref, err, text)
	case strings.Contains(err.Error(), keyringtest.Sentinel):
		t.Errorf("Get %s: the error holds a credential", ref)
	case hint != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint(), hint)):
		t.Errorf("Get %s: error %v without a hint at %q", ref, err, hint)
	}
}

func TestConformance(t *testing.T) {
	for _, kind := range []string{"text", "binary", "key"} {
		t.Run(kind, func(t *testing.T) {
			keyringtest.Run(t, func(t *testing.T) keyringtest.Fixture { return world(t, kind) })
		})
	}
}

func world(t *testing.T, kind string) keyringtest.Fixture {
	s := newServer(t)
	b := New(s.config())
	t.Cleanup(func() { _ = b.Close() }) // before the server, which waits for its clients
	failing := func(status int) func(*testing.T) keyring.Ref {
		return func(t *testing.T) keyring.Ref { s.fail = status; return mustRef(t, "aws:some") }
	}
	f := keyringtest.Fixture{
		Backend: b,
		Put: func(t *testing.T, value []byte) keyring.Ref {
			name, v, field := fmt.Sprintf("agents/%d", len(s.secrets)), secret{text: string(value)}, ""
			switch kind {
			case "binary":
				v = secret{binary: append([]byte{}, value...)}
			case "key":
				v, field = secret{text: fmt.Sprintf(`{"other": 1, "token": %q}`, value)}, "#token"
			}
			s.put(name, "AWSCURRENT", v)
			return mustRef(t, "aws:"+name+field)
		},
		Missing: func(t *testing.T) keyring.Ref { return mustRef(t, "aws:absent") },
		Denied:  func(t *testing.T) keyring.Ref { s.denied["some"] = true; return mustRef(t, "aws:some") },
		NoField: func(t *testing.T) (keyring.Ref, string) {
			s.put("some", "AWSCURRENT", secret{text: `{"user": "` + keyringtest.Sentinel + `", "pass": "` + keyringtest.Sentinel + `"}`})
			return mustRef(t, "aws:some#token"), `no key "token" (one of: pass, user)`
		},
		Slow: func(t *testing.T) (keyring.Ref, <-chan struct{}) {
			s.hang, s.started = true, make(chan struct{})
			return mustRef(t, "aws:some"), s.started
		},
		Down:      func(t *testing.T) keyring.Ref { s.Close(); return mustRef(t, "aws:some") },
		TooMany:   failing(http.StatusTooManyRequests),
		Broken:    failing(http.StatusInternalServerError),
		Untrusted: func(t *testing.T) keyring.Ref { b.c.RootCAs = nil; return mustRef(t, "aws:some") }, // it has read nothing yet
	}
	if kind != "binary" {
		f.Skip = map[string]string{"binary": "a SecretString is text; the binary kind has a run of its own"}
	}
	return f
}

func TestValues(t *testing.T) {
	s := newServer(t)
	b := New(s.config())
	s.put("db", "AWSCURRENT", secret{text: `{"user":"u","port":5432,"none":null,"nested":{"a": [1]}}`, version: "v2"})
	s.put("db", "AWSPREVIOUS", secret{text: `{"user":"old"}`, version: "v1"})
	s.put("db", "AWSPENDING", secret{text: `{"user":"next"}`, version: "v3"})
	s.put("mail/alice@acme.test", "AWSCURRENT", secret{text: "plain"})

	item := wantValue(t, b, "aws:db#user", "u")
	if item.Version != "v2" || !item.Set.Equal(time.UnixMilli(1772600767125)) || item.Note != "" {
		t.Errorf("version %q, set %s, note %q", item.Version, item.Set, item.Note)
	}
	wantValue(t, b, "aws:db#port", "5432")
	wantValue(t, b, "aws:db#nested", `{"a": [1]}`)
	if item := wantValue(t, b, "aws:db#user@AWSPREVIOUS", "old"); item.Version != "v1" {
		t.Errorf("version %q", item.Version)
	}
	wantValue(t, b, "aws:db#user@AWSPENDING", "next")
	if item := wantValue(t, b, "aws:db@AWSPREVIOUS", `{"user":"old"}`); !strings.Contains(item.Note, "#KEY takes one of: user") {
		t.Errorf("note %q", item.Note)
	}
	wantValue(t, b, "aws:mail/alice@acme.test", "plain")
	wantError(t, b, "aws:db#none", keyring.ErrEmpty, "", "")
	wantError(t, b, "aws:mail/alice@acme.test#x", keyring.ErrNotFound, "no JSON object", "")
	wantError(t, b, "aws:mail/alice@acme.test@AWSPREVIOUS", keyring.ErrNotFound, "staging label: AWSPREVIOUS", "")
}

// The region in an ARN wins, also where there is no other.
func TestRegions(t *testing.T) {
	s := newServer(t)
	s.put("db", "AWSCURRENT", secret{text: "v"})
	const arn = "aws:arn:aws:secretsmanager:us-east-2:123456789012:secret:db-AbCdEf"
	wantValue(t, New(s.config()), "aws:db", "v")
	wantValue(t, New(s.config()), arn, "v")
	c := s.config()
	c.Region = "ap-south-1"
	wantValue(t, New(c), "aws:db", "v")
	t.Setenv("AWS_REGION", "")
	wantError(t, New(s.config()), "aws:db", nil, "no AWS region", "AWS_REGION")
	wantValue(t, New(s.config()), arn, "v")
	if want := []string{region, "us-east-2", "ap-south-1", "us-east-2"}; !slices.Equal(s.regions, want) {
		t.Errorf("regions %q, want %q", s.regions, want)
	}
}

// A profile of the shared files, and that of Config.
func TestProfiles(t *testing.T) {
	s := newServer(t)
	s.put("db", "AWSCURRENT", secret{text: "v"})
	s.session = ""
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"} {
		t.Setenv(name, "")
	}
	write(t, os.Getenv("AWS_CONFIG_FILE"), "[profile work]\nregion = sa-east-1\n")
	write(t, os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), "[work]\naws_access_key_id = "+keyID+"\naws_secret_access_key = "+secretKey+"\n")
	c := s.config()
	c.Profile = "work"
	wantValue(t, New(c), "aws:db", "v")
	t.Setenv("AWS_PROFILE", "work")
	wantValue(t, New(s.config()), "aws:db", "v")
	if want := []string{"sa-east-1", "sa-east-1"}; !slices.Equal(s.regions, want) {
		t.Errorf("regions %q, want %q", s.regions, want)
	}
	t.Setenv("AWS_PROFILE", "absent")
	wantError(t, New(s.config()), "aws:db", nil, "AWS configuration: ", "")
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Keys that somebody replaces in the file while a session runs are read again; those that
// are merely wrong are tried twice and not in a loop.
func TestKeysReplaced(t *testing.T) {
	s := newServer(t)
	s.put("db", "AWSCURRENT", secret{text: "v"})
	s.session = ""
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	file := os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	keys := "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n"
	write(t, file, fmt.Sprintf(keys, keyID, secretKey))
	b := New(s.config())
	wantValue(t, b, "aws:db", "v")
	s.keys = map[string]string{"AKIDNEW": "new"}
	s.calls = 0
	wantError(t, b, "aws:db", keyring.ErrDenied, "UnrecognizedClientException", "aws sso login")
	if s.calls != 2 {
		t.Errorf("%d calls", s.calls)
	}
	write(t, file, fmt.Sprintf(keys, "AKIDNEW", "new"))
	wantValue(t, b, "aws:db", "v")
	write(t, file, fmt.Sprintf(keys, "AKIDNEW", "wrong"))
	wantError(t, New(s.config()), "aws:db", keyring.ErrDenied, "InvalidSignatureException", "")
}

// A server in trouble is asked once a get.
func TestNoRetries(t *testing.T) {
	s := newServer(t)
	b := New(s.config())
	for _, status := range []int{http.StatusTooManyRequests, http.StatusInternalServerError} {
		s.fail, s.calls = status, 0
		wantError(t, b, "aws:db", keyring.ErrUnavailable, fmt.Sprintf("status %d", status), "")
		if s.calls != 1 {
			t.Errorf("status %d: %d calls", status, s.calls)
		}
	}
}

func TestNoCredentials(t *testing.T) {
	s := newServer(t)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	wantError(t, New(s.config()), "aws:db", keyring.ErrDenied, "no AWS credentials", "AWS_PROFILE")

	write(t, os.Getenv("AWS_CONFIG_FILE"), "[profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"+
		"[sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://acme.awsapps.test/start\n"+
		"[profile older]\nsso_account_id = 1\nsso_role_name = r\nsso_region = eu-west-1\nsso_start_url = https://acme.awsapps.test/start\n")
	t.Setenv("AWS_PROFILE", "sso")
	wantError(t, New(s.config()), "aws:db", keyring.ErrDenied, "SSO token file", "aws sso login --profile sso")
	t.Setenv("AWS_PROFILE", "older")
	wantError(t, New(s.config()), "aws:db", keyring.ErrDenied, "the AWS SSO session of the profile \"older\" has ended", "aws sso login --profile older")
	if s.calls != 0 {
		t.Errorf("%d calls without credentials", s.calls)
	}
}

// Values do not cross a network in the clear.
func TestEndpoint(t *testing.T) {
	s := newServer(t)
	for _, endpoint := range []string{"http://sm.acme.test", "sm.acme.test"} {
		t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint)
		wantError(t, New(s.config()), "aws:db", nil, "want https", "")
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello") }))
	defer web.Close()
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", web.URL)
	wantError(t, New(s.config()), "aws:db", keyring.ErrUnavailable, "", "")
}

// AWS_CA_BUNDLE is how AWS's own tools are told of a CA.
func TestCABundle(t *testing.T) {
	s := newServer(t)
	s.put("db", "AWSCURRENT", secret{text: "v"})
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	t.Setenv("AWS_CA_BUNDLE", file)
	wantValue(t, New(Config{}), "aws:db", "v")
}

// Nothing is read, and nobody called, before the first get.
func TestLazy(t *testing.T) {
	s := newServer(t)
	s.put("db", "AWSCURRENT", secret{text: "v"})
	t.Setenv("AWS_ACCESS_KEY_ID", "other")
	b := New(s.config())
	t.Setenv("AWS_ACCESS_KEY_ID", keyID)
	wantValue(t, b, "aws:db", "v")
}

// An instance's role, the last in the chain: from a metadata service, as on EC2.
func TestInstanceRole(t *testing.T) {
	s := newServer(t)
	s.put("db", "AWSCURRENT", secret{text: "v"})
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EC2_METADATA_DISABLED"} {
		t.Setenv(name, "")
	}
	var asked []string
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, "imds-token")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "imds-token":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.TrimRight(r.URL.Path, "/") == "/latest/meta-data/iam/security-credentials":
			fmt.Fprint(w, "agents")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/agents":
			fmt.Fprintf(w, `{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": %q, "SecretAccessKey": %q, "Token": %q, "Expiration": %q}`,
				keyID, secretKey, session, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		default:
			http.NotFound(w, r)
		}
	}))
	defer metadata.Close()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.URL)
	b := New(s.config())
	wantValue(t, b, "aws:db", "v")
	n := len(asked)
	wantValue(t, b, "aws:db", "v")
	if n == 0 || len(asked) != n {
		t.Errorf("the metadata service was asked %q", asked)
	}
}
