package inject

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"agentvault/keyring"
)

// maxSigned is how much of a body is held in memory to hash it, where the child did not
// send its hash: DynamoDB takes 16 MB a batch, the largest of the services whose clients
// do not. S3's clients send the hash, or say that the payload is unsigned.
const maxSigned = 16 << 20

// SigV4 signs requests to AWS anew. The child signs with a dummy key (its placeholder is
// the access key id); region and service are taken from there, everything else of its
// signature is dropped. The secret is the secret access key.
//
// Signed are the host, the headers that the child signed and all x-amz-*, but none that
// a proxy changes. Bodies stream through where their hash is given or they are unsigned.
// A request without an AWS signature ends with ErrNoSlot. Refused are presigned URLs,
// SigV4A, chunk signatures (STREAMING-AWS4-...), and, unless
// AllowCredentialOperations, operations whose answer is a credential.
type SigV4 struct {
	AccessKeyID               string
	SessionToken              keyring.Secret // may be empty
	AllowCredentialOperations bool
	Now                       func() time.Time // nil: the clock
}

var (
	_ Injector = SigV4{}
	_ Owner    = SigV4{}
)

// Owner is an Injector that deals with the child's placeholder itself. Where Find found
// one, Inject is called all the same, and Replace must not be: it would put the secret
// where the placeholder stands.
type Owner interface {
	Injector
	OwnsPlaceholder()
}

// OwnsPlaceholder implements Owner.
func (SigV4) OwnsPlaceholder() {}

// Inject implements Injector.
func (s SigV4) Inject(req *http.Request, secret keyring.Secret) (string, error) {
	const where = "header Authorization (SigV4)"
	child, err := parseSigV4(req)
	if err != nil {
		return "", err
	}
	if secret.Len() == 0 || s.AccessKeyID == "" {
		return "", &problem{"sigv4: the access key id or the secret is empty", "store its value again"}
	}
	if strings.ContainsFunc(s.AccessKeyID, func(c rune) bool { return c >= 0x80 || !tokenByte(byte(c)) }) {
		return "", &problem{"sigv4: the access key id holds a character that none has", "store it again"}
	}
	if token := s.SessionToken.Reveal(); token != "" {
		if err := checkHeaderValue("sigv4: session token", token); err != nil {
			return "", err
		}
	}
	if !s.AllowCredentialOperations {
		if err := refuseCredentialOperation(req, child.service); err != nil {
			return "", err
		}
	}
	hash, err := payloadHash(req)
	if err != nil {
		return "", err
	}
	for _, name := range [...]string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "Date"} {
		clearSlot(req.Header, name)
	}
	draft := s.draft(req, child)
	if child.service == "s3" || child.service == "s3express" || child.service == "s3-object-lambda" {
		setHeader(draft.Header, "X-Amz-Content-Sha256", hash)
		setHeader(req.Header, "X-Amz-Content-Sha256", hash)
	}
	key := aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: secret.Reveal(), SessionToken: s.SessionToken.Reveal()}
	signer := v4.NewSigner(func(o *v4.SignerOptions) {
		// S3 alone signs the path as it is; all others escape it a second time.
		o.DisableURIPathEscaping = strings.HasPrefix(child.service, "s3")
	})
	if err := signer.SignHTTP(req.Context(), key, draft, hash, child.service, child.region, clock(s.Now)); err != nil {
		return "", &problem{"sigv4: the request cannot be signed", ""}
	}
	for _, name := range [...]string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
		if v := draft.Header.Get(name); v != "" {
			req.Header[name] = []string{v}
		}
	}
	// Sorted and escaped, and the host without the default port: as it was signed.
	req.URL.RawQuery, req.Host = draft.URL.RawQuery, draft.Host
	return where, nil
}

// draft is the request as it is signed: what a proxy on the way may add, drop or write
// in another way is left out.
func (s SigV4) draft(req *http.Request, child sigv4Scope) *http.Request {
	u := *req.URL
	draft := &http.Request{Method: req.Method, URL: &u, Host: req.Host, Header: http.Header{}, ContentLength: -1}
	if draft.Host == "" {
		draft.Host = req.URL.Host
	}
	for key, lines := range req.Header {
		lower := strings.ToLower(key)
		if strings.HasPrefix(lower, "x-amz-") || lower == "content-type" || lower == "content-md5" || child.signed[lower] && !changing(lower) {
			draft.Header[key] = append([]string(nil), lines...)
		}
	}
	if child.signed["content-length"] && req.ContentLength > 0 {
		draft.ContentLength = req.ContentLength
	}
	return draft
}

// changing lists headers that hops write anew (RFC 9110 7.6.1) or that proxies touch.
func changing(lower string) bool {
	switch lower {
	case "host", "content-length", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect",
		"proxy-connection", "proxy-authorization", "accept-encoding", "user-agent", "via", "forwarded", "cookie", "authorization":
		return true
	}
	return strings.HasPrefix(lower, "x-forwarded-")
}

// sigv4Scope is what the child's signature says.
type sigv4Scope struct {
	region, service string
	signed          map[string]bool // lower case
}

// parseSigV4 reads `AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request,
// SignedHeaders=a;b, Signature=...`.
func parseSigV4(req *http.Request) (sigv4Scope, error) {
	var none sigv4Scope
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return none, &problem{"sigv4: the query cannot be read, so it cannot be signed", "escape % and ; in the query"}
	}
	for name := range query {
		if strings.EqualFold(name, "X-Amz-Signature") || strings.EqualFold(name, "X-Amz-Credential") {
			return none, &problem{"sigv4: a presigned URL is not signed again", "send the request with an Authorization header, not presigned"}
		}
	}
	var lines []string
	for key, values := range req.Header {
		if sameSlot(key, "Authorization") {
			lines = append(lines, values...)
		}
	}
	switch {
	case len(lines) == 0:
		return none, ErrNoSlot
	case len(lines) > 1:
		return none, &problem{"sigv4: several Authorization headers", ""}
	}
	scheme, rest, _ := strings.Cut(lines[0], " ")
	if strings.HasPrefix(scheme, "AWS4-ECDSA") {
		return none, &problem{"sigv4: SigV4A (multi-region) signatures are not supported", "use a single-region endpoint"}
	}
	if scheme != "AWS4-HMAC-SHA256" {
		return none, ErrNoSlot
	}
	scope := sigv4Scope{signed: map[string]bool{}}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			parts := strings.Split(value, "/")
			if n := len(parts); n >= 5 && parts[n-1] == "aws4_request" {
				scope.service, scope.region = parts[n-2], parts[n-3]
			}
		case "SignedHeaders":
			for h := range strings.SplitSeq(value, ";") {
				scope.signed[strings.ToLower(h)] = true
			}
		}
	}
	if !scopeWord(scope.service) || !scopeWord(scope.region) {
		return none, &problem{"sigv4: the child's Credential names no region and service", "want Credential=ID/DATE/REGION/SERVICE/aws4_request"}
	}
	return scope, nil
}

// scopeWord holds for names such as eu-west-1, s3 and execute-api. They are written
// into the new header.
func scopeWord(s string) bool {
	return s != "" && len(s) <= maxWhere && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// payloadHash takes the child's word for the hash, as AWS itself does, or reads the body.
func payloadHash(req *http.Request) (string, error) {
	lines := req.Header.Values("X-Amz-Content-Sha256")
	if len(lines) > 1 {
		return "", &problem{"sigv4: several X-Amz-Content-Sha256 headers", ""}
	}
	if len(lines) == 1 {
		switch given := lines[0]; {
		case given == "UNSIGNED-PAYLOAD", given == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
			return given, nil
		case strings.HasPrefix(given, "STREAMING-"):
			return "", &problem{"sigv4: a body with signed chunks cannot be signed anew",
				"let the client sign the payload as a whole or not at all (AWS CLI: payload_signing_enabled = false)"}
		case len(given) == 64 && strings.Trim(given, "0123456789abcdef") == "":
			return given, nil
		}
		return "", &problem{"sigv4: X-Amz-Content-Sha256 is no hash", ""}
	}
	body, err := bufferBody(req, maxSigned)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), nil
}

// bufferBody reads the body and puts it back.
func bufferBody(req *http.Request, most int64) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	tooLarge := fmt.Errorf("sigv4: the body is larger than %d bytes, the most that is read to sign it", most)
	if req.ContentLength > most {
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, most+1))
	if err != nil {
		return nil, fmt.Errorf("sigv4: body: %w", err)
	}
	if int64(len(body)) > most {
		return nil, tooLarge
	}
	if err := req.Body.Close(); err != nil {
		return nil, fmt.Errorf("sigv4: body: %w", err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return body, nil
}
