package keyring

import (
	"context"
	"errors"
	"time"
)

// What a backend can say, for code. The text around them is for people.
var (
	ErrNotFound    = errors.New("secret not found")
	ErrDenied      = errors.New("access denied")
	ErrUnavailable = errors.New("backend unavailable")
	ErrLocked      = errors.New("store is locked")
	// ErrEmpty is a secret that is there and holds nothing: sending it would be
	// answered with a 401 that explains nothing.
	ErrEmpty = errors.New("value is empty")
)

// Item is a resolved secret and what its backend knows of it.
type Item struct {
	Value Secret
	// Hosts is the binding: where the value may ever be sent, as host patterns
	// (see proxy/rule.ParseHost). Nil means that the backend keeps none.
	Hosts []string
	// Set is when the value was stored; zero where the backend does not know.
	Set time.Time
	// Expires is when the value ends; zero means that it does not say.
	Expires time.Time
	// Version says which issue of a structured secret this is, in the backend's own words;
	// empty where it has none. Fields of one secret belong together when their Version is
	// the same (see Resolver.GetTogether).
	Version string
	// Lease says how a human gives the value back by hand; empty for what was not issued for
	// this session alone.
	Lease string
	// Note is one line for the human, such as "a newline at the end was trimmed".
	Note string
	// Stale means that the backend could not be reached and an older value serves;
	// Note then says since when. Only the Resolver sets it.
	Stale bool
	// Previous means that this is not the newest value: an upstream refused that one and
	// takes this. Only the Resolver sets it.
	Previous bool
}

// Backend reads secrets. Get is bounded by ctx, is safe for concurrent use, returns
// an error that wraps one of the sentinels where one fits, and never puts a value
// into an error. The error does not name the ref: the caller knows it. A backend that
// is an io.Closer is closed by the Resolver that opened it.
type Backend interface {
	Get(ctx context.Context, ref Ref) (Item, error)
}

// Store is a backend that agentvault itself may write: keychain and file. Of an Item,
// Set keeps Value, Hosts and Set, replacing what was there. Names obey CheckName; the
// errors do not repeat them.
type Store interface {
	Backend
	Set(ctx context.Context, name string, item Item) error
	// List returns every item by name, sorted, without values.
	List(ctx context.Context) ([]Entry, error)
	// Remove ends with ErrNotFound where there is nothing to remove.
	Remove(ctx context.Context, name string) error
}

// Entry is a stored item without its value.
type Entry struct {
	Name  string
	Hosts []string
	Set   time.Time
}
