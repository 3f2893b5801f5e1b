package keychain

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	zalando "github.com/zalando/go-keyring"

	"agentvault/keyring"
)

// Ring is what is asked of a keychain: items by service and user. Its calls know no
// context and may wait for a human for ever. ErrNotFound of go-keyring says that there is
// no such item.
type Ring interface {
	Get(service, user string) (string, error)
	Set(service, user, value string) error
	Delete(service, user string) error
}

// system is the operating system's keychain.
type system struct{}

func (system) Get(service, user string) (string, error) {
	if err := ready(); err != nil {
		return "", err
	}
	return zalando.Get(service, user)
}

func (system) Set(service, user, value string) error {
	if err := ready(); err != nil {
		return err
	}
	return zalando.Set(service, user, value)
}

func (system) Delete(service, user string) error {
	if err := ready(); err != nil {
		return err
	}
	return zalando.Delete(service, user)
}

// maxCalls is how many calls may be under way, those that were left behind included. A
// Secret Service answers one after the other anyway.
const maxCalls = 4

// bounded gives a Ring contexts and typed errors.
type bounded struct {
	ring  Ring
	slots chan struct{}
	// first holds a token for whoever makes the first call: ten secrets of a locked
	// keychain shall bring up one prompt and not four.
	first  chan struct{}
	opened atomic.Bool
}

func newBounded(ring Ring) *bounded {
	return &bounded{ring: ring, slots: make(chan struct{}, maxCalls), first: make(chan struct{}, 1)}
}

func (b *bounded) Get(ctx context.Context, user string) (value string, err error) {
	return b.do(ctx, func() (string, error) { return b.ring.Get(Service, user) })
}

func (b *bounded) Set(ctx context.Context, user, value string) error {
	_, err := b.do(ctx, func() (string, error) { return "", b.ring.Set(Service, user, value) })
	return err
}

func (b *bounded) Delete(ctx context.Context, user string) error {
	_, err := b.do(ctx, func() (string, error) { return "", b.ring.Delete(Service, user) })
	return err
}

// do makes one call. When ctx ends first the call is left behind, and holds its slot
// until it comes back.
func (b *bounded) do(ctx context.Context, call func() (string, error)) (string, error) {
	release, err := b.acquire(ctx)
	if err != nil {
		return "", err
	}
	type result struct {
		value string
		err   error
	}
	results := make(chan result, 1)
	go func() {
		defer release()
		value, err := call()
		if err == nil || errors.Is(err, zalando.ErrNotFound) {
			b.opened.Store(true)
		}
		results <- result{value, err}
	}()
	select {
	case r := <-results:
		return r.value, typed(r.err)
	case <-ctx.Done():
		return "", waiting(ctx)
	}
}

// acquire takes a slot, and the token of the first call while none has come back.
func (b *bounded) acquire(ctx context.Context) (release func(), err error) {
	slots := b.slots
	if !b.opened.Load() {
		slots = b.first
	}
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, waiting(ctx)
	}
}

// waiting is the error of a call that did not come back in time.
func waiting(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return keyring.WithHint(fmt.Errorf("the keychain did not answer: %w: %w", keyring.ErrLocked, ctx.Err()), lockedHint)
}

// typed gives go-keyring's errors, which are text but for two, the types that code needs.
func typed(err error) error {
	switch {
	case err == nil, errors.Is(err, keyring.ErrUnavailable): // the latter from ready
		return err
	case errors.Is(err, zalando.ErrNotFound):
		return keyring.ErrNotFound
	case errors.Is(err, zalando.ErrSetDataTooBig):
		return errors.New("the keychain has no room for a value of this size")
	case errors.Is(err, zalando.ErrUnsupportedPlatform):
		return fmt.Errorf("this platform has no keychain: %w", keyring.ErrUnavailable)
	}
	return platformError(err)
}
