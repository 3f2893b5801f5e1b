package discover

import "strings"

// rest says that all the segments that follow are one name.
const rest = -1

// names says how many of the next segments are names because of what stands before them,
// 0 for none, and whether they are free: a free name may look like anything, and neither
// an extension nor a verb in it means something.
func (f *folding) names() (n int, free bool) {
	last, next := f.before(1), f.in[0]
	if last == "" {
		return 0, false
	}
	if n = f.repository(last); n != 0 {
		return n, true
	}
	if f.isGitHub() {
		if n = f.afterGitHub(last); n != 0 {
			return n, true
		}
	}
	if collection(last) && !f.ownCollections(last) {
		n = 1
	}
	if n == 0 {
		if n = f.afterKind(); n == rest {
			return n, true
		}
	}
	if n == 0 || operation(last, next) {
		return 0, false
	}
	return n, false
}

// ownCollections reports whether collections stand where others have a name: the Admin API of
// Anthropic is about the key's own organization, and has all of its collections there.
func (f *folding) ownCollections(last string) bool {
	return f.host == "api.anthropic.com" && (last == "organizations" || last == "apps")
}

// isGitHub reports whether the path is one of GitHub's REST API, of the public one or of
// an Enterprise Server.
func (f *folding) isGitHub() bool {
	return f.host == "api.github.com" || f.host == "uploads.github.com" || len(f.out) > 1 && f.out[0] == "api" && f.out[1] == "v3"
}

// repository gives the names of the GitHub API and of those that follow it (Gitea,
// Forgejo): owner and repository, and what a user may call freely within one. Nothing but
// the words given here is kept, since a branch may be called "latest".
func (f *folding) repository(last string) int {
	next := f.in[0]
	if last == "repos" {
		switch {
		case f.before(3) == "migrations":
			return 1
		case next == "search" || next == "migrate" || isVersionWord(next):
			return 0
		case f.before(2) == "user" || len(f.in) == 1:
			return 1
		}
		return 2
	}
	if !f.inRepository() {
		return 0
	}
	switch last {
	case "contents", "readme", "compare", "zipball", "tarball":
		return rest
	case "refs", "ref", "matching-refs":
		if f.before(2) == "git" {
			return rest
		}
	case "tags":
		if p := f.before(2); p == "releases" || p == "git" {
			return 1
		}
	case "trees":
		if f.before(2) == "git" {
			return 1
		}
	case "security-advisories":
		if next != "reports" {
			return 1
		}
	case "branches", "collaborators", "labels", "assignees", "commits", "statuses", "workflows", "variables", "environments":
		return 1
	case "secrets":
		if next != "public-key" {
			return 1
		}
	}
	return 0
}

// inRepository reports whether the template has /repos/*/* in it.
func (f *folding) inRepository() bool {
	for i := 2; i < len(f.out); i++ {
		if f.out[i-2] == "repos" && f.out[i-1] == "*" && f.out[i] == "*" {
			return true
		}
	}
	return false
}

// afterGitHub gives the words of the GitHub API outside of repositories whose names are
// free; those that they share with other APIs are in collection.
func (f *folding) afterGitHub(last string) int {
	next := f.in[0]
	switch last {
	case "packages", "networks":
		return 2
	case "starred":
		if f.before(2) == "user" {
			return 2
		}
	case "codespaces":
		if (f.before(2) == "user" || f.before(3) == "members") && next != "secrets" && next != "permissions_check" {
			return 1
		}
	case "schema":
		if f.before(2) == "properties" {
			return 1
		}
	case "secrets", "variables", "private-registries":
		if next != "public-key" {
			return 1
		}
	case "memberships":
		if next != "orgs" {
			return 1
		}
	case "security-advisories":
		if next != "reports" {
			return 1
		}
	case "exports":
		if f.before(3) == "codespaces" {
			return 1
		}
	case "following", "blocks", "labels", "team", "public_members", "outside_collaborators", "enterprises", "codes_of_conduct", "licenses", "advisories", "templates":
		return 1
	}
	return 0
}

// afterKind gives the names that stand behind the word for their kind, which follows a
// name itself: /namespaces/*/pods/NAME, /databases/*/documents/PATH.
func (f *folding) afterKind() int {
	if !strings.HasPrefix(f.before(2), "*") {
		return 0
	}
	switch f.before(3) {
	case "namespaces":
		if f.out[0] == "api" || f.out[0] == "apis" {
			return 1
		}
	case "databases":
		if f.before(1) == "documents" {
			return rest
		}
	case "spreadsheets":
		if f.before(1) == "values" {
			return 1
		}
	}
	return 0
}

// collection reports whether what follows s is a name. Only words behind which the APIs
// that were looked at put names or ids, and operations just as operation knows them. A
// collection whose ids have a shape (messages, jobs, files) needs no entry.
func collection(s string) bool {
	switch s {
	case "users", "orgs", "organizations", "groups", "teams", "members", "collaborators", "workspaces", "tenants", "accounts", "customers",
		"projects", "repositories", "gists", "branches", "environments", "secrets", "variables", "labels", "templates", "packages",
		"apps", "applications", "functions", "workflows", "scripts", "sites", "domains", "zones", "namespaces", "clusters",
		"buckets", "tables", "databases", "datasets", "collections", "indexes", "indices", "keyspaces", "instances", "queues", "topics", "subscriptions",
		"models", "tunedModels", "engines", "deployments", "publishers", "locations", "regions", "calendars", "calendarList", "spreadsheets",
		"coupons", "plans", "products", "resourceGroups", "resourcegroups", "vaults", "spaces", "model", "serviceAccounts", "service_accounts", "rate_limits":
		return true
	}
	return false
}

// operation reports whether next is no name behind the collection last, but a call on the
// collection or another collection.
func operation(last, next string) bool {
	stem, _ := cutExtension(next)
	if collection(stem) || isVersionWord(stem) || strings.HasPrefix(stem, "_") {
		return true
	}
	switch stem {
	case "me", "@me", "self", "search", "latest", "count", "current", "batch", "batches", "bulk", "export", "import", "upcoming",
		"public", "starred", "new", "find", "delete", "create", "list", "query", "validate", "preview", "stats", "usage",
		"public-key", "create_many", "update_many", "destroy_many", "show_many", "autocomplete", "invites", "invitations":
		return true
	}
	switch last {
	case "projects":
		return stem == "columns"
	case "applications":
		return stem == "grants"
	}
	return false
}
