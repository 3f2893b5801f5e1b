package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
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

// Status codes of gRPC, as far as answers of ours need them.
const (
	grpcUnknown           = 2
	grpcInvalidArgument   = 3
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

// grpcStatus is the code that a gRPC client understands for a status of HTTP. It is not
// the table by which clients read the answers of other proxies (which makes INTERNAL of
// 400): the code here says what happened.
func grpcStatus(http int) int {
	switch http {
	case 400, 415, 421:
		return grpcInvalidArgument
	case 401, 407:
		return grpcUnauthenticated
	case 403:
		return grpcPermissionDenied
	case 405, 501:
		return grpcUnimplemented
	case 413, 431:
		return grpcResourceExhausted
	case 502, 503, 504:
		return grpcUnavailable
	}
	return grpcUnknown
}

// writeGRPC answers as a gRPC server does that ends a call before its first message:
// with a head that is the trailer too ("Trailers-Only"). Clients show the text of no other
// answer.
func (a Answer) writeGRPC(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(grpcStatus(a.Status)))
	text := "agentvault: " + a.Code + ": " + a.Message
	if a.Help != "" {
		text += " (" + a.Help + ")"
	}
	h.Set("Grpc-Message", grpcMessage(text))
	h.Set(header, a.Code)
	h["Date"] = nil
	w.WriteHeader(http.StatusOK)
}

// grpcMessage encodes a text for Grpc-Message: all but the visible characters of ASCII, and
// the percent sign, is escaped (gRPC over HTTP2, "Status-Message").
func grpcMessage(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < 0x20 || c > 0x7e || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
