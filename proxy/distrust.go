package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"
)

// watch asks the kernel which program shakes hands, once some client of the session has
// refused our certificate: it will come again, and after its refusal it is gone. Most
// sessions have no such client, and do not pay for the question.
func (p *Proxy) watch(t *tunnel) {
	if t.client == "" && t.peer != nil && p.distrusted.Load() {
		p.identify(t.peer) // now: after the handshake its socket is closed
	}
}

// distrust explains why a child did not finish the handshake. The answer is for the log and
// the view alone, so it says everything in its message.
func (p *Proxy) distrust(err error, t *tunnel) Answer {
	a := handshakeAnswer(err, t.host)
	if a.Code != CodeCertificate {
		return a
	}
	p.distrusted.Store(true)
	if t.client == "" && t.peer != nil {
		p.identify(t.peer) // it may be there still
		t.client = t.peer.program
	}
	a.Message += "; " + trustHelp(t.client, runtime.GOOS)
	return a
}

// atOnce is how soon a client closes a connection whose certificate it looked at after the
// handshake: microseconds. Those that connect ahead of need keep what they have for seconds.
const atOnce = time.Second

// maxFinished is more than a client's last words of a handshake over TLS 1.3 (a change of
// ciphers and a Finished, 80 bytes with SHA-384), with which its first request may come.
const maxFinished = 100

// closedAtOnce tells of a client that closes its connection right after the handshake,
// without a word: GnuTLS (Debian's git and wget) leaves it to the program to look at the
// certificate, which it does when the server takes the handshake for done.
func (p *Proxy) closedAtOnce(c *tunnelConn, t *tunnel) {
	if c.last > maxFinished {
		return
	}
	done := p.now()
	c.closed = func() {
		p.mu.Lock()
		over := p.closed
		p.mu.Unlock()
		if !over && !t.used.Load() && p.now().Sub(done) < p.atOnce {
			p.note(t, "CONNECT", p.distrust(errClosedAtOnce, t))
		}
	}
	c.silent.Store(true)
}

var errClosedAtOnce = fmt.Errorf("it closed the connection right after the handshake: %w", io.EOF)

func handshakeAnswer(err error, host string) Answer {
	var alert tls.AlertError
	text := err.Error()
	rejected := errors.As(err, &alert) || strings.Contains(text, "remote error")
	switch {
	case rejected && (strings.Contains(text, "certificate") || strings.Contains(text, "unknown")),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(text, "connection reset"):
		return Answer{Code: CodeCertificate, Message: fmt.Sprintf("the client did not accept the session's certificate for %s (%s)", host, text)}
	case isTimeout(err):
		return Answer{Code: CodeHandshake, Message: fmt.Sprintf("the client did not finish its TLS handshake for %s", host)}
	}
	return Answer{Code: CodeHandshake, Message: fmt.Sprintf("TLS with the client failed for %s: %s", host, text)}
}

// trustHelp names the variable that makes a client trust the session's CA. The session
// has set them all: a client that still refuses replaced it, or reads none. client is as
// it names itself, or its process's name.
func trustHelp(client, goos string) string {
	const instead = "give it the file that SSL_CERT_FILE names, or add the host to tunnel in agentvault.toml"
	name := strings.ToLower(client)
	switch {
	case goos == "darwin" && strings.Contains(name, "go-http-client"):
		return client + " is a Go program, which trusts the keychain alone on macOS; add the host to tunnel in agentvault.toml"
	case strings.Contains(name, "chrom"), strings.Contains(name, "firefox"), strings.Contains(name, "electron"):
		return client + " trusts its own certificate database (NSS); see docs/clients.md"
	}
	for _, v := range []struct{ in, variable string }{
		{"curl", "CURL_CA_BUNDLE"}, {"git", "GIT_SSL_CAINFO"}, {"python-requests", "REQUESTS_CA_BUNDLE"},
		{"pip", "PIP_CERT"}, {"python-httpx", "SSL_CERT_FILE"}, {"python", "REQUESTS_CA_BUNDLE (requests) or SSL_CERT_FILE (the others)"},
		{"node", "NODE_EXTRA_CA_CERTS"}, {"npm", "NODE_EXTRA_CA_CERTS"}, {"undici", "NODE_EXTRA_CA_CERTS"}, {"bun", "NODE_EXTRA_CA_CERTS"},
		{"claude", "NODE_EXTRA_CA_CERTS"}, {"gemini", "NODE_EXTRA_CA_CERTS"}, {"opencode", "NODE_EXTRA_CA_CERTS"},
		{"go-http-client", "SSL_CERT_FILE"}, {"java", "JAVA_TOOL_OPTIONS (its trust store)"},
		{"deno", "DENO_CERT"}, {"cargo", "CARGO_HTTP_CAINFO"}, {"wget", "WGETRC"}, {"ruby", "SSL_CERT_FILE"}, {"codex", "CODEX_CA_CERTIFICATE"},
		{"openssl", "SSL_CERT_FILE"}, {"php", "PHP_INI_SCAN_DIR"}, {"aws-cli", "AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE"},
	} {
		if strings.Contains(name, v.in) {
			return fmt.Sprintf("%s trusts what %s names; see that nothing between agentvault and it sets another value", client, v.variable)
		}
	}
	if client == "" {
		return "it keeps certificates of its own; " + instead
	}
	return client + " keeps certificates of its own; " + instead
}
