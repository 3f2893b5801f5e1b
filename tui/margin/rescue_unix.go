//go:build unix

package margin

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Rescue puts a terminal back for a process that could not do it itself. It is made before Run,
// told what Config.State is told, and used by another process: it can be sent as JSON.
type Rescue struct {
	Settings unix.Termios `json:"settings"` // of the line, before Run
	State    *State       `json:"state"`    // nil until something was drawn
}

// NewRescue remembers how a terminal is now.
func NewRescue(tty *os.File) (*Rescue, error) {
	settings, err := unix.IoctlGetTermios(int(tty.Fd()), termiosGet)
	if err != nil {
		return nil, fmt.Errorf("margin: %s: settings: %w", tty.Name(), err)
	}
	return &Rescue{Settings: *settings}, nil
}

// Do puts the terminal back. The settings of the line are left alone when they are not those of
// Run any more: a shell that has the terminal again by then has made its own, which a line editor
// needs. The caller must not be stopped by writing (SIGTTOU): it is in a session of its own.
func (r *Rescue) Do(tty *os.File) error {
	var errs []error
	if r.State != nil {
		_, err := tty.Write(r.State.append(nil))
		errs = append(errs, err)
	}
	now, err := unix.IoctlGetTermios(int(tty.Fd()), termiosGet)
	if err == nil && isRaw(now) {
		err = unix.IoctlSetTermios(int(tty.Fd()), termiosSet, &r.Settings)
	}
	return errors.Join(append(errs, err)...)
}

// isRaw says whether a line is as Run leaves it. A shell's line editor keeps signals and the
// processing of output on.
func isRaw(t *unix.Termios) bool {
	return t.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) == 0 && t.Oflag&unix.OPOST == 0
}
