package cmd

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropTypedAhead forgets what was typed, or pasted, before a question was shown.
func dropTypedAhead(tty *os.File) { _ = unix.IoctlSetInt(int(tty.Fd()), unix.TCFLSH, unix.TCIFLUSH) }
