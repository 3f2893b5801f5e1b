package proxy

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// Answer is what agentvault itself says to the agent: never a secret, always what to
// do. Code is stable; Message and Help are for people, and for agents that read.
type Answer struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Help    string `json:"help,omitempty"`
	// Config is TOML that would change the answer.
	Config  string `json:"config,omitempty"`
	Service string `json:"service,omitempty"`
}

// The stable codes, see docs/errors.md.
const (
	CodeAuth          = "proxy_auth_required"
	CodeNotProxy      = "not_a_proxy_request"
	CodeTLSStripping  = "tls_stripping"
	CodeBadHost       = "bad_host"
	CodeMisdirected   = "misdirected_request"
	CodeMethod        = "method_refused"
	CodePath          = "ambiguous_path"
	CodeDenied        = "denied_by_rule"
	CodeUnmatched     = "no_service"
	CodeHeld          = "held_and_refused"
	CodePlaceholder   = "placeholder_misdirected"
	CodeCopies        = "placeholder_repeated"
	CodeSearch        = "body_not_searchable"
	CodeLeak          = "secret_in_request"
	CodeSecret        = "secret_unavailable"
	CodeShape         = "secret_of_another"
	CodeBinding       = "secret_not_bound"
	CodeInsecure      = "insecure_transport"
	CodeInject        = "injection_failed"
	CodeOperation     = "credential_operation"
	CodeUpstreamName  = "upstream_name"
	CodeUpstreamDial  = "upstream_connect"
	CodeUpstreamTLS   = "upstream_tls"
	CodeUpstreamProxy = "upstream_proxy"
	CodeUpstream      = "upstream_failed"
	CodeForbidden     = "address_refused"
	CodeNotTLS        = "not_tls"
	CodeCertificate   = "certificate_rejected"
	CodeHandshake     = "handshake_failed"
	CodeHeaders       = "too_many_headers"
	CodeBody          = "malformed_body"
	CodeToken         = "token_unavailable"
)

// header names every answer of ours, so that nobody takes one for the upstream's.
const (
	header    = "X-AgentVault"
	headerKey = "X-Agentvault" // as net/http keeps it
)

func (a Answer) body() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(struct {
		Error Answer `json:"error"`
	}{a})
	return b.Bytes()
}

func (a Answer) write(w http.ResponseWriter) {
	body := a.body()
	h := w.Header()
	a.head(h, len(body))
	w.WriteHeader(a.Status)
	_, _ = w.Write(body)
}

func (a Answer) head(h http.Header, n int) {
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(n))
	h.Set("Cache-Control", "no-store")
	h.Set(header, a.Code)
	if a.Status == http.StatusProxyAuthRequired {
		h.Set("Proxy-Authenticate", `Basic realm="agentvault"`)
	}
}

// response is the answer to a CONNECT, which goproxy writes to the raw connection.
func (a Answer) response(r *http.Request) *http.Response {
	body := a.body()
	h := make(http.Header)
	a.head(h, len(body))
	return &http.Response{
		StatusCode: a.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Close: true,
	}
}
