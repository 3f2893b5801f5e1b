//go:build unix

package cmd

import (
	"os"
	"syscall"
)

// openTerminal opens the controlling terminal, which is there even where the standard
// streams are redirected.
func openTerminal() (*os.File, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }
