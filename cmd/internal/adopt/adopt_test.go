package adopt

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/scan"
	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
)

func own(kind, user, value string) inject.Own {
	return inject.Own{Kind: kind, User: user, Value: keyring.NewSecret([]byte(value))}
}

func call(n uint64, host string) event.Event {
	return event.Event{Call: n, Phase: event.Start, Scheme: "https", Host: host, Port: 443}
}

func end(n uint64, status int) *event.Event {
	return &event.Event{Call: n, Phase: event.End, Status: status}
}

// One value is one candidate, wherever and however it is sent.
func TestCollect(t *testing.T) {
	var c Collector
	defer c.Wipe()
	c.Own(call(1, "api.github.com"), own("bearer", "", "token-of-github"))
	c.Own(call(2, "github.com"), own("basic", "bob", "token-of-github"))
	c.Own(call(3, "api.github.com"), own("bearer", "", "token-of-github"))
	c.Own(call(4, "api.github.com"), own("bearer", "", "another-token"))
	for n, status := range map[uint64]int{1: 200, 2: 404, 3: 401, 4: 403, 9: 200} {
		c.Add(end(n, status))
	}
	found := c.Candidates()
	if len(found) != 2 || found[0].Calls() != 3 || found[1].Calls() != 1 {
		t.Fatalf("found %+v", found)
	}
	p := found[0].Places
	if len(p) != 2 || p[0].Host != "api.github.com" || p[0].Calls != 2 || p[0].Taken != 1 || p[1].User != "bob" || p[1].Taken != 1 || found[1].Places[0].Taken != 0 {
		t.Errorf("places %+v %+v", *p[0], *p[1])
	}
	if text := fmt.Sprintf("%+v %v", found[0], c.Candidates()); strings.Contains(text, "token-of") {
		t.Errorf("it prints its value: %s", text)
	}
}

// Nothing is left after Wipe, and nothing is taken any more.
func TestWipe(t *testing.T) {
	var c Collector
	first, late := own("bearer", "", "first-of-all"), own("bearer", "", "too-late-for-it")
	c.Own(call(1, "a.test"), first)
	c.Wipe()
	c.Own(call(2, "a.test"), late)
	c.Add(end(1, 200))
	if first.Value.Len() != 0 || late.Value.Len() != 0 || len(c.Candidates()) != 0 {
		t.Errorf("left: %d and %d bytes, %d candidates", first.Value.Len(), late.Value.Len(), len(c.Candidates()))
	}
}

// A child that makes credentials up fills no memory, and what there is no room for is not
// kept.
func TestBounds(t *testing.T) {
	var c Collector
	defer c.Wipe()
	var last inject.Own
	for n := range uint64(3 * maxCandidates) {
		last = own("bearer", "", fmt.Sprintf("made-up-%06d", n))
		c.Own(call(n, "a.test"), last)
	}
	if len(c.Candidates()) != maxCandidates || c.Over() != 2*maxCandidates || last.Value.Len() != 0 {
		t.Errorf("%d candidates, %d over, the last has %d bytes", len(c.Candidates()), c.Over(), last.Value.Len())
	}
	for n := range uint64(3 * maxPlaces) {
		c.Own(call(n, fmt.Sprintf("h%d.test", n)), own("bearer", "", "made-up-000000"))
	}
	if got := len(c.Candidates()[0].Places); got != maxPlaces {
		t.Errorf("%d places", got)
	}
	for n := range uint64(3 * maxOpen) {
		c.Own(call(n, "a.test"), own("bearer", "", "made-up-000001"))
	}
	if len(c.open) > maxOpen {
		t.Errorf("%d calls are open", len(c.open))
	}
}

func TestJudge(t *testing.T) {
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	jwt := func(claims string) string {
		part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
		return part(`{"alg":"HS256"}`) + "." + part(claims) + ".c2lnbmF0dXJl"
	}
	g := scan.NewGuesser(config.Catalogue())
	for _, tt := range []struct {
		name, value, host string
		taken             int
		want              string // "" adopts
	}{
		{"a key", "some-key-of-acme-0123456789", "api.acme.test", 1, ""},
		{"a key of GitHub at GitHub", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "api.github.com", 2, ""},
		{"a key of GitHub elsewhere", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "evil.test", 2, "looks like a key of GitHub"},
		{"short", "1234567", "api.acme.test", 1, "too short"},
		{"huge", strings.Repeat("x", keyring.MaxValue+1), "api.acme.test", 1, "more than a store keeps"},
		{"refused", "some-key-of-acme-0123456789", "api.acme.test", 0, "401 or 403"},
		{"Claude's login", "sk-ant-oat01-abcdefghijklmnop", "api.anthropic.com", 1, "Claude's own login"},
		{"Google's access token", "ya29.a0AfH6SMBx", "gmail.googleapis.com", 1, "good for an hour"},
		{"installation token", "ghs_16C7e42F292c6912E7710c838347Ae178B4a", "api.github.com", 1, "good for an hour"},
		{"token that ends soon", jwt(`{"exp":1767398400}`), "api.acme.test", 1, "ends on 2026-01-03"},
		{"token that has ended", jwt(`{"exp":1000000000}`), "api.acme.test", 1, "ends on 2001-09-09"},
		{"token that ends in years", jwt(`{"exp":2000000000}`), "api.acme.test", 1, ""},
		{"token without an end", jwt(`{"sub":"1"}`), "api.acme.test", 1, ""},
		{"something like a token", "ey.not.json", "api.acme.test", 1, ""},
	} {
		c := &Candidate{Value: keyring.NewSecret([]byte(tt.value)), Places: []*Place{{Scheme: "https", Host: tt.host, Port: 443, Kind: "bearer", Calls: 2, Taken: tt.taken}}}
		got := Judge(c, g, now)
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if len(tt.value) > 8 && strings.Contains(got, tt.value) {
			t.Errorf("%s: the reason holds the value", tt.name)
		}
	}
}
