package awssm

import (
	"crypto/sha1" //nolint:gosec // it names AWS's cache files
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

const (
	ssoToken   = "sso-" + keyringtest.Sentinel
	ssoRefresh = "refresh-" + keyringtest.Sentinel
	ssoClient  = "registration-" + keyringtest.Sentinel
	roleKeyID  = "ASIAROLE"
	roleKey    = "role-" + keyringtest.Sentinel
)

// account is where one signs in: the portal of IAM Identity Center and its OIDC service, and
// STS. They speak JSON by path, and XML, as AWS's do.
type account struct {
	*httptest.Server
	s       *server
	t       *testing.T
	token   string // that the portal takes
	refused bool   // the refresh token is not taken any more
	fail    int
	asked   []string
	life    time.Duration // of a role's credentials
}

func newAccount(t *testing.T, s *server) *account {
	a := &account{s: s, t: t, token: ssoToken, life: time.Hour}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /federation/credentials", a.portal)
	mux.HandleFunc("POST /token", a.oidc)
	mux.HandleFunc("POST /{$}", a.assume)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked = append(a.asked, r.Method+" "+r.URL.Path)
		if a.fail != 0 {
			w.WriteHeader(a.fail)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC", "AWS_ENDPOINT_URL_STS"} {
		t.Setenv(name, a.URL)
	}
	s.put("db", "AWSCURRENT", secret{text: "v"})
	s.keys = map[string]string{roleKeyID: roleKey}
	return a
}

func refuseREST(w http.ResponseWriter, code, message string) {
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

// portal is GetRoleCredentials.
func (a *account) portal(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("account_id") != "123456789012" || q.Get("role_name") != "agents" || r.Header.Get("Authorization") != "" {
		a.t.Errorf("the portal was asked for %s, Authorization %q", r.URL, r.Header.Get("Authorization"))
	}
	if r.Header.Get("X-Amz-Sso_bearer_token") != a.token {
		refuseREST(w, "UnauthorizedException", "Session token not found or invalid")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"roleCredentials": map[string]any{
		"accessKeyId": roleKeyID, "secretAccessKey": roleKey, "sessionToken": session, "expiration": time.Now().Add(a.life).UnixMilli()}})
}

// oidc is CreateToken, for a refresh token.
func (a *account) oidc(w http.ResponseWriter, r *http.Request) {
	var in map[string]string
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in["grantType"] != "refresh_token" || in["clientId"] != "client" || in["clientSecret"] != ssoClient {
		a.t.Errorf("CreateToken: %v", err)
	}
	if in["refreshToken"] != ssoRefresh || a.refused {
		refuseREST(w, "InvalidGrantException", "")
		return
	}
	a.token = "another-" + ssoToken
	_ = json.NewEncoder(w).Encode(map[string]any{"accessToken": a.token, "refreshToken": "next-" + ssoRefresh, "expiresIn": 28800, "tokenType": "Bearer"})
}

// assume is AssumeRole of STS.
func (a *account) assume(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	in, err := url.ParseQuery(string(body))
	if err != nil || in.Get("Action") != "AssumeRole" || in.Get("RoleArn") != "arn:aws:iam::123456789012:role/agents" || in.Get("ExternalId") != "x-1" {
		a.t.Errorf("STS was asked for %s: %v", body, err)
	}
	if code, why := a.s.verify(r, body, "sts"); code != "" {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, why)
		return
	}
	a.s.keys, a.s.session = map[string]string{roleKeyID: roleKey}, session
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId>`+
		`<SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
		roleKeyID, roleKey, session, time.Now().Add(a.life).UTC().Format(time.RFC3339))
}

const ssoProfiles = `[profile work]
sso_session = acme
sso_account_id = 123456789012
sso_role_name = agents
[sso-session acme]
sso_region = eu-west-1
sso_start_url = https://acme.awsapps.test/start
[profile older]
sso_account_id = 123456789012
sso_role_name = agents
sso_region = eu-west-1
sso_start_url = https://acme.awsapps.test/start
`

// signedIn leaves what `aws sso login` leaves, under the name that the profile looks for.
func signedIn(t *testing.T, name string, until time.Time, refresh bool) (file string) {
	t.Helper()
	sum := sha1.Sum([]byte(name)) //nolint:gosec // see above
	dir := filepath.Join(os.Getenv("HOME"), ".aws", "sso", "cache")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, hex.EncodeToString(sum[:])+".json")
	token := map[string]string{"startUrl": "https://acme.awsapps.test/start", "region": "eu-west-1", "accessToken": ssoToken, "expiresAt": until.UTC().Format(time.RFC3339)}
	if refresh {
		token["clientId"], token["clientSecret"], token["refreshToken"] = "client", ssoClient, ssoRefresh
	}
	text, _ := json.Marshal(token)
	write(t, file, string(text))
	return file
}

// A profile of IAM Identity Center, in both of its spellings, from sign-in to end.
func TestSSO(t *testing.T) {
	for profile, name := range map[string]string{"work": "acme", "older": "https://acme.awsapps.test/start"} {
		t.Run(profile, func(t *testing.T) {
			s := newServer(t)
			a := newAccount(t, s)
			write(t, os.Getenv("AWS_CONFIG_FILE"), ssoProfiles)
			c := s.config()
			c.Profile = profile
			login := "aws sso login --profile " + profile

			wantError(t, New(c), "aws:db", keyring.ErrDenied, fmt.Sprintf("the AWS SSO session of the profile %q has ended, or there is none", profile), login)
			signedIn(t, name, time.Now().Add(-time.Minute), false)
			wantError(t, New(c), "aws:db", keyring.ErrDenied, "the AWS SSO session of the profile", login)
			if len(a.asked) > 0 {
				t.Errorf("AWS was asked %q with a token that had ended", a.asked)
			}
			signedIn(t, name, time.Now().Add(time.Hour), false)
			b := New(c)
			wantValue(t, b, "aws:db", "v")
			wantValue(t, b, "aws:db", "v")
			if len(a.asked) != 1 {
				t.Errorf("the portal was asked %q", a.asked)
			}
			a.token = "signed out"
			wantError(t, New(c), "aws:db", keyring.ErrDenied, "UnauthorizedException", login)
			a.fail = http.StatusServiceUnavailable
			wantError(t, New(c), "aws:db", keyring.ErrUnavailable, "status 503", "")
			a.Close()
			wantError(t, New(c), "aws:db", keyring.ErrUnavailable, "AWS credentials", "")
		})
	}
}

// A token that has ended and can be refreshed is, and the next program finds it.
func TestSSORefresh(t *testing.T) {
	s := newServer(t)
	a := newAccount(t, s)
	write(t, os.Getenv("AWS_CONFIG_FILE"), ssoProfiles)
	t.Setenv("AWS_PROFILE", "work")
	file := signedIn(t, "acme", time.Now().Add(-time.Minute), true)
	wantValue(t, New(s.config()), "aws:db", "v")
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "next-"+ssoRefresh) {
		t.Errorf("the refresh token that replaced the other was not kept: %v", err)
	}
	signedIn(t, "acme", time.Now().Add(-time.Minute), true)
	a.refused = true
	wantError(t, New(s.config()), "aws:db", keyring.ErrDenied, "InvalidGrantException", "aws sso login --profile work")
}

// A role that is assumed with another profile's keys.
func TestAssumedRole(t *testing.T) {
	s := newServer(t)
	a := newAccount(t, s)
	s.keys, s.session = map[string]string{keyID: secretKey}, ""
	write(t, os.Getenv("AWS_CONFIG_FILE"), "[profile base]\naws_access_key_id = "+keyID+"\naws_secret_access_key = "+secretKey+"\n"+
		"[profile agents]\nrole_arn = arn:aws:iam::123456789012:role/agents\nsource_profile = base\nexternal_id = x-1\n")
	c := s.config()
	c.Profile = "agents"
	wantValue(t, New(c), "aws:db", "v")
	if len(a.asked) != 1 {
		t.Errorf("STS was asked %q", a.asked)
	}
	s.keys = map[string]string{"AKIDOTHER": secretKey}
	wantError(t, New(c), "aws:db", keyring.ErrDenied, "UnrecognizedClientException", "")
}

// command makes a profile whose credentials a command prints, and counts its runs.
func command(t *testing.T, output string) (runs func() int) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a shell script")
	}
	dir := t.TempDir()
	script, ran := filepath.Join(dir, "credentials"), filepath.Join(dir, "ran")
	write(t, script, "#!/bin/sh\necho >>"+ran+"\ncat <<'END'\n"+output+"\nEND\n")
	if err := os.Chmod(script, 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	write(t, os.Getenv("AWS_CONFIG_FILE"), "[default]\ncredential_process = "+script+
		"\n[profile agents]\nrole_arn = arn:aws:iam::123456789012:role/agents\nsource_profile = default\nexternal_id = x-1\n")
	return func() int {
		text, _ := os.ReadFile(ran)
		return strings.Count(string(text), "\n")
	}
}

func printed(until time.Time) string {
	return fmt.Sprintf(`{"Version": 1, "AccessKeyId": %q, "SecretAccessKey": %q, "SessionToken": %q, "Expiration": %q}`, keyID, secretKey, session, until.UTC().Format(time.RFC3339))
}

// A profile's command runs once, and not again when what it gave ends or is refused.
func TestCredentialProcess(t *testing.T) {
	s := newServer(t)
	newAccount(t, s)
	s.keys = map[string]string{keyID: secretKey}
	runs := command(t, printed(time.Now().Add(time.Hour)))
	b := New(s.config())
	if err := b.Prepare(t.Context()); err != nil || runs() != 1 {
		t.Fatalf("Prepare: %v, %d runs", err, runs())
	}
	wantValue(t, b, "aws:db", "v")
	if err := b.Prepare(t.Context()); err != nil {
		t.Error(err)
	}
	s.keys = map[string]string{"AKIDOTHER": secretKey}
	wantError(t, b, "aws:db", keyring.ErrDenied, "UnrecognizedClientException", "")
	s.keys = map[string]string{keyID: secretKey}
	b.command.kept.Expires = time.Now().Add(-time.Second)
	wantError(t, b, "aws:db", keyring.ErrDenied, "a command is not run beside the agent", "start it again")
	if n := runs(); n != 1 {
		t.Errorf("the command ran %d times", n)
	}
}

// The same with a role between.
func TestCredentialProcessRole(t *testing.T) {
	s := newServer(t)
	newAccount(t, s)
	s.keys = map[string]string{keyID: secretKey}
	runs := command(t, printed(time.Now().Add(time.Hour)))
	c := s.config()
	c.Profile = "agents"
	b := New(c)
	wantValue(t, b, "aws:db", "v")
	b.command.kept.Expires = time.Now().Add(-time.Second)
	wantError(t, b, "aws:db", keyring.ErrDenied, "a command is not run beside the agent", "start it again")
	if n := runs(); n != 1 {
		t.Errorf("the command ran %d times", n)
	}
}

// What a command prints is not repeated where it is not what it should be.
func TestCredentialProcessErrors(t *testing.T) {
	s := newServer(t)
	newAccount(t, s)
	command(t, "not JSON: "+secretKey)
	wantError(t, New(s.config()), "aws:db", keyring.ErrDenied, "credential_process: its output is not the JSON that AWS describes", "")
	command(t, `{"Version": 1, "AccessKeyId": "", "SecretAccessKey": "`+secretKey+`"}`)
	wantError(t, New(s.config()), "aws:db", keyring.ErrDenied, "missing AccessKeyId", "")
	write(t, os.Getenv("AWS_CONFIG_FILE"), "[default]\ncredential_process = /nonexistent/program\n")
	wantError(t, New(s.config()), "aws:db", keyring.ErrDenied, "credential_process", "")
}

// Without a command there is nothing to prepare, and nobody is asked.
func TestPrepare(t *testing.T) {
	s := newServer(t)
	if err := New(s.config()).Prepare(t.Context()); err != nil || s.calls != 0 {
		t.Errorf("%v, %d calls", err, s.calls)
	}
	a := newAccount(t, s)
	write(t, os.Getenv("AWS_CONFIG_FILE"), ssoProfiles)
	t.Setenv("AWS_PROFILE", "work")
	if err := New(s.config()).Prepare(t.Context()); err != nil || len(a.asked) != 0 {
		t.Errorf("%v, asked %q", err, a.asked)
	}
}
