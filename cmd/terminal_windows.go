package cmd

import "os"

// openTerminal opens the console for reading. What is written to it goes to CONOUT$ by
// itself: a console handle opened for both serves both.
func openTerminal() (*os.File, error) { return os.OpenFile("CONIN$", os.O_RDWR, 0) }

// closeOnExec: a handle is not inherited on Windows unless it is asked for.
func closeOnExec(int) {}
