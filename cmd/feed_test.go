package cmd

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentvault/proxy/event"
)

// newFed is a session with a feed, and the environment of who watches it.
func newFed(t *testing.T) (*live, Env) {
	t.Helper()
	b, _ := newRulebook(t, cabinet{})
	l := b.live
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lookup := l.env.LookupEnv
	l.env.LookupEnv = func(name string) (string, bool) {
		if name == "XDG_RUNTIME_DIR" {
			return dir, true
		}
		return lookup(name)
	}
	l.id, l.book, l.started = "20260101T000000-7f3a00", b, time.Now()
	var err error
	if l.log, err = event.OpenLog(t.TempDir(), l.id); err != nil {
		t.Fatal(err)
	}
	if l.feed, err = newFeed(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.feed.close(); l.bus.Close(); _ = l.log.Close() })
	return l, l.env
}

func TestFeedAnswers(t *testing.T) {
	l, env := newFed(t)
	w, err := openFeed(env, "7f3a")
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if w.Session != l.id || w.Log != l.log.Path() {
		t.Errorf("hello %+v", w.hello)
	}
	if h, ok := w.head(4711); ok {
		t.Errorf("headers of a call that never was: %+v", h)
	}
	s := w.standing()
	if len(s) != 1 || s[0].Name != "github" || s[0].Ref != "keychain:github" || s[0].State != event.Unread || strings.Join(s[0].Allow, ",") != "GET /**" || len(s[0].Hosts) == 0 {
		t.Errorf("services %+v", s)
	}
	if _, err := l.resolver.Get(t.Context(), l.compiled.Services[0].Secret); err != nil {
		t.Fatal(err)
	}
	if s := w.standing(); len(s) != 1 || s[0].State != event.Cached || s[0].Read.IsZero() {
		t.Errorf("after its first use: %+v", s)
	}
	// Events and answers come over the same wire.
	l.bus.Publish(event.Event{Call: 7, Phase: event.End, Host: "x.test", Verdict: event.Passed})
	select {
	case e := <-w.events:
		if e.Call != 7 || e.Host != "x.test" {
			t.Errorf("event %+v", e)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the event did not come")
	}
	l.feed.close()
	l.bus.Close()
	select {
	case _, ok := <-w.events:
		if ok {
			t.Error("an event out of nothing")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the end of the session is not told")
	}
	if s := w.standing(); s != nil {
		t.Errorf("an answer of a session that is over: %+v", s)
	}
}

// What is no question is not answered, whoever asks; the session goes on.
func TestFeedTakesNoOrders(t *testing.T) {
	l, env := newFed(t)
	for _, text := range []string{"head\n", "head -1\n", "head 1 2\n", "cover 1\n", "{}\n", "\n", strings.Repeat("x", 16<<10)} {
		c, err := net.Dial("unix", l.feed.path)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(c)
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = c.Write([]byte(text)) // a long one is not read to its end
		l.bus.Publish(event.Event{Call: 1, Phase: event.Start})
		line, err := r.ReadString('\n')
		if err != nil || strings.Contains(line, "head") || strings.Contains(line, "services") {
			t.Errorf("%.20q is answered with %q, %v", text, line, err)
		}
		_ = c.Close()
	}
	w, err := openFeed(env, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if s := w.standing(); len(s) != 1 {
		t.Errorf("services %+v", s)
	}
}

// The agent can connect as often as it likes.
func TestFeedIsBounded(t *testing.T) {
	l, _ := newFed(t)
	for i := range feedMost + 1 {
		c, err := net.Dial("unix", l.feed.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := bufio.NewReader(c).ReadString('\n'); (err == nil) != (i < feedMost) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

// A session whose usual folder has a path too long for sockets can be watched all the same.
func TestFeedDirIsShort(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no other folder there")
	}
	b, _ := newRulebook(t, cabinet{})
	for _, length := range []int{20, 60, 80, 100, 200} {
		dir := filepath.Join(t.TempDir(), strings.Repeat("d", length))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		env := b.live.env
		env.LookupEnv = func(string) (string, bool) { return dir, true }
		got := feedDir(env)
		if longest := filepath.Join(got, "7f3a00"+refreshSuffix); len(longest) > socketPathMost {
			t.Errorf("%q is too long", longest)
		}
		if usual := filepath.Dir(got) == dir; usual != (len(dir)+len("/avwatch-/7f3a00"+refreshSuffix)+len(strconv.Itoa(os.Getuid())) <= socketPathMost) {
			t.Errorf("%s: the sockets are in %s", dir, got)
		}
	}
}

// What kill -9 leaves of a session is no session; the sockets of those that live stay, and of
// those that are about to.
func TestDeadFeedsAreRemoved(t *testing.T) {
	l, env := newFed(t)
	dead := strings.TrimSuffix(l.feed.path, "7f3a00"+feedSuffix) + "dead00"
	old := time.Now().Add(-time.Minute)
	for _, path := range []string{dead + feedSuffix, dead + refreshSuffix, strings.TrimSuffix(dead, "dead00") + "youn00" + feedSuffix} {
		s, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		s.SetUnlinkOnClose(false)
		_ = s.Close()
		if strings.HasPrefix(path, dead) {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if living := livingFeeds(env); len(living) != 1 || living[0] != l.feed.path {
		t.Errorf("living: %q", living)
	}
	left, err := os.ReadDir(feedDir(env))
	if err != nil || len(left) != 3 {
		t.Errorf("left: %v, %v", left, err)
	}
}
