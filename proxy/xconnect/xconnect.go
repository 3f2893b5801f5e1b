// Package xconnect lets net/http's server offer extended CONNECT (RFC 8441), by which an
// HTTP/2 client opens a WebSocket.
//
// The server can do it and says so to its clients only where GODEBUG holds
// http2xconnect=1 when its package is initialised: a server whose WebSocket library knows
// nothing of it must not have it, and ours does (golang/go#71128). The setting is none of
// those that a //go:debug line may name.
//
// The language specification initialises packages sorted by import path, each as soon as
// all that it imports is initialised. This package imports what net/http imports, and
// "agentvault/" sorts before "net/http": it goes first. Restore then puts the variable
// back before anything else of the program has seen it; package proxy, which imports
// net/http, calls it. Should a toolchain come that no longer asks the variable, the server
// offers nothing and clients use HTTP/1.1, as they do with most servers; a test tells.
package xconnect

import "os"

const (
	variable = "GODEBUG"
	setting  = "http2xconnect=1"
)

// What the variable was. It is written by init and read by Restore, both before main.
var (
	before string
	was    bool
)

// An init is what the style guide forbids, and the only thing that runs before another
// package's init.
func init() {
	before, was = os.LookupEnv(variable)
	value := setting
	if before != "" {
		value = before + "," + setting
	}
	_ = os.Setenv(variable, value)
}

// Restore makes the environment what it was. It belongs into the init of a package that
// imports net/http.
func Restore() {
	if was {
		_ = os.Setenv(variable, before)
		return
	}
	_ = os.Unsetenv(variable)
}
