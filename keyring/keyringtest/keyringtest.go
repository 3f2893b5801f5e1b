// Package keyringtest is the suite that every backend passes: what a caller may rely on
// whichever place a secret comes from.
//
// A backend's test hands Run a function that sets up its world, real or fake, and says
// what that world can produce. Each case gets a world of its own. What a backend cannot
// produce is skipped by name and with a reason; a case that is neither possible nor
// skipped fails.
package keyringtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentvault/keyring"
)

// Sentinel is what a world uses as the value of secrets, and as its own credentials
// wherever it makes one up. The suite fails when an error, or anything printed of an
// Item, holds it.
const Sentinel = "s3cret-value-that-no-error-may-hold"

// guard ends a case whose backend hangs. No case waits for it otherwise.
const guard = 30 * time.Second

// Cases lists the suite's cases, which are the keys of Fixture.Skip.
func Cases() []string {
	return []string{
		"found", "not found", "denied", "field missing", "empty", "64 KiB", "newline",
		"binary", "slow", "down", "429", "500", "certificate", "many",
	}
}

// Fixture is a backend in a world. A nil function means that the world cannot do that,
// and Skip then says why.
type Fixture struct {
	Backend keyring.Backend
	// Put makes the world hold value and returns the ref that names it. It may be called
	// several times in one world.
	Put func(t *testing.T, value []byte) keyring.Ref
	// Missing returns a ref of something that is not there.
	Missing func(t *testing.T) keyring.Ref
	// Denied returns a ref of something that is there, and not for us.
	Denied func(t *testing.T) keyring.Ref
	// NoField returns a ref of a field that a secret does not have, and a text that the
	// error must hold: the field, or the fields that there are.
	NoField func(t *testing.T) (ref keyring.Ref, hint string)
	// Slow returns a ref whose Get never ends by itself, and a channel that is closed, or
	// sent to, once the Get is under way.
	Slow func(t *testing.T) (ref keyring.Ref, started <-chan struct{})
	// Down, TooMany, Broken and Untrusted change the world to one in which the backend's
	// server does not answer, answers 429, answers 500, or shows a certificate that we do
	// not trust, and return a ref to try.
	Down, TooMany, Broken, Untrusted func(t *testing.T) keyring.Ref
	// Skip says by case name why this backend has no such case.
	Skip map[string]string
}

// Run runs the suite.
func Run(t *testing.T, world func(t *testing.T) Fixture) {
	t.Helper()
	s := suite{world}
	runs := map[string]func(*testing.T, Fixture){
		"found":         value([]byte(Sentinel), []byte(Sentinel), false),
		"64 KiB":        value(large(), large(), false),
		"newline":       value([]byte(Sentinel+"\n"), []byte(Sentinel), true),
		"binary":        value(binary(), binary(), false),
		"empty":         empty,
		"many":          many,
		"not found":     func(t *testing.T, f Fixture) { fails(t, f, f.Missing, keyring.ErrNotFound) },
		"denied":        func(t *testing.T, f Fixture) { fails(t, f, f.Denied, keyring.ErrDenied) },
		"down":          func(t *testing.T, f Fixture) { fails(t, f, f.Down, keyring.ErrUnavailable) },
		"429":           func(t *testing.T, f Fixture) { fails(t, f, f.TooMany, keyring.ErrUnavailable) },
		"500":           func(t *testing.T, f Fixture) { fails(t, f, f.Broken, keyring.ErrUnavailable) },
		"certificate":   func(t *testing.T, f Fixture) { fails(t, f, f.Untrusted, keyring.ErrUnavailable) },
		"field missing": noField,
		"slow":          slow,
	}
	for _, name := range Cases() {
		t.Run(name, func(t *testing.T) { s.run(t, name, runs[name]) })
	}
}

type suite struct{ world func(*testing.T) Fixture }

func (s suite) run(t *testing.T, name string, run func(*testing.T, Fixture)) {
	f := s.world(t)
	for skipped := range f.Skip {
		if !slices.Contains(Cases(), skipped) {
			t.Fatalf("Skip names %q, which is no case", skipped)
		}
	}
	if reason, ok := f.Skip[name]; ok {
		t.Skip(reason)
	}
	run(t, f)
}

// need fails the case of a world that says neither how nor why not.
func need(t *testing.T, possible bool) {
	t.Helper()
	if !possible {
		t.Fatal("the fixture has no function for this case, and Skip does not say why")
	}
}

func value(put, want []byte, noted bool) func(*testing.T, Fixture) {
	return func(t *testing.T, f Fixture) {
		need(t, f.Put != nil)
		ref := f.Put(t, put)
		item, err := get(t, f.Backend, ref)
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		if got := []byte(item.Value.Reveal()); !bytes.Equal(got, want) {
			t.Fatalf("value has %d bytes and is not the %d bytes that were put", len(got), len(want))
		}
		if got := strings.Count(item.Note, "newline"); noted != (got == 1) {
			t.Errorf("note %q: mentions a newline %d times, want it once: %t", item.Note, got, noted)
		}
		quiet(t, fmt.Sprintf("%v %+v %#v", item, item, item))
	}
}

func empty(t *testing.T, f Fixture) {
	need(t, f.Put != nil)
	item, err := get(t, f.Backend, f.Put(t, nil))
	if !errors.Is(err, keyring.ErrEmpty) {
		t.Fatalf("Get of an empty value: %d bytes, error %v; want keyring.ErrEmpty", item.Value.Len(), err)
	}
}

// many gets eight secrets from sixteen goroutines, and each must see its own.
func many(t *testing.T, f Fixture) {
	need(t, f.Put != nil)
	const secrets, getters = 8, 16
	var refs [secrets]keyring.Ref
	for i := range refs {
		refs[i] = f.Put(t, fmt.Appendf(nil, "%s-%d", Sentinel, i))
	}
	var wg sync.WaitGroup
	for g := range getters {
		wg.Go(func() {
			i := g % secrets
			item, err := get(t, f.Backend, refs[i])
			if want := fmt.Sprintf("%s-%d", Sentinel, i); err != nil || item.Value.Reveal() != want {
				t.Errorf("secret %d of many: another value, or error %v", i, err)
			}
		})
	}
	wg.Wait()
}

func fails(t *testing.T, f Fixture, make func(*testing.T) keyring.Ref, want error) {
	t.Helper()
	need(t, make != nil)
	_, err := get(t, f.Backend, make(t))
	if !errors.Is(err, want) {
		t.Fatalf("Get: error %v; want one that is %q", err, want)
	}
	quiet(t, fmt.Sprintf("%v %+v %q", err, err, err))
}

func noField(t *testing.T, f Fixture) {
	need(t, f.NoField != nil)
	ref, hint := f.NoField(t)
	_, err := get(t, f.Backend, ref)
	if !errors.Is(err, keyring.ErrNotFound) {
		t.Fatalf("Get: error %v; want one that is %q", err, keyring.ErrNotFound)
	}
	if !strings.Contains(err.Error(), hint) {
		t.Errorf("error %q does not mention %q", err, hint)
	}
	quiet(t, err.Error())
}

// slow cancels a Get that is under way.
func slow(t *testing.T, f Fixture) {
	need(t, f.Slow != nil)
	ref, started := f.Slow(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := f.Backend.Get(ctx, ref)
		done <- err
	}()
	wait(t, started, "the backend to begin")
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("Get with a cancelled context: error %v; want one that is context.Canceled", err)
		}
		quiet(t, err.Error())
	case <-time.After(guard):
		t.Fatal("Get goes on after its context was cancelled")
	}
}

func wait(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(guard):
		t.Fatalf("waited in vain for %s", what)
	}
}

// get is Get under the guard.
func get(t *testing.T, b keyring.Backend, ref keyring.Ref) (keyring.Item, error) {
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	return b.Get(ctx, ref)
}

func quiet(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, Sentinel) {
		t.Errorf("a value, or a credential, is shown: %s", strings.ReplaceAll(text, Sentinel, "<SENTINEL>"))
	}
}

func large() []byte {
	return bytes.Repeat([]byte("0123456789abcdef"), 64<<10/16)
}

// binary holds every byte, NUL and invalid UTF-8 among them, and no newline at its end.
func binary() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}
