package session

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

// catch collects the signals that are passed on. It is called before the child is started:
// a Ctrl-C in between must not end us and leave the child behind.
func catch() chan os.Signal {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, relayed...)
	return signals
}

// relay passes signals on until the child has ended. A request to end (SIGTERM, SIGHUP)
// is passed on and gives the child grace to comply; then it is ended.
//
// In mode Inherit the terminal itself tells the child of its keys, so SIGINT and SIGQUIT
// are only caught: they must not end us before the child, and ignoring them instead would
// be inherited by it.
func (c *Child) relay(signals chan os.Signal, grace time.Duration) {
	defer signal.Stop(signals)
	for {
		select {
		case <-c.done:
			return
		case s := <-signals:
			switch {
			case c.mode == Inherit && fromKeys(s):
			case ends(s):
				go c.end(s.(syscall.Signal), grace)
			default:
				_ = c.Signal(s) // a child that has just ended needs no news
			}
		}
	}
}
