package cmd

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentvault/proxy/ca"
)

const (
	botKey   = "s3cret-sentinel-of-the-bot"
	humanKey = "s3cret-sentinel-of-the-human"
)

// accounts is an API that says whose key it was sent, behind a proxy to which every
// name leads.
func accounts(t *testing.T) (door string, roots []byte) {
	t.Helper()
	authority, err := ca.New("accounts", nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	logins := map[string]string{"Bearer " + botKey: "octocat-bot", "Bearer " + humanKey: "octocat"}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				connect, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				s := tls.Server(c, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return authority.Leaf(connect.URL.Hostname()) }})
				r, err := http.ReadRequest(bufio.NewReader(s))
				if err != nil {
					return
				}
				body := fmt.Sprintf(`{"login":%q,"seen":%q}`, logins[r.Header.Get("Authorization")], r.Header.Get("Authorization"))
				_, _ = fmt.Fprintf(s, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
				_ = s.Close()
			}()
		}
	}()
	return l.Addr().String(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw})
}

// runMain is one command line in a world of its own.
func runMain(t *testing.T, vars map[string]string, dir string, args ...string) (code int, out string) {
	t.Helper()
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	f, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	env := Env{Stdin: stdin, Stdout: f, Stderr: f, Dir: dir, LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
	for name, value := range vars {
		env.Environ = append(env.Environ, name+"="+value)
	}
	code = Main(append([]string{"agentvault"}, args...), env)
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code, string(text)
}

// A mapping that was swapped sends a valid credential of the wrong account: 200 says
// nothing, the account does.
func TestSwappedMappingFails(t *testing.T) {
	door, roots := accounts(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	vars := map[string]string{"HOME": dir, "HTTPS_PROXY": "http://" + door, "SSL_CERT_FILE": write("roots.pem", string(roots)),
		"BOT_KEY": botKey, "HUMAN_KEY": humanKey}
	const text = `
[service.bot]
host   = "bot.example.test"
auth   = "bearer"
secret = "env:%s"
test   = [{ request = "GET /user", status = 200, json = { login = "octocat-bot" } }]

[service.human]
host   = "human.example.test"
auth   = "bearer"
secret = "env:%s"
test   = [{ request = "GET /user", status = 200, json = { login = "octocat" } }]
`
	good := write("good.toml", fmt.Sprintf(text, "BOT_KEY", "HUMAN_KEY"))
	swapped := write("swapped.toml", fmt.Sprintf(text, "HUMAN_KEY", "BOT_KEY"))

	code, out := runMain(t, vars, dir, "test", "--config", good)
	if code != 0 || !strings.Contains(out, "8 passed, 0 failed, 2 skipped") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	code, out = runMain(t, vars, dir, "test", "--config", swapped)
	if code != 1 || !strings.Contains(out, `login is "octocat", want "octocat-bot"`) || !strings.Contains(out, `login is "octocat-bot", want "octocat"`) {
		t.Errorf("exit status %d\n%s", code, out)
	}
	if code, out = runMain(t, vars, dir, "test", "--config", swapped, "bot"); code != 1 || strings.Contains(out, "human: env:") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	if strings.Contains(out, "s3cret") {
		t.Errorf("a secret was printed:\n%s", out)
	}
}
