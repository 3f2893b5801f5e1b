package proxy

import (
	"log"
	"net/http"
	"time"
)

// GCPercent is the GOGC for a process that serves a proxy. What lives is a few megabytes
// and most of each request dies at once, so more than Go's own 100 saves time. Idle
// connections to upstreams live longer: with 240 of them a process takes about 40 MiB
// (the peak of all rows in docs/performance.md).
const GCPercent = 120

const (
	// A head that takes longer is a client that went to sleep, or an attack (slowloris).
	headTime = 20 * time.Second
	// Kept connections of the child. Agents think for minutes between two calls, and a
	// connection that is kept saves them a handshake each time.
	idleTime = 10 * time.Minute
	// net/http's own default is 1 MiB; servers accept 8 to 64 KiB, and cookies add up.
	maxHead = 128 << 10
	// Lines of a head. Apache takes 100, Node 2,000; browsers and agents send below 60.
	maxHeaders = 500
	// Connections of the child, tunnels included. One costs about 40 KiB and two file
	// descriptors; the busiest agents hold some hundred.
	maxConns = 4096
	// Connections that have not shown the session's token, beside those. A child shows it
	// right after it has connected, but hundreds of its connections may do so at once.
	maxStrangers = 1024
	// What each of too many strangers may still take for it. With their number this is how
	// fast new ones are let in while somebody floods the port: 10,000 a second.
	strangerTime = 100 * time.Millisecond
	// What one child connection may do at once. 250 is net/http's default and what
	// browsers are offered; it also bounds a rapid reset.
	maxStreams = 250
	// The door waits this long for the first bytes inside a CONNECT.
	firstByteTime = 30 * time.Second
	// A handshake with a process on the same machine.
	handshakeTime = 15 * time.Second
)

func newServer(h http.Handler, l *log.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler: h,
		// "OPTIONS *" is for the upstream like everything else.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     l,
		ReadHeaderTimeout:            headTime,
		IdleTimeout:                  idleTime,
		MaxHeaderBytes:               maxHead,
		Protocols:                    protocols,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
}
