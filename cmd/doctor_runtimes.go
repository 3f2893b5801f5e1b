package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"agentvault/cmd/internal/session"
	"agentvault/proxy/event"
)

// A runtime that has made no call after this long is hung: a JVM that compiles its source
// first needs two or three seconds on a slow machine.
const runtimeTime = 20 * time.Second

// As many runtimes are tried at once: each is a process that starts and waits.
const runtimesAtOnce = 4

// probe is one way in which programs of a runtime call an API. Missing, if not empty, is
// what the program prints when a part of it is not installed.
type probe struct {
	name    string
	argv    []string
	missing string
}

const probeURL = "https://" + demoAPI + "/v1/items/7"

// probes are the clients that agents and their tools are made of. The credential is added
// whether or not they show a placeholder, so no key stands in an argument.
func probes(dir string) []probe {
	return []probe{
		{name: "curl", argv: []string{"curl", "-sS", probeURL}},
		{name: "wget", argv: []string{"wget", "-qO-", probeURL}},
		{name: "git", argv: []string{"git", "ls-remote", "https://" + demoAPI + "/repo.git"}},
		{name: "node fetch", argv: []string{"node", "-e", `fetch("` + probeURL + `").then(r => r.text())`}},
		{name: "node https", argv: []string{"node", "-e", `require("https").get("` + probeURL + `", r => r.resume())`}},
		{name: "bun", argv: []string{"bun", "-e", `await (await fetch("` + probeURL + `")).text()`}},
		{name: "deno", argv: []string{"deno", "eval", `await (await fetch("` + probeURL + `")).text()`}},
		{name: "python urllib", argv: []string{"python3", "-c", `import urllib.request; urllib.request.urlopen("` + probeURL + `").read()`}},
		{name: "python requests", argv: []string{"python3", "-c", `import requests; requests.get("` + probeURL + `")`}, missing: "No module named"},
		{name: "ruby", argv: []string{"ruby", "-rnet/http", "-e", `Net::HTTP.get(URI("` + probeURL + `"))`}},
		{name: "php curl", argv: []string{"php", "-r", `$c = curl_init("` + probeURL + `"); curl_exec($c) or fwrite(STDERR, curl_error($c));`}, missing: "undefined function"},
		{name: "java", argv: []string{"java", filepath.Join(dir, "Probe.java")}},
	}
}

const javaProbe = `import java.net.*;
class Probe {
    public static void main(String[] args) throws Exception {
        new URL("` + probeURL + `").openStream().readAllBytes();
    }
}
`

// finding is what became of one probe: err is nil where its call arrived with the
// credential.
type finding struct {
	name   string
	absent bool
	err    error
}

// tryRuntimes makes a session of its own for each runtime found on PATH and has it call
// the demo's API. Nothing leaves the machine, and no secret of the user's is opened.
func tryRuntimes(ctx context.Context, env Env) ([]finding, error) {
	dir, err := os.MkdirTemp("", "agentvault-doctor-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.WriteFile(filepath.Join(dir, "Probe.java"), []byte(javaProbe), 0o600); err != nil {
		return nil, err
	}
	world, err := newDemoWorld()
	if err != nil {
		return nil, err
	}
	defer world.close()
	all := probes(dir)
	findings := make([]finding, len(all))
	slots := make(chan struct{}, runtimesAtOnce)
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			findings[i] = tryRuntime(ctx, env, world, p, dir)
		})
	}
	wg.Wait()
	return slices.DeleteFunc(findings, func(f finding) bool { return f.absent }), nil
}

func tryRuntime(ctx context.Context, env Env, world *demoWorld, p probe, dir string) finding {
	if _, err := exec.LookPath(p.argv[0]); err != nil {
		return finding{name: p.name, absent: true}
	}
	log := filepath.Join(dir, strings.ReplaceAll(p.name, " ", "-"))
	said, err := os.Create(log + ".txt")
	if err != nil {
		return finding{name: p.name, err: err}
	}
	defer func() { _ = said.Close() }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return finding{name: p.name, err: err}
	}
	defer func() { _ = null.Close() }()
	compiled, err := demoConfig()
	if err != nil {
		return finding{name: p.name, err: err}
	}
	env.Stdin, env.Stdout, env.Stderr, env.Dir = null, said, said, dir
	env.Environ = append(slices.Clone(env.Environ), "GIT_TERMINAL_PROMPT=0")
	var seen witness
	err = runWith(ctx, env, sessionOptions{
		argv: p.argv, logPath: log + ".jsonl", fleeting: true, passphraseFD: noFD,
		configText: compiled, upstream: world.upstream, secrets: world.resolver,
	}, seen.view, func(*live) error { return nil })
	var own status // the program's own, which may fail: the API speaks no git
	if err != nil && !errors.As(err, &own) {
		return finding{name: p.name, err: err}
	}
	words, err := os.ReadFile(log + ".txt")
	if err != nil {
		return finding{name: p.name, err: err}
	}
	if p.missing != "" && bytes.Contains(words, []byte(p.missing)) {
		return finding{name: p.name, absent: true}
	}
	return finding{name: p.name, err: seen.verdict(words)}
}

// witness keeps what the proxy saw of one runtime.
type witness struct {
	mu   sync.Mutex
	ends []event.Event
	late bool
}

// view is a view that shows nothing and ends a child that hangs.
func (w *witness) view(_ context.Context, l *live, environ []string) (int, error) {
	l.mu.Lock()
	l.onEvent = func(e event.Event) {
		if e.Phase == event.Start {
			return
		}
		w.mu.Lock()
		w.ends = append(w.ends, e)
		w.mu.Unlock()
	}
	l.mu.Unlock()
	child, err := l.start(session.Options{Env: environ, Stdin: l.env.Stdin, Stdout: l.env.Stdout, Stderr: l.env.Stderr, Mode: session.Group})
	if err != nil {
		return 0, err
	}
	timer := time.AfterFunc(runtimeTime, func() {
		w.mu.Lock()
		w.late = true
		w.mu.Unlock()
		child.End(time.Second)
	})
	defer timer.Stop()
	code := child.Wait()
	w.settle()
	return code, nil
}

// settle waits until the proxy has told of a call. A program that refused the certificate
// may have ended before the proxy has read its alert, and the end of the session would
// close the connection under it.
func (w *witness) settle() {
	for end := time.Now().Add(settleTime); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		told := len(w.ends) > 0
		w.mu.Unlock()
		if told {
			return
		}
	}
}

// settleTime is much longer than the proxy takes to read what lies in a socket, and no
// longer than a human waits for a program that made no call.
const settleTime = 2 * time.Second

// verdict is what the proxy saw, and where it saw nothing, what the program said.
func (w *witness) verdict(words []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var problem string
	for _, e := range w.ends {
		if e.Verdict == event.Injected {
			return nil
		}
		if e.Reason != "" {
			problem = e.Reason
		}
	}
	switch {
	case problem != "":
		return errors.New(problem)
	case w.late:
		return fmt.Errorf("made no call in %s", runtimeTime)
	}
	return fmt.Errorf("no call of it reached the proxy: %s", lastLine(words))
}

// lastLine is the last thing that a program said: interpreters print the error there.
func lastLine(words []byte) string {
	lines := strings.Split(strings.TrimSpace(string(words)), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if last == "" {
		return "it ended without a word, so it goes around the proxy"
	}
	const most = 160
	if r := []rune(last); len(r) > most {
		last = string(r[:most]) + "…"
	}
	return last
}
