package awssm

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"agentvault/keyring"
	"agentvault/keyring/keyringtest"
)

// together gets refs at the same moment, and returns errors by ref.
func together(t *testing.T, b *Backend, want map[string]string) map[string]error {
	t.Helper()
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		errs = map[string]error{}
	)
	for text, value := range want {
		ref := mustRef(t, text)
		wg.Go(func() {
			item, err := b.Get(t.Context(), ref)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs[text] = err
			} else if item.Value.Reveal() != value {
				t.Errorf("%s: another value", text)
			}
		})
	}
	wg.Wait()
	return errs
}

// count returns how often an operation was called since the last count.
func (s *server) count(target string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, called := range s.targets {
		if called == target {
			n++
		}
	}
	s.targets = nil
	return n
}

// What is asked for together comes together, and each gets its own.
func TestBatch(t *testing.T) {
	s := newServer(t)
	b := New(s.config())
	want := map[string]string{}
	for i := range 60 {
		name := fmt.Sprintf("agents/%d", i)
		s.put(name, "AWSCURRENT", secret{text: fmt.Sprintf(`{"a": "a%d", "b": "b%d"}`, i, i)})
		want["aws:"+name+"#a"], want["aws:"+name+"#b"] = fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)
	}
	batches := 0
	for try := 0; batches == 0 && try < 50; try++ { // a machine may be too busy for two to be together
		if errs := together(t, b, want); len(errs) > 0 {
			t.Fatalf("errors: %v", errs)
		}
		batches = s.count("BatchGetSecretValue")
	}
	if batches == 0 {
		t.Error("no batch in fifty tries")
	}
	wantValue(t, b, "aws:agents/1#a", "a1")
	if n := s.count("GetSecretValue"); n != 1 {
		t.Errorf("%d calls for one alone", n)
	}
}

// roundOf runs a batch of ids and returns it.
func (b *Backend) roundOf(ids ...string) *round {
	for { // until the machine is not too busy for all to be in one
		var r *round
		for _, id := range ids {
			r = b.join(id)
		}
		<-r.done
		if len(r.ids) == len(ids) {
			return r
		}
	}
}

// A batch answers by name, by ARN, and by an ARN without its suffix, and is full at twenty.
func TestRound(t *testing.T) {
	s := newServer(t)
	for _, name := range []string{"one", "two", "three"} {
		s.put(name, "AWSCURRENT", secret{text: name})
	}
	b := New(s.config())
	const arn = "arn:aws:secretsmanager:us-east-2:123456789012:secret:"
	r := b.roundOf("one", "two", "absent")
	if len(r.found) != 2 || *r.found["one"].SecretString != "one" || *r.found["two"].SecretString != "two" || r.err != nil {
		t.Errorf("by name: %d found, %v", len(r.found), r.err)
	}
	r = b.roundOf(arn+"one-AbCdEf", arn+"two", arn+"three")
	if len(r.found) != 3 || *r.found[arn+"two"].SecretString != "two" || r.region != "us-east-2" {
		t.Errorf("by ARN: %d found in %s", len(r.found), r.region)
	}
	if want := []string{region, "us-east-2"}; !slices.Equal(slices.Compact(s.regions), want) {
		t.Errorf("regions %q, want %q", s.regions, want)
	}
	// A round that is full goes on without those who come later. (That it has begun already is
	// what a busy machine may make of it.)
	all := map[*round]bool{}
	for i := range maxBatch + 1 {
		all[b.join(fmt.Sprintf("y%d", i))] = true
	}
	if len(all) < 2 {
		t.Errorf("%d ids are one round", maxBatch+1)
	}
	for r := range all {
		<-r.done
		if len(r.ids) > maxBatch {
			t.Errorf("a round of %d", len(r.ids))
		}
	}
}

// What a batch does not have is asked for by itself, and says why.
func TestBatchWithErrors(t *testing.T) {
	s := newServer(t)
	s.put("good", "AWSCURRENT", secret{text: "v"})
	s.put("good", "AWSPREVIOUS", secret{text: "old"})
	s.put("secret", "AWSCURRENT", secret{text: keyringtest.Sentinel})
	s.denied["secret"] = true
	errs := together(t, New(s.config()), map[string]string{"aws:good": "v", "aws:good@AWSPREVIOUS": "old", "aws:secret": "", "aws:absent": ""})
	if len(errs) != 2 || !errors.Is(errs["aws:secret"], keyring.ErrDenied) || !errors.Is(errs["aws:absent"], keyring.ErrNotFound) ||
		strings.Contains(fmt.Sprint(errs), keyringtest.Sentinel) {
		t.Errorf("errors: %v", errs)
	}
}

// A role that may not read in batches reads one by one, and does not try again.
func TestBatchDenied(t *testing.T) {
	s := newServer(t)
	s.noBatch = true
	b := New(s.config())
	want := map[string]string{}
	for i := range 5 {
		s.put(fmt.Sprint("s", i), "AWSCURRENT", secret{text: fmt.Sprint("v", i)})
		want[fmt.Sprint("aws:s", i)] = fmt.Sprint("v", i)
	}
	if r := b.roundOf("s0", "s1"); r.err != nil || len(r.found) != 0 {
		t.Errorf("a denied batch: %d found, %v", len(r.found), r.err)
	}
	s.count("")
	for range 2 {
		if errs := together(t, b, want); len(errs) > 0 {
			t.Errorf("errors: %v", errs)
		}
	}
	if n := s.count("BatchGetSecretValue"); n != 0 {
		t.Errorf("%d more batches", n)
	}
}

// A server in trouble is asked once for all, and credentials that were replaced are read again.
func TestBatchInTrouble(t *testing.T) {
	s := newServer(t)
	s.put("a", "AWSCURRENT", secret{text: "v"})
	s.put("b", "AWSCURRENT", secret{text: "v"})
	b := New(s.config())
	s.fail = http.StatusInternalServerError
	if r := b.roundOf("a", "b"); !errors.Is(r.err, keyring.ErrUnavailable) || strings.Contains(r.err.Error(), keyringtest.Sentinel) {
		t.Errorf("error %v", r.err)
	}
	s.fail = 0
	s.keys = map[string]string{"AKIDNEW": "new"}
	if r := b.roundOf("a", "b"); !errors.Is(r.err, keyring.ErrDenied) {
		t.Errorf("error %v", r.err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDNEW")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "new")
	if r := b.roundOf("a", "b"); r.err != nil || len(r.found) != 2 {
		t.Errorf("with new keys: %d found, %v", len(r.found), r.err)
	}
}

// Who we are, for those who let AWS vouch for us.
func TestIdentity(t *testing.T) {
	s := newServer(t)
	who, at, err := New(s.config()).Identity(t.Context())
	if err != nil || at != region || who.AccessKeyID != keyID || who.SecretAccessKey != secretKey || who.SessionToken != session {
		t.Errorf("%s in %s, %v", who.AccessKeyID, at, err)
	}
	t.Setenv("AWS_REGION", "")
	if _, _, err := New(s.config()).Identity(t.Context()); err == nil || !strings.Contains(err.Error(), "no AWS region") {
		t.Errorf("without a region: %v", err)
	}
}

// AWS is reached through the proxy; what is on this machine alone is not.
func TestProxy(t *testing.T) {
	elsewhere, _ := url.Parse("http://proxy.test:3128")
	b := New(Config{Proxy: func(*http.Request) (*url.URL, error) { return elsewhere, nil }})
	for address, want := range map[string]bool{
		"https://secretsmanager.eu-west-1.amazonaws.com/": true, "http://169.254.169.254/latest/api/token": false,
		"http://169.254.170.2/v2/credentials": false, "http://[fd00:ec2::254]/latest": false,
	} {
		u, _ := url.Parse(address)
		if got, err := b.proxy(&http.Request{URL: u}); (got != nil) != want || err != nil {
			t.Errorf("%s through %v, %v", address, got, err)
		}
	}
}
