//go:build unix

package session

import (
	"os"

	"golang.org/x/sys/unix"
)

var relayed = []os.Signal{
	unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2,
}

// fromKeys says whether the terminal sends a signal to the whole group by itself.
func fromKeys(s os.Signal) bool { return s == unix.SIGINT || s == unix.SIGQUIT }

// ends says whether a signal asks us to end.
func ends(s os.Signal) bool { return s == unix.SIGTERM || s == unix.SIGHUP }
