//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// exampleService covers the one host that the agents of these tests ask.
const exampleService = "[service.example]\nhost = \"api.example.test\"\nauth = \"bearer\"\nsecret = \"env:API_KEY\"\nallow = [\"GET /**\"]\n"

// headerAgent makes one call with headers of its own, and waits.
const headerAgent = `
$agent get https://api.example.test/account X-Note hello Cookie sid=c00kie-0123456789
read line
`

// shows waits for a screen that has all of the texts and none of the secrets.
func (s *askScreen) shows(texts ...string) {
	s.t.Helper()
	if now := s.until(texts...); strings.Contains(now, secretValue) || strings.Contains(now, "c00kie-0123456789") {
		s.t.Errorf("a credential is on the screen:\n%s", now)
	}
}

// The inspector shows the headers of a call with credentials masked, the rule that let it
// through, and how its secret is doing.
func TestInspectorShowsHeaders(t *testing.T) {
	s := newAskScreen(t, headerAgent)
	write(t, filepath.Join(s.dir, "av.toml"), exampleService)
	s.keys("agentvault run --config av.toml -- ./agent", "Enter")
	s.until("◆ 1 call · 1 injected")
	s.keys("C-]", "v")
	s.until("coverage 100 %", "q back")
	s.keys("Enter")
	s.until("enter shows all")
	s.keys("Enter")
	s.shows("whose rule GET /** allows it", "Authorization: Bearer ‹example›", "Cookie: sid=‹own›", "X-Note: hello", "response")
	s.keys("Escape")
	s.until("enter shows all")
	s.keys("3")
	s.shows("SERVICE", "● example", "cached", "env:API_KEY", "header Authorization")
	s.keys("C-]")
	s.until("^] view")
	s.keys("Enter")
	s.over("1 call · 1 injected")
	s.restored()
}

// Another terminal sees the same, and can change nothing.
func TestWatchShowsHeaders(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://api.example.test/before
echo "the agent waits"
read line
`+headerAgent)
	write(t, filepath.Join(s.dir, "av.toml"), exampleService)
	runtime := filepath.Join(s.dir, "run")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	s.keys("export XDG_RUNTIME_DIR="+runtime+"; clear; agentvault run --config av.toml --ui off -- ./agent", "Enter")
	s.until("the agent waits")
	s.tmux("new-window", "-c", s.dir, "-e", "XDG_RUNTIME_DIR="+runtime, "sh")
	s.until("ready$")
	s.keys("agentvault watch", "Enter")
	s.until("/before", "q quit")
	s.tmux("send-keys", "-t", ":0", "Enter")
	s.until("/before", "/account", "● example")
	s.keys("Enter")
	s.until("enter shows all")
	s.keys("Enter")
	s.shows("whose rule GET /** allows it", "Authorization: Bearer ‹example›", "Cookie: sid=‹own›")
	s.keys("c")
	s.until("only looks on")
	s.keys("3")
	s.shows("● example", "cached", "env:API_KEY")
	s.keys("q")
	s.over() // before that, keys are still read by watch
	s.keys("exit", "Enter")
	s.until("the agent waits") // the first window is back
	s.keys("Enter")
	s.over("2 calls · 2 injected")
}

// An agent that ends under the inspector leaves it standing: it says so, and the end of the session
// comes when it is left.
func TestInspectorOutlivesTheAgent(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://shop.example.test/account
until [ -e end ]; do sleep 0.05; done
exit 3
`)
	s.keys("agentvault run -- ./agent; echo status $?", "Enter")
	s.until("◆ 1 call")
	s.keys("C-]", "v")
	s.until("q back", "live")
	write(t, filepath.Join(s.dir, "end"), "")
	s.until("the agent has ended; ^] or q goes back", "ended")
	s.keys("Enter")
	s.until("why      no service for this host", "q back")
	s.keys("q")
	s.over("1 call · ", "status 3")
	s.restored()
}

// Where nobody can leave the inspector any more, or agentvault is asked to end, it does not keep the
// session.
func TestInspectorEndsWithTheSession(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(s *askScreen, pid string)
	}{
		{"SIGTERM", func(s *askScreen, pid string) {
			if out, err := exec.Command("kill", "-TERM", pid).CombinedOutput(); err != nil {
				s.t.Fatalf("%v %s", err, out)
			}
			s.over("nothing went through the proxy")
			s.restored()
		}},
		{"the terminal is gone", func(s *askScreen, _ string) { s.tmux("kill-server") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newAskScreen(t, "echo $PPID >pid.new; mv pid.new pid\necho the child runs; sleep 600\n")
			s.keys("agentvault run -- ./agent", "Enter")
			s.until("the child runs", "◆ 0 calls")
			s.keys("C-]", "v")
			s.until("no calls yet", "q back")
			pid, err := os.ReadFile(filepath.Join(s.dir, "pid"))
			if err != nil {
				t.Fatal(err)
			}
			tt.end(s, strings.TrimSpace(string(pid)))
			poll(t, "agentvault is still there", func() string { return strings.TrimSpace(string(pid)) }, func(pid string) bool {
				_, _, there := process(pid)
				return !there
			})
		})
	}
}

// What the proxy could not look into has a page of its own, in words, and the page says what
// nobody watches.
func TestInspectorShowsWhatIsUnseen(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://tunnel.example.test/x
SSL_CERT_FILE=/dev/null $agent get https://refused.test/
$agent get https://dns.google/resolve
echo "the agent is done"
read line
`)
	write(t, filepath.Join(s.dir, "av.toml"), "tunnel = [\"tunnel.example.test\"]\n")
	s.keys("agentvault run --config av.toml -- ./agent", "Enter")
	s.until("the agent is done", "◆ 3 calls")
	s.keys("C-]", "v")
	s.until("q back", "dns.google")
	s.keys("4")
	s.poll("not all of it is there", func(now string) bool {
		return rowWith(now, "tunnel.example.test", "not intercepted", "≡ tunnelled") && rowWith(now, "refused.test", "certificate refused", "✕ failed") &&
			rowWith(now, "dns.google", "DNS over HTTPS", "⚠ uncovered") && strings.Contains(now, "Not here is what never asked it")
	})
	s.keys("q")
	s.until("^] view")
	s.keys("Enter")
	s.over("3 calls · ")
	s.restored()
}

// Over a child on the alternate screen: y copies what c would write, c writes it, and the child's
// screen is there again.
func TestCoverOverTheAlternateScreen(t *testing.T) {
	s := newAskScreen(t, `
printf '\033[?1049h\033[2J\033[3;5H\033[1;31mon the other screen\033[0m 漢字'
$agent post https://telemetry.example.test/v1/events >/dev/null
read line
$agent post https://telemetry.example.test/v1/events >/dev/null
read line
printf '\033[?1049l'
`)
	s.tmux("set", "-g", "set-clipboard", "on")
	s.keys("agentvault run -- ./agent", "Enter")
	s.until("    on the other screen 漢字", "⚠ 1 uncovered")
	coloured := func() string { return strings.Split(s.tmux("capture-pane", "-p", "-e"), "\n")[2] }
	before := coloured()
	s.keys("C-]", "v")
	s.until("coverage 0 %", "q back")
	s.keys("y")
	s.until("copied the TOML that covers it")
	poll(t, "the clipboard has no TOML", func() string {
		out, _ := exec.Command("tmux", "-S", s.socket, "show-buffer").CombinedOutput()
		return string(out)
	}, func(text string) bool { return strings.Contains(text, "[service.telemetry-example]") })
	s.keys("c")
	s.until("cover POST telemetry.example.test/v1/events?", "[service.telemetry-example]", "y write it")
	s.keys("y")
	s.until("service telemetry-example covers it from now on")
	s.keys("q")
	back := func(now string) bool {
		return strings.HasPrefix(strings.Split(now, "\n")[2], "    on the other screen 漢字") && strings.Contains(lastRow(now), "^] view") &&
			coloured() == before && strings.TrimSpace(s.tmux("display-message", "-p", "#{alternate_on}")) == "1"
	}
	s.poll("the child's screen is not there again", back)
	s.keys("Enter")
	s.poll("the second call is not covered", func(now string) bool { return strings.Contains(lastRow(now), "1 passed") && back(now) })
	s.keys("Enter")
	s.over("2 calls · 1 passed")
	s.restored()
}

// rowWith says whether one row has all of the texts.
func rowWith(screen string, texts ...string) bool {
	for _, row := range strings.Split(screen, "\n") {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(row, text) }) {
			return true
		}
	}
	return false
}
