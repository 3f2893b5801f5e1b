//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package margin

import "golang.org/x/sys/unix"

const (
	termiosGet = unix.TIOCGETA
	termiosSet = unix.TIOCSETA
)
