// Package margin gives an interactive child a transparent terminal while the last rows of the
// screen stay ours.
//
// The child runs on a PTY that is some rows shorter than the real terminal. Its output passes
// through a Filter, which copies bytes unchanged and rewrites only what could move the cursor, a
// scroll region or an erasure into the rows below (the table stands above Filter.csi). A painter
// draws our rows between two complete sequences of the child. Input passes unchanged except for
// one hotkey.
//
// What it promises: the child's bytes are never reordered and never lost; any split of the bytes
// gives the same output; nothing that the child prints moves the cursor onto our rows; the
// terminal is put back on every return of Run, a panic of Rows or of OnHotkey included. After a
// kill -9 of this process another one can put it back: with Rescue if it was told of the state,
// with Reset if not.
//
// It knows nothing of agentvault: rows are strings.
package margin

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrUnsupported is returned by New where there is no PTY to work with (Windows).
var ErrUnsupported = errors.New("margin: rows under a child are not supported on this system")

// ErrNotRunning is returned by Suspend before Run has taken the terminal and after it gave it back.
var ErrNotRunning = errors.New("margin: the terminal is not ours now")

// PanicError is a panic of Config.Rows, of Config.OnHotkey or of ours, after the terminal was put
// back. Its text has no stack, so that it fits on a line.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("margin: panic: %v", e.Value) }

// Config says which terminal is shared with which child. In, Out, PTY and Rows are needed.
type Config struct {
	// In and Out are the real terminal, usually os.Stdin and os.Stdout.
	In, Out *os.File
	// PTY is the master of the child's pseudo-terminal. It stays the caller's to close, after Run.
	PTY *os.File
	// Rows draws our rows for a width in cells; SGR and OSC 8 are allowed in it, everything else
	// is dropped, and what is longer than the width is cut. The number of rows may change from
	// call to call: the child's screen follows. Where the terminal is too low for all of them
	// the last ones are shown; below MinHeight none. Called from one goroutine at a time, never
	// with a lock held.
	Rows func(width int) []string
	// Changed tells that Rows would say something new. Signals are joined: the sender does a
	// non-blocking send on a channel with a buffer of one. May be nil.
	Changed <-chan struct{}
	// Hotkey in caret notation, "^]" when empty. It is found as a control byte and in the
	// spellings of the kitty and modifyOtherKeys protocols, never inside a bracketed paste.
	// Pressed twice it goes to the child.
	Hotkey string
	// Keys are the keys that mean something right after the hotkey ("av": ^] a, ^] v).
	Keys string
	// Deliberate are those of Keys that a hand alone may press: they count only when they come
	// handGap after the hotkey. Text that is pasted comes faster, and a child that has not
	// switched bracketed paste on gets it as if it were typed.
	Deliberate string
	// OnHotkey is called in a goroutine of its own, one at a time, with one key of Keys or with
	// "" when nothing of ours followed within HotkeyWait. It may call Suspend. May be nil.
	OnHotkey func(key string)
	// HotkeyWait is how long a second key is waited for; 300 ms when zero.
	HotkeyWait time.Duration
	// GNUScreen says that the terminal is GNU screen, which hands every DCS on unread, and shows APC
	// and PM in a line that may be ours: none of the child's passes then.
	GNUScreen bool
	// Asking says that Rows asks something that keys of ours answer: the second key is then
	// waited for lingerWait, so that nobody's answer goes to the child because it came slowly.
	// Called from the input goroutine. May be nil.
	Asking func() bool
	// Debounce is the time between a change and its drawing; 50 ms when zero, and never so short
	// that more than 30 drawings a second happen.
	Debounce time.Duration
	// State, if not nil, is told what Rescue needs to know, each time that it has changed: rarely
	// more often than the child changes screens. Called with a lock held; it must not block.
	State func(State)
	// HoldLimit is how many bytes of the child's output are kept while Suspend runs; 8 MiB when
	// zero. Beyond it the oldest text is dropped (never its effect on modes, nor the alternate
	// screen).
	HoldLimit int
}

// MinHeight is the terminal height below which no row is taken from the child.
const MinHeight = 6

func (c Config) withDefaults() (Config, error) {
	if c.In == nil || c.Out == nil || c.PTY == nil || c.Rows == nil {
		return c, errors.New("margin: In, Out, PTY and Rows are needed")
	}
	if c.Hotkey == "" {
		c.Hotkey = "^]"
	}
	if c.HotkeyWait == 0 {
		c.HotkeyWait = 300 * time.Millisecond
	}
	if c.Debounce == 0 {
		c.Debounce = 50 * time.Millisecond
	}
	if c.HoldLimit == 0 {
		c.HoldLimit = 8 << 20
	}
	return c, nil
}
