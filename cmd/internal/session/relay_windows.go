package session

import (
	"os"
	"syscall"
)

var relayed = []os.Signal{os.Interrupt, syscall.SIGTERM}

// fromKeys says whether the console tells the child by itself.
func fromKeys(s os.Signal) bool { return s == os.Interrupt }

// ends says whether a signal asks us to end: SIGTERM is the console being closed.
func ends(s os.Signal) bool { return s == syscall.SIGTERM }
