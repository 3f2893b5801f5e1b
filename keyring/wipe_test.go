package keyring

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// witness is a backend that keeps an eye on the bytes of all that it gave out.
type witness struct {
	mu    sync.Mutex
	give  func(ctx context.Context) (Item, error)
	bytes map[string][]byte // the backing arrays, by what they are
}

func (w *witness) Get(ctx context.Context, _ Ref) (Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	item, err := w.give(ctx)
	if item.Value.v != nil {
		w.bytes[fmt.Sprintf("answer %d, %q", len(w.bytes)+1, item.Value.Reveal())] = *item.Value.v.bytes()
	}
	return item, err
}

// Whatever became of a value in a session, at its end its bytes are zero.
func TestCloseOverwrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		value := func(text string) func(context.Context) (Item, error) {
			return func(context.Context) (Item, error) { return Item{Value: NewSecret([]byte(text))}, nil }
		}
		w := &witness{bytes: map[string][]byte{}}
		r := NewResolver(ResolverConfig{Backends: map[string]func() (Backend, error){"keychain": func() (Backend, error) { return w, nil }}})
		ref := testRef(t, "keychain:github")
		get := func(give func(context.Context) (Item, error)) {
			w.mu.Lock()
			w.give = give
			w.mu.Unlock()
			_, _, _ = r.Refresh(t.Context(), ref)
		}
		get(value("first, no longer in the cache"))
		get(value("dropped as the previous one"))
		get(value("dropped as the previous one")) // the same again, in another array
		get(value("dropped"))
		r.Drop()
		get(value("before one that does not work"))
		get(value("does not work"))
		old, _ := r.Previous(ref)
		r.prefer(ref, old.Value)
		get(value("the one after it, while the one before serves"))
		get(func(context.Context) (Item, error) { return Item{}, ErrUnavailable }) // stale
		get(value("after its backend was away"))
		for range maxMisses {
			r.missed(ref, old.Value)
		}
		get(func(context.Context) (Item, error) {
			return Item{Value: NewSecret([]byte("s3cret that has ended")), Expires: time.Now().Add(-time.Second)}, nil
		})
		get(func(context.Context) (Item, error) {
			return Item{Value: NewSecret([]byte("s3cret beside an error"))}, ErrDenied
		})
		get(value("previous"))
		get(value("current"))
		w.mu.Lock()
		w.give = func(context.Context) (Item, error) { // deaf, and too late
			time.Sleep(time.Minute)
			return Item{Value: NewSecret([]byte("s3cret too late"))}, nil
		}
		w.mu.Unlock()
		go func() { _, _, _ = r.Refresh(context.Background(), ref) }()
		synctest.Wait()
		r.Close()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.bytes) != 13 {
			t.Errorf("%d answers with a value, want 13", len(w.bytes))
		}
		for what, b := range w.bytes {
			for _, c := range b {
				if c != 0 {
					t.Errorf("%s is still in memory", what)
					break
				}
			}
		}
	})
}
