package cmd

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropTypedAhead forgets what was typed, or pasted, before a question was shown.
func dropTypedAhead(tty *os.File) {
	const input = 1 // FREAD
	_ = unix.IoctlSetPointerInt(int(tty.Fd()), unix.TIOCFLUSH, input)
}
