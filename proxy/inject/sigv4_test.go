package inject

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	realID, realKey = "AKIAREALREALREAL0001", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYREALSECRET"
	emptyHash       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

var signedAt = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// awsFake checks signatures as the documentation of SigV4 describes it, from the bytes
// of the request line and without the SDK.
func awsFake(t *testing.T) (*httptest.Server, *http.Client) {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := verifySigV4(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, "signed "+r.RequestURI)
	}))
	t.Cleanup(srv.Close)
	return srv, srv.Client()
}

func verifySigV4(r *http.Request) error {
	auth := r.Header.Values("Authorization")
	if len(auth) != 1 {
		return fmt.Errorf("%d Authorization headers", len(auth))
	}
	var id, date, region, service, headers, signature string
	_, err := fmt.Sscanf(strings.NewReplacer("/", " ", ",", " ").Replace(auth[0]), "AWS4-HMAC-SHA256 Credential=%s %s %s %s aws4_request SignedHeaders=%s Signature=%s",
		&id, &date, &region, &service, &headers, &signature)
	if err != nil {
		return fmt.Errorf("unreadable %q", auth[0])
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if given := r.Header.Get("X-Amz-Content-Sha256"); given != "" && given != hash && !strings.Contains(given, "UNSIGNED") {
		return errors.New("payload does not match its hash")
	} else if given != "" {
		hash = given
	} else if service == "s3" {
		return errors.New("s3 without X-Amz-Content-Sha256")
	}
	raw, query, _ := strings.Cut(r.RequestURI, "?")
	if service != "s3" {
		raw = strings.ReplaceAll(url.PathEscape(strings.ReplaceAll(raw, "/", "\x00")), "%00", "/")
		raw = strings.NewReplacer(":", "%3A", "=", "%3D", "@", "%40", "&", "%26", "+", "%2B", "$", "%24").Replace(raw)
	}
	pairs := strings.FieldsFunc(query, func(c rune) bool { return c == '&' })
	slices.SortFunc(pairs, func(a, b string) int { return cmp.Compare(a, b) })
	canonical := r.Method + "\n" + raw + "\n" + strings.Join(pairs, "&") + "\n"
	for name := range strings.SplitSeq(headers, ";") {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		canonical += name + ":" + strings.Join(strings.Fields(value), " ") + "\n"
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(strings.Split(headers, ";"), lower) {
			return fmt.Errorf("%s is not signed", name)
		}
	}
	canonical += "\n" + headers + "\n" + hash
	csum := sha256.Sum256([]byte(canonical))
	stamp := r.Header.Get("X-Amz-Date")
	key := []byte("AWS4" + realKey)
	for _, part := range []string{date, region, service, "aws4_request", "AWS4-HMAC-SHA256\n" + stamp + "\n" + strings.Join([]string{date, region, service, "aws4_request"}, "/") + "\n" + hex.EncodeToString(csum[:])} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if id != realID || stamp != signedAt.Format("20060102T150405Z") || signature != hex.EncodeToString(key) {
		return fmt.Errorf("signature of %s does not match; canonical request:\n%s", id, canonical)
	}
	return nil
}

func dummyAuth(region, service, headers string) string {
	return "AWS4-HMAC-SHA256 Credential=AKIADUMMY/20200101/" + region + "/" + service + "/aws4_request, SignedHeaders=" + headers + ", Signature=" + strings.Repeat("0", 64)
}

func awsSigner() SigV4 {
	return SigV4{AccessKeyID: realID, Now: func() time.Time { return signedAt }}
}

func TestSigV4(t *testing.T) {
	srv, client := awsFake(t)
	for _, tt := range []struct {
		name, method, target, service, headers, body string
		set                                          []string // name, value
		token                                        bool
		stream                                       bool // the body may not be read before it is sent
	}{
		{name: "json", method: "POST", target: "/", service: "dynamodb", headers: "content-type;host;x-amz-date;x-amz-target", body: `{"TableName":"t"}`,
			set: []string{"Content-Type", "application/x-amz-json-1.0", "X-Amz-Target", "DynamoDB_20120810.GetItem"}},
		{name: "session token", method: "POST", target: "/", service: "dynamodb", headers: "host", body: "{}", token: true,
			set: []string{"X-Amz-Security-Token", "child's own", "x_amz_security_token", "another"}},
		{name: "no body", method: "GET", target: "/2015-03-31/functions?MaxItems=10&Marker=a%2Fb%20c", service: "lambda", headers: "host"},
		{name: "escaped path", method: "GET", target: "/model/a%3Ab%2Fc:1/invoke", service: "bedrock", headers: "host"},
		{name: "query out of order", method: "GET", target: "/?b=2&a=1&a=0&flag", service: "sqs", headers: "host"},
		{name: "s3 key", method: "GET", target: "/bucket/a%20b/%C3%A9%3D+c?list-type=2&prefix=x%2F", service: "s3", headers: "host;x-amz-content-sha256", set: []string{"X-Amz-Content-Sha256", emptyHash}},
		{name: "s3 without a hash", method: "GET", target: "/bucket/key", service: "s3", headers: "host"},
		{name: "s3 put, hash of the child", method: "PUT", target: "/b/k", service: "s3", headers: "content-length;host;x-amz-content-sha256", body: "hello",
			set: []string{"X-Amz-Content-Sha256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}, stream: true},
		{name: "s3 put, unsigned", method: "PUT", target: "/b/k", service: "s3", headers: "host", body: "hello", set: []string{"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"}, stream: true},
		{name: "s3 put, unsigned trailer", method: "PUT", target: "/b/k", service: "s3", headers: "host", body: "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
			set: []string{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Trailer", "x-amz-checksum-crc32", "Content-Encoding", "aws-chunked"}, stream: true},
		{name: "headers that a proxy changes are not signed", method: "GET", target: "/", service: "sqs", headers: "accept-encoding;connection;host;range;user-agent;x-forwarded-for",
			set: []string{"Accept-Encoding", "gzip", "Range", "bytes=0-1", "X-Forwarded-For", "1.2.3.4"}},
		{name: "harmless sts", method: "POST", target: "/", service: "sts", headers: "host", body: "Action=GetCallerIdentity&Version=2011-06-15", set: []string{"Content-Type", "application/x-www-form-urlencoded"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := &watched{Reader: strings.NewReader(tt.body)}
			req, err := http.NewRequest(tt.method, srv.URL+tt.target, body)
			if err != nil {
				t.Fatal(err)
			}
			if req.ContentLength = int64(len(tt.body)); tt.body == "" {
				req.Body = nil
			}
			req.Header.Set("Authorization", dummyAuth("eu-west-1", tt.service, tt.headers))
			req.Header.Set("X-Amz-Date", "20200101T000000Z")
			for i := 0; i < len(tt.set); i += 2 {
				req.Header[tt.set[i]] = []string{tt.set[i+1]}
			}
			s := awsSigner()
			if tt.token {
				s.SessionToken = secret("real+session/token==")
			}
			where, err := s.Inject(req, secret(realKey))
			if err != nil || where != "header Authorization (SigV4)" {
				t.Fatalf("got %q, %v", where, err)
			}
			if tt.stream && body.read {
				t.Error("the body was read before it was sent")
			}
			if got := strings.Join(req.Header["X-Amz-Security-Token"], "|"); tt.token && got != "real+session/token==" || !tt.token && got != "" {
				t.Errorf("session token: got %q", got)
			}
			// What a proxy may still do after the signature.
			for _, name := range []string{"Accept-Encoding", "X-Forwarded-For", "User-Agent"} {
				req.Header.Set(name, "changed")
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("got %d: %s", resp.StatusCode, text)
			}
			if path, _, _ := strings.Cut(tt.target, "?"); !strings.HasPrefix(string(text), "signed "+path) {
				t.Errorf("the path changed: %s", text)
			}
		})
	}
}

type watched struct {
	io.Reader
	read bool
}

func (w *watched) Read(p []byte) (int, error) {
	w.read = true
	return w.Reader.Read(p)
}

// The fake refuses what was not signed with the real key: else the test above is empty.
func TestSigV4FakeRefuses(t *testing.T) {
	srv, client := awsFake(t)
	for name, change := range map[string]func(*http.Request){
		"another path":   func(r *http.Request) { r.URL.Path = "/other" },
		"another header": func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "2") },
		"another date":   func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") },
		"another query":  func(r *http.Request) { r.URL.RawQuery = "a=2" },
	} {
		req, _ := http.NewRequest("GET", srv.URL+"/p?a=1", nil)
		req.Header.Set("Authorization", dummyAuth("eu-west-1", "s3", "host"))
		req.Header.Set("X-Amz-Meta-A", "1")
		if _, err := awsSigner().Inject(req, secret(realKey)); err != nil {
			t.Fatal(err)
		}
		change(req)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: got %d", name, resp.StatusCode)
		}
	}
}

func TestSigV4DefaultPort(t *testing.T) {
	req := httptest.NewRequest("GET", "https://s3.eu-west-1.amazonaws.test:443/b", nil)
	req.Header.Set("Authorization", dummyAuth("eu-west-1", "s3", "host"))
	if _, err := awsSigner().Inject(req, secret(realKey)); err != nil {
		t.Fatal(err)
	}
	req.RequestURI = "/b" // as it is on the wire
	if err := verifySigV4(req); err != nil || req.Host != "s3.eu-west-1.amazonaws.test" {
		t.Errorf("got host %q, %v", req.Host, err)
	}
}

func TestSigV4Refuses(t *testing.T) {
	good := dummyAuth("eu-west-1", "s3", "host")
	for _, tt := range []struct{ name, target, auth, header, value, want string }{
		{"presigned", "/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A&X-Amz-Signature=b", "", "", "", "presigned"},
		{"presigned, another case", "/k?x-amz-signature=b", good, "", "", "presigned"},
		{"sigv4a", "/", "AWS4-ECDSA-P256-SHA256 Credential=A/20200101/s3/aws4_request, SignedHeaders=host, Signature=0", "", "", "SigV4A"},
		{"chunk signatures", "/", good, "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "signed chunks"},
		{"chunk signatures and trailer", "/", good, "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "signed chunks"},
		{"event stream", "/", good, "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-EVENTS", "signed chunks"},
		{"no hash", "/", good, "X-Amz-Content-Sha256", "abc", "no hash"},
		{"no scope", "/", "AWS4-HMAC-SHA256 Credential=AKIA, SignedHeaders=host", "", "", "region and service"},
		{"a scope to break out of", "/", dummyAuth("eu-west-1", "s3,x=y z", "host"), "", "", "region and service"},
		{"two signatures", "/", good, "x", "", "several Authorization"},
		{"unreadable query", "/?a=%zz", good, "", "", "cannot be read"},
		{"semicolon in the query", "/?a=1;b=2", good, "", "", "cannot be read"},
		{"ecr", "/", dummyAuth("eu-west-1", "ecr", "host"), "X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", "answered with a credential"},
		{"ecr, another spelling of the header", "/", dummyAuth("eu-west-1", "ecr", "host"), "x_amz_target", "A.GetAuthorizationToken", "answered with a credential"},
		{"sts in the query", "/?Version=1&Action=GetSessionToken", dummyAuth("us-east-1", "sts", "host"), "", "", "answered with a credential"},
		{"sts, two actions", "/?Action=GetCallerIdentity&Action=AssumeRole", dummyAuth("us-east-1", "sts", "host"), "", "", "answered with a credential"},
		{"sts, an action that is new", "/?Action=GetSomethingNew", dummyAuth("us-east-1", "sts", "host"), "", "", "answered with a credential"},
		{"sts, no action", "/", dummyAuth("us-east-1", "sts", "host"), "", "", "answered with a credential"},
		{"sts by rpc", "/service/STS/operation/AssumeRole", dummyAuth("us-east-1", "sts", "host"), "", "", "answered with a credential"},
		{"s3 session", "/bucket?session", good, "", "", "CreateSession"},
		{"sso", "/federation/credentials?role_name=x", dummyAuth("us-east-1", "awsssoportal", "host"), "", "", "GetRoleCredentials"},
		{"codeartifact", "/v1/authorization-token?domain=d", dummyAuth("us-east-1", "codeartifact", "host"), "", "", "GetAuthorizationToken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := httptest.NewRequest("GET", "https://aws.test"+strings.ReplaceAll(tt.target, " ", "%20"), nil)
			if tt.auth != "" {
				req.Header["Authorization"] = []string{tt.auth}
			}
			switch {
			case tt.header == "x":
				req.Header["Authorization"] = []string{tt.auth, tt.auth}
			case tt.header != "":
				req.Header[tt.header] = []string{tt.value}
			}
			_, err := awsSigner().Inject(req, secret(realKey))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if tt.want == "answered with a credential" {
				s := awsSigner()
				s.AllowCredentialOperations = true
				if _, err := s.Inject(req, secret(realKey)); err != nil {
					t.Errorf("allowed: got %v", err)
				}
			}
		})
	}
	for _, contentType := range []string{"application/x-www-form-urlencoded; charset=utf-8", "text/plain", ""} {
		req := httptest.NewRequest("POST", "https://iam.amazonaws.test/", strings.NewReader("Version=1&Action=CreateAccessKey"))
		req.Header.Set("Authorization", dummyAuth("us-east-1", "iam", "host"))
		req.Header.Set("Content-Type", contentType)
		if _, err := awsSigner().Inject(req, secret(realKey)); err == nil || !strings.Contains(err.Error(), "CreateAccessKey") {
			t.Errorf("iam with type %q: got %v", contentType, err)
		}
	}
	for name, auth := range map[string]string{"none": "", "bearer": "Bearer x"} {
		req := httptest.NewRequest("GET", "https://aws.test/", nil)
		if auth != "" {
			req.Header.Set("Authorization", auth)
		}
		if _, err := awsSigner().Inject(req, secret(realKey)); !errors.Is(err, ErrNoSlot) {
			t.Errorf("%s: got %v, want ErrNoSlot", name, err)
		}
	}
}

// A body is read so far and no further, to sign it and to learn what it asks for.
func TestSigV4BodyIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name, service, contentType, target string
		begins                             string
		most                               int
	}{
		{"signed", "lambda", "application/json", "", "", maxSigned},
		{"a form", "iam", "application/x-www-form-urlencoded", "", "Action=ListUsers&PathPrefix=", maxForm},
		{"parameters", "ssm", "application/x-amz-json-1.1", "AmazonSSM.GetParameters", "", maxForm},
	} {
		for _, announced := range []bool{true, false} {
			for over := range 2 {
				body := tt.begins + strings.Repeat(" ", tt.most+over-len(tt.begins))
				req := httptest.NewRequest("POST", "https://aws.test/", strings.NewReader(body))
				if !announced {
					req.ContentLength = -1
				}
				req.Header.Set("Authorization", dummyAuth("us-east-1", tt.service, "host"))
				req.Header.Set("Content-Type", tt.contentType)
				req.Header.Set("X-Amz-Target", tt.target)
				_, err := awsSigner().Inject(req, secret(realKey))
				if refused := err != nil && strings.Contains(err.Error(), "larger than"); refused != (over > 0) {
					t.Errorf("%s, announced %t, %d too many: got %v", tt.name, announced, over, err)
				}
			}
		}
	}
}
