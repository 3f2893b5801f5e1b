package proxy

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"agentvault/proxy/event"
	"agentvault/proxy/inject"
)

// issuer is a token endpoint (RFC 6749) that takes some of the values of a client's secret.
type issuer struct {
	*httptest.Server
	mu    sync.Mutex
	takes string
	asked []string
	then  func() // called before a refusal is sent
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	i.Server = httptest.NewUnstartedServer(i)
	i.Config.ErrorLog = log.New(io.Discard, "", 0)
	i.StartTLS()
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, value, _ := r.BasicAuth()
	if r.FormValue("grant_type") == inject.RefreshToken {
		value = r.FormValue("refresh_token")
	}
	i.mu.Lock()
	i.asked = append(i.asked, value)
	good, then := value == i.takes, i.then
	i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if !good {
		if then != nil {
			then()
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"no such secret: `+value+`"}`)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "token-" + tokenSentinel + "-of-" + value, "token_type": "Bearer", "expires_in": 3600})
}

// log returns what it was asked with since the last call.
func (i *issuer) log() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := strings.Join(i.asked, " ")
	i.asked = nil
	return all
}

func (i *issuer) set(takes string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.takes = takes
}

// A client's secret that the token endpoint refuses is asked for again, and in the grace
// window the value before it serves, as with a secret that is sent itself.
func TestRefusedByTokenEndpoint(t *testing.T) {
	const a, b, c = "s3cret-value-a-0123456789", "s3cret-value-b-0123456789", "s3cret-value-c-0123456789"
	for _, tt := range []struct {
		name   string
		grant  string
		had    string // the backend's value before, if another
		has    string // ... now
		during string // ... from the first refusal on, if another
		takes  string
		asked  string // of the token endpoint
		status int
		state  event.State
	}{
		{name: "taken", has: a, takes: a, asked: a, status: 200},
		{name: "refused and unchanged", has: a, takes: b, asked: a, status: 502},
		{name: "changed meanwhile", has: a, during: b, takes: b, asked: a + " " + b, status: 200, state: event.Rotated},
		{name: "the new one is not known yet", had: a, has: b, takes: a, asked: b + " " + a, status: 200, state: event.Previous},
		{name: "neither is taken", had: a, has: b, takes: c, asked: b + " " + a, status: 502},
		{name: "a refresh token is not used twice", grant: inject.RefreshToken, had: a, has: b, takes: a, asked: b, status: 502},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i, reached, now := newIssuer(t), "", time.Now()
			grant := tt.grant
			if grant == "" {
				grant = inject.ClientCredentials
			}
			clock := func() time.Time { return now }
			s := start(t, options{handler: func(w http.ResponseWriter, r *http.Request) { reached = r.Header.Get("Authorization") }, change: func(s *Service) {
				s.Tokens = inject.NewCache(&inject.OAuth2{Grant: grant, TokenURL: i.URL, ClientID: "c", Client: i.Client(), Now: clock}, clock)
			}})
			if tt.had != "" {
				i.set(tt.had)
				s.secrets.set(valued(tt.had))
				s.get("/before")
				i.log()
				reached, now = "", now.Add(2*time.Hour) // its token has ended
			}
			s.secrets.set(valued(tt.has))
			i.set(tt.takes)
			if tt.during != "" {
				i.then = func() { s.secrets.set(valued(tt.during)) }
			}
			resp, body := s.get("/v1")
			if asked := i.log(); resp.StatusCode != tt.status || asked != tt.asked || strings.Contains(body, "s3cret-value") {
				t.Errorf("%d after %q, want %d after %q: %s", resp.StatusCode, asked, tt.status, tt.asked, body)
			}
			e := s.last()
			if e.State != tt.state || strings.Contains(e.Reason, "s3cret-value") {
				t.Errorf("event %+v, want the state %q", e, tt.state)
			}
			if tt.status != 200 {
				if got := code(t, resp, body); got != CodeToken || reached != "" {
					t.Errorf("code %s, reached the upstream with %q", got, reached)
				}
				return
			}
			if want := "Bearer token-" + tokenSentinel + "-of-" + tt.takes; reached != want {
				t.Errorf("the upstream was sent %q, want %q", reached, want)
			}
			// And so it goes on, without asking anybody.
			resp, _ = s.get("/v1")
			if asked := i.log(); resp.StatusCode != 200 || asked != "" {
				t.Errorf("the second request: %d, the token endpoint was asked with %q", resp.StatusCode, asked)
			}
		})
	}
}
