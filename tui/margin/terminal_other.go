//go:build !unix

package margin

import "context"

// Terminal is the real terminal while it is shared with a child.
type Terminal struct{}

// New returns ErrUnsupported here.
func New(Config) (*Terminal, error) { return nil, ErrUnsupported }

// Run returns ErrUnsupported here.
func (t *Terminal) Run(context.Context) error { return ErrUnsupported }

// Suspend returns ErrUnsupported here.
func (t *Terminal) Suspend(func() error) error { return ErrUnsupported }

// Size is zero here.
func (t *Terminal) Size() (cols, rows int) { return 0, 0 }
