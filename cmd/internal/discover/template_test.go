package discover

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// samples gives the values that a parameter of a published path takes. What is not listed
// is a prefix, and ids with that prefix are made up.
func samples(param string) []string {
	switch param {
	case "id":
		return []string{"1", "42", "9007199254740993"}
	case "owner":
		return []string{"octocat", "acme-bot", "a1", "X", "dependabot[bot]"}
	case "org":
		return []string{"acme", "github", "a-1"}
	case "repo":
		return []string{"app", "hello-world.js", "v2", "search", "docs.json", "x_1"}
	case "slug":
		return []string{"mit", "octo-app", "contributor_covenant", "hello_docker"}
	case "name":
		return []string{"C", "Go", "VisualStudio"}
	case "kind":
		return []string{"container", "maven"}
	case "client":
		return []string{"Iv1.8a61f9b3a7aba766", "Iv23liAbCdEfGh"}
	case "ghsa":
		return []string{"GHSA-xxxx-yyyy-zzzz", "GHSA-2j6v-xpf3-xvrv"}
	case "gist":
		return []string{"aa5a315d61ae9438b18d", "2decf6c462d9b4418f2"}
	case "secret":
		return []string{"TOKEN", "DEPLOY_KEY", "search"}
	case "label":
		return []string{"bug", "good%20first%20issue", "v1", "latest"}
	case "workflow":
		return []string{"ci.yml", "161335", "release.yaml"}
	case "branch":
		return []string{"main", "latest", "release-1.2", "feature%2Fx"}
	case "ref", "tag":
		return []string{"main", "v1.0.0", "6dcb09b5b57875f334f61aebed695e2e4193db5e", "HEAD", "6dcb09b"}
	case "sha":
		return []string{"6dcb09b5b57875f334f61aebed695e2e4193db5e", "6dcb09b"}
	case "path...":
		return []string{"README.md", "src/main.go", "heads/main", "a/b/c/d.json", "main...dev"}
	case "codespace":
		return []string{"monalisa-octocat-hello-world-g4wpq6h95q", "fuzzy-space-disco"}
	case "capability":
		return []string{"card_payments", "transfers"}
	case "country":
		return []string{"US", "DE"}
	case "currency":
		return []string{"usd", "eur"}
	case "coupon":
		return []string{"Z4OV52SU", "jMT0WJUD", "SUMMER25", "gold"}
	case "report":
		return []string{"balance.summary.1", "payouts.itemized.3"}
	case "model":
		return []string{"gpt-4", "gpt-4o-mini", "claude-sonnet-4-5-20250929", "davinci", "o1", "ft:gpt-4o:acme::B7R9VjQd"}
	case "package":
		return []string{"app", "hello_docker", "acme%2Fapp", "org.acme.app"}
	case "environment":
		return []string{"production", "staging", "eu%2Fproduction"}
	case "digest":
		return []string{"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}
	case "uuid":
		return []string{"47177e22-5596-11eb-80a1-c1e54ef945c6"}
	case "language":
		return []string{"go", "javascript", "cpp"}
	case "property":
		return []string{"environment", "team"}
	case "hex":
		return []string{"23456789ABCDEF1", "3C9D2E1F0A7B5C4"}
	case "export":
		return []string{"latest", "4e86e0b4"}
	case "code":
		return []string{"abc123def456", "9d7e2c1b0a"}
	case "version":
		return []string{"1", "17", "1759178010641129"}
	case "limit":
		return []string{"rl-ada", "rl-1MowQVLkdIwHuixeRlqHVzs"}
	case "ft":
		return []string{"ft:gpt-4o-mini-2024-07-18:org:weather:B7R9VjQd", "ft:gpt-4o:acme::B7R9VjQd"}
	}
	ids := []string{"NffrFeUfNV2Hib", "3MmlLrLkdIwHu7ix0snN0B15", "1032D82eZvKYlo2C", "1MowQVLkdIwHuixeRlqHVzs", "68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b"}
	for i, id := range ids {
		ids[i] = param + id
	}
	return ids
}

var paramPattern = regexp.MustCompile(`\{([^}]+)\}`)

// instances gives paths of one published operation: each parameter takes all its values
// while the others keep their first.
func instances(op string) []string {
	params := paramPattern.FindAllStringSubmatchIndex(op, -1)
	fill := func(which int, value string) string {
		var b strings.Builder
		last := 0
		for i, p := range params {
			b.WriteString(op[last:p[0]])
			if i == which {
				b.WriteString(value)
			} else {
				b.WriteString(samples(op[p[2]:p[3]])[0])
			}
			last = p[1]
		}
		return b.String() + op[last:]
	}
	all := []string{fill(-1, "")}
	for i, p := range params {
		for _, v := range samples(op[p[2]:p[3]]) {
			all = append(all, fill(i, v))
		}
	}
	return all
}

// The published operations of well-known APIs: all instances of one fold to its template,
// and no two operations fold to the same.
func TestTemplatePublishedPaths(t *testing.T) {
	files, err := filepath.Glob("testdata/paths/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no paths to test", err)
	}
	for _, file := range files {
		host := filepath.Base(file)
		seen := make(map[string]string)
		for _, op := range lines(t, file) {
			want := paramPattern.ReplaceAllStringFunc(op, func(p string) string {
				if strings.HasSuffix(p, "...}") {
					return "**"
				}
				return "*"
			})
			for _, path := range instances(op) {
				got := Template(host, path)
				if got != want {
					t.Errorf("%s: Template(%q) = %q, want %q", host, path, got, want)
				}
				if other, ok := seen[got]; ok && other != want {
					t.Errorf("%s: %s and %s fold to the same template %q", host, op, other, got)
				}
				seen[got] = want
			}
		}
	}
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := s.Text(); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

func TestTemplate(t *testing.T) {
	for _, tt := range []struct{ name, host, path, want string }{
		{"root", "x.test", "/", "/"},
		{"empty", "x.test", "", "/"},
		{"query", "x.test", "/a?id=7#x", "/a"},
		{"asterisk form", "x.test", "*", "/*"},
		{"trailing slash", "x.test", "/users/", "/users/"},
		{"trailing slash behind a name", "x.test", "/users/bob/", "/users/*/"},
		{"doubled slash", "x.test", "//users//bob", "//users//bob"},

		{"number", "x.test", "/items/42/parts/7", "/items/*/parts/*"},
		{"UUID", "x.test", "/items/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/items/*"},
		{"UUID in capitals and braces", "x.test", "/items/{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", "/items/*"},
		{"hash of seven", "x.test", "/x/6dcb09b", "/x/*"},
		{"a word that is hexadecimal", "x.test", "/x/defaced", "/x/defaced"},
		{"digest", "x.test", "/x/sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "/x/*"},
		{"date", "x.test", "/usage/2026-01-02", "/usage/*"},
		{"date as a version", "api.twilio.com", "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json", "/2010-04-01/Accounts/*/Messages.json"},
		{"file with an id", "api.twilio.com", "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages/SM0123456789abcdef0123456789abcdef.json", "/2010-04-01/Accounts/*/Messages/*.json"},
		{"release", "x.test", "/dl/1.26.8/linux", "/dl/*/linux"},
		{"issue key", "acme.atlassian.net", "/rest/api/3/issue/PROJ-12/comment", "/rest/api/3/issue/*/comment"},
		{"version numbers", "api.x.test", "/2/tweets/1234567890", "/2/tweets/*"},
		{"version with a dot", "app.asana.com", "/api/1.0/tasks/12345", "/api/1.0/tasks/*"},
		{"long random token", "x.test", "/t/Zk3vQ9xW2LmN8pR4sT7u", "/t/*"},
		{"long random token in small letters", "x.test", "/t/k3j9d8f7h2m4q1z6", "/t/*"},
		{"base64 of URLs", "x.test", "/t/dGhpcyBpcyBhIHRlc3Q-X_9zQ2", "/t/*"},
		{"e-mail address", "x.test", "/mail/bob@example.com/inbox", "/mail/*/inbox"},
		{"percent escapes", "x.test", "/pages/Hello%20World", "/pages/*"},
		{"unknown prefix", "x.test", "/things/thng_8sJk2LmQ", "/things/*"},

		{"camel case", "x.test", "/streamGenerateContent", "/streamGenerateContent"},
		{"camel case with a version", "x.test", "/ListObjectsV2", "/ListObjectsV2"},
		{"camel case with numbers", "x.test", "/getBase64EncodedImage", "/getBase64EncodedImage"},
		{"snake case", "x.test", "/get_user_profile_v2", "/get_user_profile_v2"},
		{"snake case with a number", "x.test", "/create_oauth2_token", "/create_oauth2_token"},
		{"kebab case", "x.test", "/list-public-keys-2", "/list-public-keys-2"},
		{"capitals", "x.test", "/GetCallerIdentity", "/GetCallerIdentity"},
		{"abbreviations", "x.test", "/DescribeDBInstancesByVPC", "/DescribeDBInstancesByVPC"},
		{"gRPC", "x.test", "/google.pubsub.v1.Publisher/Publish", "/google.pubsub.v1.Publisher/Publish"},
		{"well-known", "x.test", "/.well-known/openid-configuration", "/.well-known/openid-configuration"},

		{"the user and a user", "x.test", "/users/me", "/users/me"},
		{"search is no name", "x.test", "/projects/search", "/projects/search"},
		{"a version is no name", "10.0.0.1", "/apis/apps/v1/namespaces/default/deployments/web/scale", "/apis/apps/v1/namespaces/*/deployments/*/scale"},
		{"pods", "10.0.0.1", "/api/v1/namespaces/default/pods/web-7d9f/log", "/api/v1/namespaces/*/pods/*/log"},
		{"model and verb", "generativelanguage.googleapis.com", "/v1beta/models/gemini-pro:streamGenerateContent", "/v1beta/models/*:streamGenerateContent"},
		{"another verb", "generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-flash:countTokens", "/v1beta/models/*:countTokens"},
		{"deep resource names", "aiplatform.googleapis.com", "/v1/projects/p-1/locations/us-central1/publishers/google/models/gemini:generateContent", "/v1/projects/*/locations/*/publishers/*/models/*:generateContent"},
		{"id and verb", "x.test", "/v1/operations/12345:cancel", "/v1/operations/*:cancel"},
		{"model with a tag", "x.test", "/models/llama3:latest", "/models/*"},
		{"documents", "firestore.googleapis.com", "/v1/projects/p/databases/(default)/documents/users/alice", "/v1/projects/*/databases/*/documents/**"},
		{"OData", "graph.microsoft.com", "/v1.0/items('abc')/name", "/v1.0/items(*)/name"},
		{"mail of me", "gmail.googleapis.com", "/gmail/v1/users/me/messages/18c2f3a4b5d6e7f8", "/gmail/v1/users/me/messages/*"},
		{"user with an extension", "acme.zendesk.com", "/api/v2/users/123.json", "/api/v2/users/*.json"},
		{"operation with an extension", "acme.zendesk.com", "/api/v2/users/me.json", "/api/v2/users/me.json"},
		{"project of GitLab by path", "gitlab.com", "/api/v4/projects/acme%2Fapp/issues", "/api/v4/projects/*/issues"},
		{"project of GitLab by number", "gitlab.com", "/api/v4/projects/278964/issues", "/api/v4/projects/*/issues"},
		{"Enterprise Server", "git.acme.test", "/api/v3/repos/acme/app/contents/a/b.go", "/api/v3/repos/*/*/contents/**"},
		{"Gitea", "git.acme.test", "/api/v1/repos/acme/app/branches/main", "/api/v1/repos/*/*/branches/*"},
		{"graphql", "api.linear.app", "/graphql", "/graphql"},

		{"git fetch", "github.com", "/acme/app.git/info/refs", "/*/*/info/refs"},
		{"git fetch without .git", "github.com", "/acme/app/info/refs", "/*/*/info/refs"},
		{"git push", "github.com", "/acme/app.git/git-receive-pack", "/*/*/git-receive-pack"},
		{"git in subgroups", "gitlab.com", "/acme/sub/app.git/git-upload-pack", "/*/*/*/git-upload-pack"},
		{"git LFS", "github.com", "/acme/app.git/info/lfs/objects/batch", "/*/*/info/lfs/objects/batch"},
		{"git LFS locks", "github.com", "/acme/app.git/info/lfs/locks/12/unlock", "/*/*/info/lfs/locks/*/unlock"},
		{"release file", "github.com", "/acme/app/releases/download/v1/app.tgz", "/*/*/releases/download/**"},
		{"page of a code host", "github.com", "/login/oauth/access_token", "/login/oauth/access_token"},
		{"raw file", "raw.githubusercontent.com", "/acme/app/main/install.sh", "/*/*/**"},
		{"archive", "codeload.github.com", "/acme/app/tar.gz/refs/heads/main", "/*/*/tar.gz/**"},
		{"image", "ghcr.io", "/v2/acme/app/manifests/latest", "/v2/**/manifests/*"},
		{"layer", "ghcr.io", "/v2/acme/app/blobs/sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "/v2/**/blobs/*"},
		{"upload of a layer", "ghcr.io", "/v2/acme/app/blobs/uploads/", "/v2/**/blobs/uploads/"},
		{"tags of an image", "ghcr.io", "/v2/app/tags/list", "/v2/**/tags/list"},
		{"object", "s3.eu-west-1.amazonaws.com", "/bucket/a/b/c.txt", "/*/**"},
		{"object on the bucket's host", "bucket.s3.eu-west-1.amazonaws.com", "/a/b/c.txt", "/**"},
		{"bot", "api.telegram.org", "/bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage", "/bot*/sendMessage"},
		{"webhook", "hooks.slack.com", "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "/services/*/*/*"},
		{"hub", "hub.docker.com", "/v2/repositories/library/alpine/tags", "/v2/repositories/*/*/tags"},
	} {
		got := Template(tt.host, tt.path)
		if got != tt.want {
			t.Errorf("%s: Template(%q, %q) = %q, want %q", tt.name, tt.host, tt.path, got, tt.want)
		}
		if again := Template(tt.host, got); again != got {
			t.Errorf("%s: Template(%q) = %q, and of that %q", tt.name, tt.path, got, again)
		}
	}
}

func TestReads(t *testing.T) {
	var templates Templates
	for _, tt := range []struct {
		method, host, path, operation string
		want                          bool
	}{
		{"GET", "api.github.com", "/user", "", true},
		{"HEAD", "x.test", "/", "", true},
		{"POST", "github.com", "/acme/app.git/git-upload-pack", "", true},
		{"POST", "github.com", "/acme/app.git/git-receive-pack", "", false},
		{"POST", "git.acme.test", "/acme/app.git/git-upload-pack", "", true},
		{"POST", "api.github.com", "/repos/acme/app/issues", "", false},
		{"DELETE", "x.test", "/a", "", false},
		{"POST", "dynamodb.us-east-1.amazonaws.com", "/", "GetItem", true},
		{"POST", "dynamodb.us-east-1.amazonaws.com", "/", "DeleteItem", false},
		{"POST", "dynamodb.us-east-1.amazonaws.com", "/", "GetItem+DeleteItem", false},
		{"POST", "dynamodb.us-east-1.amazonaws.com", "/", "Getaway", false},
		{"POST", "localhost", "/", "DynamoDB_20120810.Query", true},
		{"POST", "api.linear.app", "/graphql", "query issues+viewer", true},
		{"POST", "api.linear.app", "/graphql", "query issues+mutation issueCreate", false},
		{"POST", "api.linear.app", "/graphql", "mutation issueCreate", false},
		{"POST", "api.linear.app", "/graphql", "?", false},
		{"POST", "mcp.linear.app", "/mcp", "initialize+notifications/initialized", true},
		{"POST", "mcp.linear.app", "/mcp", "tools/call list_issues", false},
	} {
		for range 2 { // the second time it is remembered
			if got := templates.Reads(tt.method, tt.host, tt.path, tt.operation); got != tt.want {
				t.Errorf("%s %s%s %s: %t", tt.method, tt.host, tt.path, tt.operation, got)
			}
		}
	}
}

func FuzzTemplate(f *testing.F) {
	hosts := []string{"api.github.com", "github.com", "api.stripe.com", "ghcr.io", "hooks.slack.com", "storage.googleapis.com", "b.s3.amazonaws.com", "x.test", "raw.githubusercontent.com", "api.telegram.org"}
	for i, p := range []string{"/repos/a/b/contents/x/y", "/a/b.git/info/refs", "/v1/charges/ch_1", "/v2/a/b/blobs/uploads/1", "/services/a/b/c", "/storage/v1/b/x/o/y", "//..//%2e", "/users/*/x:get", "/v2/manifests/blobs/tags/list"} {
		f.Add(uint8(i), p)
	}
	f.Fuzz(func(t *testing.T, h uint8, path string) {
		host := hosts[int(h)%len(hosts)]
		once := Template(host, path)
		if twice := Template(host, once); twice != once {
			t.Fatalf("Template(%q, %q) = %q, and of that %q", host, path, once, twice)
		}
		if !strings.HasPrefix(once, "/") {
			t.Fatalf("Template(%q, %q) = %q", host, path, once)
		}
	})
}

func BenchmarkTemplate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Template("api.github.com", "/repos/acme/app/pulls/3/reviews/77")
	}
}
