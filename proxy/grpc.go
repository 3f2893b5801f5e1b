package proxy

import (
	"net/http"
	"strings"
)

func isGRPC(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "application/grpc")
}
