package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
)

// isGRPC leaves out gRPC-Web, which was made for HTTP/1.1.
func isGRPC(r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.Header.Get("Content-Type"), "application/grpc")
	return ok && r.ProtoMajor == 2 && !strings.HasPrefix(rest, "-web")
}

var errNoHTTP2 = errors.New("the server does not speak HTTP/2, which gRPC cannot do without")

// needHTTP2 fails a handshake in which the server passed over ALPN: Go's transport would
// take the connection for HTTP/1.1.
func needHTTP2(s tls.ConnectionState) error {
	if s.NegotiatedProtocol != "h2" {
		return errNoHTTP2
	}
	return nil
}

// alertNoProtocol is what a server without the protocols of the client sends (RFC 7301
// 3.2). crypto/tls has no exported type for the alerts of a TCP peer.
const alertNoProtocol = "tls: no application protocol"

// refusesProtocol recognises a server that speaks none of the protocols that were offered.
func refusesProtocol(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Err.Error(), alertNoProtocol)
}
