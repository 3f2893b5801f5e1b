package inject

import (
	"net/http"
	"net/url"
	"strings"

	"agentvault/keyring"
)

// Query sends the secret as a query parameter. The first copy of the parameter is
// replaced where it stands, further copies are removed, and where there is none it is
// appended. All other parameters keep their bytes and their order.
//
// A copy is what an origin could read as one: names are compared after percent-decoding,
// without regard to case (ASP.NET), `name[]` counts (PHP, Rack), and a dot or a blank is an
// underscore (PHP). A semicolon, which
// is a separator to some origins and a part of the value to others, is refused in a
// parameter that could be ours.
type Query struct{ Name string }

var _ Injector = Query{}

// Inject implements Injector.
func (q Query) Inject(req *http.Request, secret keyring.Secret) (string, error) {
	where := "query " + q.Name
	v := secret.Reveal()
	if err := checkText(where, v); err != nil {
		return "", err
	}
	raw, found, err := setParam(where, req.URL.RawQuery, q.Name, v)
	if err != nil {
		return "", err
	}
	if !found {
		raw = appendParam(raw, q.Name, v)
	}
	req.URL.RawQuery = raw
	req.URL.ForceQuery = false
	return where, nil
}

// setParam replaces the first copy of name in raw, which is a query or a form, and
// removes the others. where is for errors.
func setParam(where, raw, name, value string) (string, bool, error) {
	if raw == "" {
		return raw, false, nil
	}
	pieces := strings.Split(raw, "&")
	kept, found := pieces[:0], false
	for _, piece := range pieces {
		same, err := sameParam(where, piece, name)
		if err != nil {
			return "", false, err
		}
		switch {
		case !same:
			kept = append(kept, piece)
		case !found:
			found = true
			kept = append(kept, escapeParam(name)+"="+escapeParam(value))
		}
	}
	if !found {
		return raw, false, nil
	}
	return strings.Join(kept, "&"), true, nil
}

func appendParam(raw, name, value string) string {
	pair := escapeParam(name) + "=" + escapeParam(value)
	if raw == "" {
		return pair
	}
	if strings.HasSuffix(raw, "&") {
		return raw + pair
	}
	return raw + "&" + pair
}

func sameParam(where, piece, name string) (bool, error) {
	if !strings.Contains(piece, ";") {
		return sameParamName(piece, name), nil
	}
	for part := range strings.SplitSeq(piece, ";") {
		if sameParamName(part, name) {
			return false, &problem{
				where + ": a semicolon stands beside the parameter, and origins disagree on what it separates",
				"separate parameters with & and write a semicolon in a value as %3B",
			}
		}
	}
	return false, nil
}

// sameParamName compares the name of `name=value`. A name whose escapes cannot be
// decoded is compared as it stands.
func sameParamName(piece, name string) bool {
	got, _, _ := strings.Cut(piece, "=")
	if strings.ContainsAny(got, "%+") {
		if decoded, err := url.QueryUnescape(got); err == nil {
			got = decoded
		}
	}
	got = strings.TrimLeft(got, " ") // PHP trims these
	if name == "" || got == "" {
		return got == name
	}
	if i := strings.IndexByte(got, '['); i > 0 && !strings.Contains(name, "[") {
		got = got[:i]
	}
	return strings.EqualFold(phpName.Replace(got), phpName.Replace(name))
}

// phpName makes of a name what PHP makes of it.
var phpName = strings.NewReplacer(".", "_", " ", "_")

// escapeParam writes a space as %20, which every reader of queries and forms decodes.
func escapeParam(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
