// Package filelock locks files against other processes: the stores of secrets, and the ledger
// of logs, may be changed by two agentvaults at once.
//
// A lock belongs to the open file and ends when that is closed, or with the process.
package filelock

import "errors"

// ErrHeld says that somebody else has the lock.
var ErrHeld = errors.New("held by another process")
