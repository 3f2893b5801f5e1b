//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// askScreen is a terminal whose network is a world of its own, and a folder with a script
// that runs the stand-in agent.
type askScreen struct {
	*screen
	world *world
	dir   string
	about string // what was asked last
}

func newAskScreen(t *testing.T, script string) *askScreen {
	t.Helper()
	dir := t.TempDir()
	w, err := newWorld(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	s := &askScreen{newScreen(t, "HTTPS_PROXY=http://"+w.door.Addr().String(), "SSL_CERT_FILE="+w.roots, "NO_COLOR=1",
		"API_KEY="+secretValue, "DBUS_SESSION_BUS_ADDRESS=unix:path="+filepath.Join(dir, "no-bus")), w, dir, ""}
	write(t, filepath.Join(dir, "agent"), "#!/bin/sh\nagent="+testBinary(t, "fakeagent")+"\n"+script)
	if err := os.Chmod(filepath.Join(dir, "agent"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.keys("cd "+dir+"; clear", "Enter")
	return s
}

func (s *askScreen) saw(text string) bool { return strings.Contains(s.world.saw(), text) }

// asks waits for a question about what, on a row of ours: one of the last three.
func (s *askScreen) asks(what string) {
	s.t.Helper()
	s.about = what
	s.poll("nothing asks about "+what, func(now string) bool { return asked(now, what) })
}

func asked(now, what string) bool {
	rows := strings.Split(strings.TrimRight(now, "\n"), "\n")
	for _, row := range rows[max(0, len(rows)-3):] {
		if strings.HasPrefix(row, "  ? allow") && strings.Contains(row, what) {
			return true
		}
	}
	return false
}

// answer presses the hotkey and a key once the question counts as seen, as people do: again
// when nothing comes of it. On a machine that is busy enough both keys arrive at once, and count
// as pasted. It is not soon pressed again: an answer that was taken must be seen before, or the
// next question would get the second one.
func (s *askScreen) answer(key string) {
	s.t.Helper()
	time.Sleep(time.Second) // at least: twice the time that a question has to be looked at
	again := time.Now()
	s.poll("the question about "+s.about+" stays", func(now string) bool {
		for _, row := range strings.Split(now, "\n") {
			if strings.Contains(row, "? allow") && strings.Contains(row, s.about) {
				if time.Now().After(again) {
					s.keys("C-]")
					time.Sleep(500 * time.Millisecond)
					s.keys(key)
					again = time.Now().Add(10 * time.Second)
				}
				return false
			}
		}
		return true
	})
}

// Nothing leaves before the answer. Once is for those that wait; no is an answer that says
// so; the session's answer is for every later call of the endpoint.
func TestAskAnswers(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://api.example.test/users/1
$agent get https://api.example.test/users/2
$agent get https://api.example.test/users/3; $agent get https://api.example.test/users/4
echo "the agent is done"
read line
`)
	s.keys("agentvault run --unmatched ask -- ./agent", "Enter")
	s.asks("GET api.example.test/users/1")
	s.until("^] [o]nce [s]ession al[w]ays [d]eny", "? 1 held")
	s.until("agentvault: questions: inside tmux the agent can press the answer itself; deny holds")
	if s.saw("/users/1") {
		t.Error("the call went out before the answer")
	}
	s.answer("o")
	s.asks("GET api.example.test/users/2")
	s.until("200", "hello from api.example.test")
	s.answer("d")
	s.until("403", "held_and_refused", "the human refused this call")
	s.asks("GET api.example.test/users/3")
	s.answer("s")
	s.until("GET api.example.test/users/* is allowed for this session") // which goes after a while
	s.until("the agent is done")
	if !s.saw("/users/1") || s.saw("/users/2") || !s.saw("/users/3") || !s.saw("/users/4") {
		t.Errorf("the upstream saw\n%s", s.world.saw())
	}
	s.keys("Enter")
	s.over("4 calls")
	s.restored()
	// The log knows what was asked, and what the answer was.
	s.keys("clear; agentvault log asked:yes --csv | cut -d, -f8; agentvault log asked:no --by verdict; echo sum $((40+2))", "Enter")
	now := s.until("/users/1", "/users/3", "denied", "sum 42")
	if strings.Contains(now, "/users/2") {
		t.Errorf("a no is listed as a yes:\n%s", now)
	}
}

// A call that a rule asks for gets its credential, once the human has said so.
func TestAskRule(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://api.example.test/plain
$agent post https://api.example.test/refunds
read line
`)
	write(t, filepath.Join(s.dir, "av.toml"), "[service.example]\nhost = \"api.example.test\"\nauth = \"bearer\"\nsecret = \"env:API_KEY\"\nask = [\"POST /refunds\"]\n")
	s.keys("agentvault run --config av.toml -- ./agent", "Enter")
	s.until("200")
	s.asks("POST api.example.test/refunds")
	s.until("rule example asks for POST /refunds")
	if s.saw("POST") {
		t.Error("the call went out before the answer")
	}
	s.answer("w")
	s.until(`service example does not ask for POST /refunds any more`)
	poll(t, "the call did not go out with its credential", s.world.saw, func(saw string) bool {
		return strings.Contains(saw, "POST api.example.test/refunds\n") && strings.Count(saw, "Authorization: Bearer "+secretValue) == 2
	})
	s.keys("Enter")
	s.over("2 calls · 2 injected")
}

// Whatever the child prints and whatever is typed into it, the question stays where it is
// and nobody but the hotkey answers it.
func TestAskCannotBeForged(t *testing.T) {
	s := newAskScreen(t, `
stty -echo
$agent get https://evil.example.test/ &
until [ -e asked ]; do sleep 0.05; done
printf '\033[2J\033[24;1H  ? allow  GET good.example.test/\033[23;1H  ^] [o]nce [s]ession al[w]ays [d]eny'
printf '\033[r\033[22;24r\033[?6h\033[H\033[J\033[?6l\033[r\033[999B\033[2K\033[A\033[2K\033[A\033[2K'
printf '\033[?1049h\033[H\033[2J\033[999;1HFAKE\033[?1049l\033c\033[!p'
printf '\033]0;\035o\007\033[21t\033[6n\033[c'
printf '\0337\033[999;1H\033[M\033[L\0338\033[S\033[T'
printf '\n\n  ? allow  GET good.example.test/   23 s\n'
read line
echo "child got <$line>"
read line
wait
`)
	s.keys("agentvault run --unmatched ask -- ./agent", "Enter")
	s.asks("GET evil.example.test/")
	write(t, filepath.Join(s.dir, "asked"), "")
	s.until("GET good.example.test/") // its text is text
	s.keys("o", "s", "w", "d", "Enter")
	s.until("child got <oswd>") // plain keys are the child's
	s.asks("GET evil.example.test/")
	s.tmux("set-buffer", "\x1do\x1ds")
	s.tmux("paste-buffer")
	time.Sleep(time.Second)
	s.asks("GET evil.example.test/")
	if s.saw("evil") {
		t.Fatal("the call went out")
	}
	s.answer("d")
	s.until("the human refused this call")
	s.keys("Enter")
	s.over("1 call · ")
	if s.saw("evil") {
		t.Error("the call went out")
	}
	s.restored()
}

// The client that goes away takes its question along, and so does the child.
func TestAskEndsWithTheChild(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://one.example.test/ & pid=$!
read line
kill -9 $pid
$agent get https://two.example.test/
`)
	s.keys("agentvault run --unmatched ask -- ./agent", "Enter")
	s.asks("GET one.example.test/")
	s.keys("Enter")
	s.asks("GET two.example.test/")
	s.poll("the first question stays", func(now string) bool { return !strings.Contains(now, "1 of 2") })
	s.keys("C-c")
	s.over("2 calls")
	s.restored()
	if s.saw("example.test") {
		t.Errorf("the upstream saw\n%s", s.world.saw())
	}
}

// Always writes the rule, the held call goes out under it, and the next session has it.
func TestAskAlways(t *testing.T) {
	s := newAskScreen(t, `
$agent post https://telemetry.example.test/v1/events
$agent post https://telemetry.example.test/v1/events
echo "the agent is done"
read line
`)
	s.keys("agentvault run --unmatched ask -- ./agent", "Enter")
	s.asks("POST telemetry.example.test/v1/events")
	s.answer("w")
	s.until("service telemetry-example covers it from now on") // which goes after a while
	s.until("the agent is done")
	s.keys("Enter")
	end := s.over("2 calls · 2 passed", "coverage 100 %")
	if strings.Contains(end, "without a service") {
		t.Errorf("the held call is uncovered:\n%s", end)
	}
	file, err := os.ReadFile(filepath.Join(s.dir, "agentvault.toml"))
	if err != nil || !strings.Contains(string(file), `allow  = ["POST /v1/events"]`) {
		t.Fatalf("%v\n%s", err, file)
	}
	// The first session is still on the screen until this sum is.
	s.keys("clear; echo round $((40+2)); agentvault run --unmatched ask -- ./agent", "Enter")
	s.until("round 42", "the agent is done")
	s.keys("Enter")
	s.over("round 42", "2 calls · 2 passed")
}

// c in the inspector shows the TOML, writes it on y, and the running session uses it.
func TestAskCoverFromTheInspector(t *testing.T) {
	s := newAskScreen(t, `
$agent post https://telemetry.example.test/v1/events
read line
$agent post https://telemetry.example.test/v1/events
$agent get https://key.example.test/ Authorization 'Bearer its-own-key-0123456789'
read line
`)
	s.keys("agentvault run -- ./agent", "Enter")
	s.until("⚠ 1 uncovered")
	s.keys("C-]", "v")
	s.until("coverage 0 %", "q back")
	s.keys("c")
	s.until("cover POST telemetry.example.test/v1/events?", "[service.telemetry-example]", "y write it")
	s.keys("n")
	s.poll("n does not leave it", func(now string) bool { return !strings.Contains(now, "y write it") })
	if _, err := os.Stat(filepath.Join(s.dir, "agentvault.toml")); err == nil {
		t.Fatal("n has written it")
	}
	s.keys("c")
	s.until("y write it")
	s.keys("y")
	s.until("service telemetry-example covers it from now on")
	s.keys("q")
	s.until("^] view", "200")
	s.keys("Enter")
	s.until("3 calls", "1 passed")
	// What needs a secret first says so, and stays open.
	s.keys("C-]", "v")
	s.until("coverage", "key.example.test")
	s.keys("c")
	s.until("y write it")
	s.keys("y")
	s.until("agentvault secret set key-example --host key.example.test", "y try again")
	s.keys("n", "q")
	s.until("^] view")
	s.keys("Enter")
	s.over("3 calls · ")
	s.restored()
}

// The inspector shows the question too, and takes the same two keys for it.
func TestAskInTheInspector(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://one.example.test/
$agent get https://two.example.test/
read line
`)
	s.keys("agentvault run --unmatched ask --ui dock -- ./agent", "Enter")
	s.asks("GET one.example.test/")
	s.until("VERDICT", "? held")
	s.keys("C-]")
	time.Sleep(200 * time.Millisecond)
	s.keys("v")
	s.until("q back", "? allow", "al[w]ays")
	s.keys("o", "d") // not an answer here either
	s.answer("o")
	s.about = "GET two.example.test/"
	s.poll("the next call does not ask", func(now string) bool {
		return strings.Contains(now, "q back") && strings.Contains(now, "? allow  GET two.example.test/")
	})
	s.keys("q")
	s.asks("GET two.example.test/")
	s.answer("d")
	s.until("held_and_refused")
	if !s.saw("one.example.test") || s.saw("two.example.test") {
		t.Errorf("the upstream saw\n%s", s.world.saw())
	}
	s.keys("Enter")
	s.over("2 calls · ")
	s.restored()
}

// Views that have no safe key do not begin to ask.
func TestAskNeedsABar(t *testing.T) {
	s := newAskScreen(t, "true\n")
	for _, ui := range []string{"panel", "off"} {
		s.keys("clear; agentvault run --unmatched ask --ui "+ui+" -- ./agent; echo status $?", "Enter")
		s.until(fmt.Sprintf(`unmatched = "ask": --ui %s cannot ask`, ui), "status 2")
	}
}

// Calls of one endpoint are one question, and one answer lets all of them go.
func TestAskJoinsCalls(t *testing.T) {
	s := newAskScreen(t, `
for i in 1 2 3; do $agent get https://api.example.test/users/$i & done
wait
echo "the agent is done"
read line
`)
	s.keys("agentvault run --unmatched ask -- ./agent", "Enter")
	s.about = "GET api.example.test/users"
	s.poll("no question about the three", func(now string) bool { return rowWith(now, "? allow", s.about, "×3") })
	if s.saw("/users") {
		t.Error("a call went out before the answer")
	}
	s.answer("o")
	s.until("the agent is done")
	for _, path := range []string{"/users/1", "/users/2", "/users/3"} {
		if !s.saw(path) {
			t.Errorf("%s did not go out", path)
		}
	}
	s.keys("Enter")
	s.over("3 calls · ")
	s.restored()
}

// Where the terminal is too low for the question nothing is answered; where it is high enough
// again the question is there as before.
func TestAskOnALowTerminal(t *testing.T) {
	s := newAskScreen(t, `
$agent get https://api.example.test/users/1
read line
`)
	s.tmux("set", "-g", "window-size", "manual")
	s.keys("agentvault run --unmatched ask -- ./agent", "Enter")
	s.asks("GET api.example.test/users/1")
	s.tmux("resize-window", "-x", "100", "-y", "5")
	s.poll("our rows are still there", func(now string) bool {
		return strings.Count(now, "\n") == 5 && !strings.Contains(now, "? allow") && !strings.Contains(now, "◆")
	})
	s.keys("C-]")
	time.Sleep(time.Second)
	s.keys("o")
	time.Sleep(time.Second)
	if s.saw("example.test") {
		t.Fatal("an answer was taken that nobody could have read the question of")
	}
	s.tmux("resize-window", "-x", "100", "-y", "24")
	s.asks("GET api.example.test/users/1")
	s.answer("d")
	s.until("held_and_refused")
	s.keys("Enter")
	s.over("1 call · ")
	if s.saw("example.test") {
		t.Errorf("the upstream saw\n%s", s.world.saw())
	}
}
