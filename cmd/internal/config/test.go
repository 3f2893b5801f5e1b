package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"agentvault/proxy/rule"
)

// tests reads `test = [{ request = "GET /v2/me", header = {...}, status = 200, json = {...} }]`.
func (n node) tests() []Test {
	var out []Test
	for _, e := range n.list("a list of tables") {
		keys, ok := e.table("request", "header", "status", "json")
		if !ok {
			continue
		}
		t := Test{Pos: e.pos()}
		request, ok := keys["request"]
		if !ok {
			e.fail(`write request = "GET /v2/me"`, "test: has no request")
			continue
		}
		text, ok := request.str()
		if !ok {
			continue
		}
		var err error
		if t.Method, t.Host, t.Path, err = parseRequest(text); err != nil {
			request.fail(hintOf(err), "test: %s", err)
			continue
		}
		if v, ok := keys["status"]; ok {
			status, isInt := v.v.(int64)
			if !isInt || status < 100 || status > 599 {
				v.fail("", "test: status is not a number from 100 to 599")
				continue
			}
			t.Status = int(status)
		}
		if v, ok := keys["json"]; ok {
			m, isTable := v.v.(map[string]any)
			if !isTable {
				v.wrongType("a table")
				continue
			}
			t.JSON = m
		}
		if v, ok := keys["header"]; ok {
			t.Header = v.header()
		}
		out = append(out, t)
	}
	return out
}

// header reads the headers of a test. Credentials are not among them: that is what is tested.
func (n node) header() map[string]string {
	keys, _ := n.table()
	out := map[string]string{}
	for k, v := range keys {
		s, ok := v.str()
		switch {
		case !ok:
		case !httpguts.ValidHeaderFieldName(k) || !httpguts.ValidHeaderFieldValue(s):
			v.fail("", "test: not a header")
		default:
			out[k] = s
		}
	}
	return out
}

// identity is the catalogue's request as a test.
func (e Entry) identity() (Test, error) {
	t := Test{Status: 200, Header: e.IdentityHeaders, JSON: e.IdentityJSON}
	var err error
	t.Method, t.Host, t.Path, err = parseRequest(e.Identity)
	return t, err
}

// parseRequest parses `GET /v2/me?x=1` and `GET https://host/v2/me`.
func parseRequest(s string) (method, host, path string, err error) {
	method, target, ok := strings.Cut(s, " ")
	if !ok || !slices.Contains(rule.Methods(), method) {
		return "", "", "", fmt.Errorf(`request %q: want a method and a path, such as "GET /v2/me"`, s)
	}
	u, err := url.Parse(target)
	if err != nil || u.Fragment != "" || u.User != nil || strings.ContainsAny(target, " \t") {
		return "", "", "", fmt.Errorf("request %q: not a path or a URL", s)
	}
	if u.Scheme == "" && u.Host == "" && strings.HasPrefix(target, "/") || u.Scheme == "https" && u.Host != "" {
		if _, err := rule.Readings(u.EscapedPath()); err != nil {
			return "", "", "", fmt.Errorf("request %q: %w", s, err)
		}
		path = u.EscapedPath()
		if path == "" {
			path = "/"
		}
		if u.RawQuery != "" {
			path += "?" + u.RawQuery
		}
		return method, u.Host, path, nil
	}
	return "", "", "", fmt.Errorf("request %q: not a path or an https URL", s)
}
