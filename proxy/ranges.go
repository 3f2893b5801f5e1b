package proxy

import (
	"mime"
	"net/http"
	"strings"
)

// severalRanges says that a request asks for parts of the answer that do not touch. Where a
// service names the host it goes out without: a secret could be cut in two by the parts, and
// every client has to take a whole answer for them (RFC 9110 14.2). A single range passes:
// downloads are resumed with it.
func severalRanges(h http.Header) bool {
	lines := h["Range"]
	return len(lines) > 1 || len(lines) == 1 && strings.Contains(lines[0], ",")
}

// inParts recognises the answer to several ranges.
func inParts(resp *http.Response) bool {
	if resp.StatusCode != http.StatusPartialContent {
		return false
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return kind == "multipart/byteranges"
}
