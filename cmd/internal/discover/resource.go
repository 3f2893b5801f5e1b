package discover

import "strings"

// maxTemplates folded paths are remembered: agents repeat themselves.
const maxTemplates = 16_384

// Templates remembers the templates of paths. The zero Templates is ready for use; it is
// not safe for concurrent use, and its memory is bounded.
type Templates struct{ seen map[pathKey]string }

type pathKey struct{ host, path string }

// Of is Template(host, path).
func (t *Templates) Of(host, path string) string {
	key := pathKey{host, path}
	if known, ok := t.seen[key]; ok {
		return known
	}
	template := Template(host, path)
	if t.seen == nil {
		t.seen = make(map[pathKey]string)
	}
	if len(t.seen) < maxTemplates {
		t.seen[key] = template
	}
	return template
}

// Resource names the thing that a call is about: the host and the path up to the first
// name in it, api.stripe.com/v1/customers/cus_123. A repository is the same one on all of
// GitHub's hosts, github.com/acme/app, by API and by git. It is empty for a path that
// names nothing. The template is that of the path.
func Resource(host, path, template string) string {
	real, folded := strings.Split(path, "/"), strings.Split(template, "/")
	for i := range folded {
		if i >= len(real) || folded[i] == "**" {
			return ""
		}
		if !strings.Contains(folded[i], "*") {
			continue
		}
		end := i + 1
		for end < len(folded) && end < len(real) && folded[end] == "*" {
			end++
		}
		if isGitHubHost(host) {
			if (i == 1 || folded[i-1] == "repos") && end-i >= 2 {
				return "github.com/" + real[i] + "/" + strings.TrimSuffix(real[i+1], ".git")
			}
			host = "github.com"
		}
		return host + strings.Join(real[:end], "/")
	}
	return ""
}

func isGitHubHost(host string) bool {
	switch host {
	case "github.com", "api.github.com", "uploads.github.com", "codeload.github.com", "raw.githubusercontent.com":
		return true
	}
	return false
}
