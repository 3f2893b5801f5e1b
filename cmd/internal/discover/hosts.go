package discover

import "strings"

// routes gives the patterns of a host whose paths have names at fixed places; the first
// that fits the start of the path is taken, and what follows is folded as elsewhere.
func routes(host string, path []string) []string {
	switch host {
	case "github.com", "www.github.com", "gitlab.com", "bitbucket.org", "codeberg.org":
		if codeHostPage(path[0]) {
			return nil
		}
		return []string{
			"/*/*/releases/download/**", "/*/*/archive/**", "/*/*/raw/**", "/*/*/blob/**", "/*/*/tree/**",
			"/*/*/commit/*", "/*/*/releases/tag/*", "/*/*",
		}
	case "raw.githubusercontent.com":
		return []string{"/*/*/**"}
	case "gist.githubusercontent.com":
		return []string{"/*/*/raw/**"}
	case "codeload.github.com":
		return []string{"/*/*/?/**"}
	case "hooks.slack.com":
		return []string{"/services/*/*/*", "/workflows/**", "/triggers/**"}
	case "api.telegram.org":
		return []string{"/file/bot*/**", "/bot*"}
	case "storage.googleapis.com":
		if path[0] == "batch" {
			return nil
		}
		return []string{"/storage/v1/b/*/o/*", "/storage/v1/b/*", "/upload/storage/v1/b/*", "/download/storage/v1/b/*/o/*", "/storage/v1", "/*/**", "/*"}
	}
	return storeRoutes(host)
}

// storeRoutes are those of hosts that are known by their ending.
func storeRoutes(host string) []string {
	switch {
	case strings.HasSuffix(host, ".amazonaws.com"):
		first, _, _ := strings.Cut(host, ".")
		switch {
		case first == "sqs":
			return []string{"/*/*"}
		case first == "s3" || strings.HasPrefix(first, "s3-"):
			return []string{"/*/**", "/*"}
		case strings.Contains(host, ".s3.") || strings.Contains(host, ".s3-"):
			return []string{"/**"}
		}
	case strings.HasSuffix(host, ".blob.core.windows.net"):
		return []string{"/*/**", "/*"}
	case host == "huggingface.co":
		return []string{"/*/*/resolve/**"}
	}
	return nil
}

// codeHostPage reports whether the first segment of a path on a code host is a page of
// the host's own and no owner.
func codeHostPage(s string) bool {
	switch s {
	case "login", "logout", "session", "sessions", "settings", "features", "marketplace", "search", "notifications",
		"orgs", "users", "apps", "explore", "topics", "about", "enterprise", "api", "oauth", "site", "dashboard",
		"-", "assets", "help", "pricing", "sponsors", "stars", "account", "!api", "collections", "trending", "copilot",
		"github-copilot", "codespaces", "graphql":
		return true
	}
	return false
}
