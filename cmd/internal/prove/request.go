package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"agentvault/keyring"
	"agentvault/proxy/inject"
	"agentvault/proxy/rule"
)

// placeholderWord stands in a test's path for what the child holds.
const placeholderWord = "{placeholder}"

// target is where a request goes.
type target struct {
	url  url.URL
	host string // canonical
	port int
}

// target is the host that the test names, or the service's first.
func (x *trial) target() (target, error) {
	authority := x.t.Host
	if authority == "" {
		hosts := x.s.Hosts()
		i := slices.IndexFunc(hosts, func(h rule.Host) bool { return !h.Wildcard })
		if i < 0 {
			return target{}, errors.New("the service has wildcards for hosts alone, and the test names none")
		}
		authority = rule.Host{Name: hosts[i].Name, Port: max(hosts[i].Port, 0)}.String()
	}
	h, err := rule.ParseHost(authority)
	if err != nil {
		return target{}, err
	}
	path, err := url.Parse(x.fill(x.t.Path, placeholderWord))
	if err != nil {
		return target{}, fmt.Errorf("%s: %w", x.label(), err)
	}
	out := target{url: url.URL{Scheme: "https", Host: authority, Path: path.Path, RawPath: path.RawPath, RawQuery: path.RawQuery}, host: h.Name, port: h.Port}
	if x.s.Insecure && rule.IsLoopback(h.Name) {
		out.url.Scheme = "http"
	}
	if out.port <= 0 {
		out.port = rule.DefaultPort
		if out.url.Scheme == "http" {
			out.port = 80
		}
	}
	return out, nil
}

// fill puts text in the place of {placeholder}, however the path spells it.
func (x *trial) fill(path, text string) string {
	text = url.PathEscape(text)
	return strings.NewReplacer("{placeholder}", text, "%7Bplaceholder%7D", text, "%7bplaceholder%7d", text).Replace(path)
}

// presents says whether the request shows the placeholder: where the service waits for
// it, and where the credential has no place without it.
func (x *trial) presents() bool {
	if x.endpoint == nil || x.held == "" {
		return false
	}
	switch x.endpoint.Inject.(type) {
	case inject.None:
		return false
	case inject.Path, inject.Body, inject.SigV4:
		return true
	}
	return !x.endpoint.Always
}

// asked is what the request asks for beside its method and path. A test has no body.
func (x *trial) asked(at target) rule.Asked {
	r := &http.Request{Method: x.t.Method, URL: &at.url, Header: http.Header{}}
	for name, value := range x.t.Header {
		r.Header.Set(name, value)
	}
	return inject.Operation(r, at.host, func() ([]byte, string) { return nil, "" })
}

// request is what the child would send. With show it holds the placeholder.
func (x *trial) request(ctx context.Context, at target, show bool) (*http.Request, error) {
	held := "0"
	if show {
		held = x.held
	}
	u := at.url
	raw := x.fill(u.EscapedPath(), held)
	path, err := url.PathUnescape(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.label(), err)
	}
	u.Path, u.RawPath = path, raw
	r, err := http.NewRequestWithContext(ctx, x.t.Method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "agentvault-test")
	r.Header.Set("Accept", "application/json")
	for name, value := range x.t.Header {
		r.Header.Set(name, value)
	}
	if show && x.endpoint != nil {
		return r, present(r, x.endpoint.Inject, held)
	}
	return r, nil
}

// present puts the placeholder where a client of the service puts its key.
func present(r *http.Request, in inject.Injector, held string) error {
	switch in := in.(type) {
	case inject.Path, inject.None: // the test's path says where
		return nil
	case inject.Body:
		return presentBody(r, in.Fields, held)
	case inject.SigV4:
		presentAWS(r, held)
		return nil
	}
	_, err := in.Inject(r, keyring.NewSecret([]byte(held)))
	return err
}

// presentBody sends a document with the fields in which the credential belongs. A test
// has no body of its own.
func presentBody(r *http.Request, fields []string, held string) error {
	document := map[string]any{}
	for _, field := range fields {
		at, names := document, strings.Split(field, ".")
		for _, name := range names[:len(names)-1] {
			next, ok := at[name].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[name] = next
			}
			at = next
		}
		at[names[len(names)-1]] = held
	}
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(body))), nil }
	r.Body, err = r.GetBody()
	return err
}

// presentAWS signs as a client does whose access key is the placeholder: region and
// service are all that counts of it. AWS names its hosts SERVICE.REGION.amazonaws.com;
// global ones belong to us-east-1.
func presentAWS(r *http.Request, held string) {
	labels := strings.Split(r.URL.Hostname(), ".")
	service, region := labels[0], "us-east-1"
	if len(labels) == 4 {
		region = labels[1]
	}
	r.Header.Set("X-Amz-Date", "20200101T000000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+held+"/20200101/"+region+"/"+service+
		"/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64))
}

// slot is where the credential should have been put; "" where that cannot be told.
func (x *trial) slot(ctx context.Context, at target) string {
	if x.endpoint == nil {
		return ""
	}
	r, err := x.request(ctx, at, x.presents())
	if err != nil {
		return ""
	}
	in := x.endpoint.Inject
	switch own := in.(type) {
	case inject.SigV4:
		return "header Authorization (SigV4)"
	case inject.Path:
		if own.Placeholder == "" {
			in = inject.Path{Placeholder: x.held}
		}
	}
	where, err := in.Inject(r, keyring.NewSecret([]byte("00000000")))
	if err != nil {
		return ""
	}
	return where
}

// elsewhere is the same place under the decoy's name.
func (at target) elsewhere(host string) target {
	at.url.Scheme, at.url.Host = "https", host
	at.host, at.port = host, rule.DefaultPort
	return at
}

func (at target) authority() string {
	if at.port == rule.DefaultPort {
		return at.host
	}
	return net.JoinHostPort(at.host, strconv.Itoa(at.port))
}
