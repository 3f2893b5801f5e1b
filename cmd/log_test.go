package cmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"agentvault/proxy/event"
)

// history writes the logs of two sessions of the last hour.
func history(t *testing.T, env Env) []event.Event {
	t.Helper()
	var all []event.Event
	write := func(id string, events ...event.Event) {
		l, err := event.OpenLog(env.sessionsDir(), id)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			e.Session, e.Call, e.Phase, e.Time = id, uint64(i+1), event.Start, time.Now().Add(-10*time.Minute)
			e.Scheme, e.Port = "https", 443
			if err := l.Append(event.Event{Session: e.Session, Call: e.Call, Phase: e.Phase, Time: e.Time, Method: e.Method, Scheme: e.Scheme, Host: e.Host, Port: e.Port, Path: e.Path}); err != nil {
				t.Fatal(err)
			}
			if e.Phase = event.End; l.Append(e) != nil {
				t.Fatal("not written")
			}
			all = append(all, e)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stripe := event.Event{Method: "POST", Host: "api.stripe.com", Path: "/v1/charges", Service: "stripe", Secret: "keychain:stripe", Label: "test", Verdict: event.Injected, Status: 200}
	live := stripe
	live.Label, live.Path = "live", "/v1/refunds"
	github := event.Event{Method: "GET", Host: "api.github.com", Path: "/repos/acme/app/pulls/3", Service: "github", Secret: "keychain:github", Verdict: event.Injected, Status: 200}
	issue, push, fetch := github, github, github
	issue.Method, issue.Path = "POST", "/repos/acme/web/issues"
	push.Method, push.Host, push.Path = "POST", "github.com", "/acme/app.git/git-receive-pack"
	fetch.Method, fetch.Host, fetch.Path = "POST", "github.com", "/acme/docs.git/git-upload-pack"
	aws := event.Event{Method: "PUT", Host: "s3.eu-west-1.amazonaws.com", Path: "/bucket/key", Service: "aws", Verdict: event.Passed, Status: 503, Auth: "sigv4"}
	done := aws
	done.Status = 200
	write("20260102T150405-7f3a9c", stripe, stripe, live, github, issue, push, fetch)
	write("20260103T090000-81d20e", github, aws, aws, aws, done,
		event.Event{Method: "DELETE", Host: "api.github.com", Path: "/repos/acme/app", Service: "github", Verdict: event.Denied, Status: 403, Code: "denied_by_rule", Reason: "denied"},
		event.Event{Method: "POST", Host: "api.stripe.com", Path: "/v1/payouts", Service: "stripe", Verdict: event.Denied, Status: 403, Code: "held_and_refused", Asked: "no"},
		event.Event{Method: "GET", Host: "files.example.org", Path: "/a.tgz", Verdict: event.Uncovered, Status: 200})
	return all
}

// answers are what the documented questions show; the key is the command. Blanks stand
// for any number of them.
var answers = map[string][]string{
	"log --all service:stripe --by label":        {`test 2 0 2`, `live 1 0 1`, `— 1 0`},
	"log --all host:github --by resource":        {`github.com/acme/app 4 2 2 1`, `github.com/acme/docs 1 1 0`, `github.com/acme/web 1 0 1`},
	"log --all host:amazonaws.com --by endpoint": {`PUT s3.eu-west-1.amazonaws.com/\*/\*\* 4 0 4 3 3`},
	"log --since 7d --by secret,session":         {`keychain:github 20260102T150405-7f3a9c 4`, `keychain:github 20260103T090000-81d20e 1`, `keychain:stripe 20260102T150405-7f3a9c 3`},
	"log --all verdict:denied":                   {`DELETE api.github.com /repos/acme/app 403`, `POST api.stripe.com /v1/payouts 403`},
	"log --all asked:yes asked:no":               {`POST api.stripe.com /v1/payouts 403`},
	"log --all verdict:uncovered --by endpoint":  {`GET files.example.org/a.tgz 1`},
	"log":                            {`PUT s3.eu-west-1.amazonaws.com /bucket/key 503`},
	"log last status:4xx status:5xx": {`503 `, `403 `},
	"log --since 1h host:api.github.com --csv": {`^session,call,time,`, `,GET,https,api.github.com,443,/repos/acme/app/pulls/3,200,`},
	"log --sessions":                       {`20260103T090000-81d20e`, `20260102T150405-7f3a9c`},
	"log --all verdict:uncovered --json":   {`"host":"files.example.org"`},
	"log --all --by host --json":           {`\{"key":\["api.stripe.com"\],"calls":4`},
	"log last --har":                       {`"version":"1.2"`, `"url":"https://files.example.org/a.tgz"`},
	"log -f":                               {`failed|passed|injected`, `PUT s3.eu-west-1.amazonaws.com/bucket/key 503`},
	"log verify":                           {`20260103T090000-81d20e whole`},
	"log verify --all":                     {`20260102T150405-7f3a9c whole`, `20260103T090000-81d20e whole`},
	"log prune --older-than 30d --dry-run": {`no sessions`},
	"log prune --older-than 30d":           {`removed 0 of 2 logs`},
	"log prune --keep-mib 500":             {`removed 0 of 2 logs`},
}

// Every command of docs/log.md runs, and answers its question.
func TestDocumentedQuestions(t *testing.T) {
	text, err := os.ReadFile("../docs/log.md")
	if err != nil {
		t.Fatal(err)
	}
	env := quietEnv(t)
	history(t, env)
	commands := regexp.MustCompile(`(?m)^    agentvault (.+)$`).FindAllStringSubmatch(string(text), -1)
	if len(commands) < 15 {
		t.Fatalf("only %d commands are documented", len(commands))
	}
	for _, m := range commands {
		want, ok := answers[m[1]]
		if !ok {
			t.Errorf("nothing is known of the answer to %q", m[1])
			continue
		}
		status, out := runCommand(t, env, strings.Fields(m[1])...)
		if status != 0 {
			t.Errorf("%s: status %d\n%s", m[1], status, out)
		}
		for _, w := range want {
			if !regexp.MustCompile("(?m)" + strings.ReplaceAll(w, " ", `\s+`)).MatchString(out) {
				t.Errorf("%s: no %q in\n%s", m[1], w, out)
			}
		}
	}
}

// runCommand runs one command line and returns what it printed on either stream.
func runCommand(t *testing.T, env Env, args ...string) (int, string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	env.Stdout, env.Stderr = out, out
	app := newApp(env)
	err = protect(func() error {
		return app.RunContext(t.Context(), flagsFirst(app, append([]string{"agentvault"}, args...)))
	})
	report(out, err)
	text, readErr := os.ReadFile(out.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	return exitStatus(err), string(text)
}

// Whatever is done to a log shows.
func TestLogVerifyShows(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(lines []string) []string
		head   bool // is left
		want   string
		status int
	}{
		{"untouched", func(l []string) []string { return l }, true, "whole", 0},
		{"a line edited", func(l []string) []string { l[3] = strings.Replace(l[3], `"status":200`, `"status":201`, 1); return l }, true, "it was changed, or a line behind it was removed", 1},
		{"a line removed", func(l []string) []string { return slices.Delete(l, 4, 5) }, true, "✕", 1},
		{"the first removed", func(l []string) []string { return l[1:] }, true, "lines before it were removed", 1},
		{"the last removed", func(l []string) []string { return l[:len(l)-1] }, true, "14 lines, of which 13 are left", 1},
		{"the last edited", func(l []string) []string {
			l[13] = strings.Replace(l[13], `"status":200`, `"status":500`, 1)
			return l
		}, true, "the last line was changed", 1},
		{"two swapped", func(l []string) []string { l[5], l[6] = l[6], l[5]; return l }, true, "✕", 1},
		{"the head removed", func(l []string) []string { return l }, false, "whole as far as it goes", 0},
		{"emptied", func([]string) []string { return nil }, true, "14 lines, of which 0 are left", 1},
	} {
		env := quietEnv(t)
		history(t, env)
		path := filepath.Join(env.sessionsDir(), "20260102T150405-7f3a9c.jsonl")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := tt.change(strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n"))
		if n := len(lines); n > 0 {
			lines[n-1] = strings.TrimSuffix(lines[n-1], "\n") + "\n"
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		if !tt.head {
			if err := os.Remove(strings.TrimSuffix(path, ".jsonl") + ".head"); err != nil {
				t.Fatal(err)
			}
		}
		status, out := runCommand(t, env, "log", "verify", "7f3a9c")
		if status != tt.status || !strings.Contains(out, tt.want) {
			t.Errorf("%s: status %d, want %d; got\n%swant %q in it", tt.name, status, tt.status, out, tt.want)
		}
	}
}

// Files of the log are for their owner alone.
func TestLogModes(t *testing.T) {
	env := quietEnv(t)
	history(t, env)
	entries, err := os.ReadDir(env.sessionsDir())
	if err != nil || len(entries) != 4 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(env.sessionsDir()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// What is printed as JSON is what stands in the file.
	if status, out := runCommand(t, env, "log", "7f3a9c", "--json"); status != 0 || !json.Valid([]byte(strings.SplitN(out, "\n", 2)[0])) {
		t.Errorf("status %d\n%s", status, out)
	}
}
