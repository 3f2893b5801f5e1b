//go:build unix

package main

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"agentvault/proxy/ca"
)

const secretValue = "s3cret-sentinel-0123456789"

// upstream is a server with TLS and an authority of its own that says hello and serves a
// git repository, both to its credential alone.
type upstream struct {
	port  string
	roots string
	good  atomic.Int64
}

func (u *upstream) authorised() bool { return u.good.Load() > 0 }

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	authority, err := ca.New("upstream", nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	u := &upstream{roots: filepath.Join(dir, "ca.pem")}
	write(t, u.roots, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw})))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, u.port, _ = net.SplitHostPort(l.Addr().String())
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") })
	if git, err := exec.LookPath("git"); err == nil {
		mux.Handle("/repo.git/", gitServer(t, git, dir))
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "u" || password != secretValue {
			http.Error(w, "no valid credential", http.StatusForbidden)
			return
		}
		u.good.Add(1)
		mux.ServeHTTP(w, r)
	})}
	go func() {
		_ = server.Serve(tls.NewListener(l, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return authority.Leaf(h.ServerName)
		}}))
	}()
	t.Cleanup(func() { _ = server.Close() })
	return u
}

// gitServer serves a repository with one commit, for reading and writing.
func gitServer(t *testing.T, git, dir string) http.Handler {
	t.Helper()
	script := `set -e
git init -q -b main work && cd work
echo "from the repository" >file && git add file
git -c user.name=n -c user.email=e@example.test commit -qm first
cd .. && git clone -q --bare work repo.git && git -C repo.git config http.receivepack true`
	c := exec.Command("sh", "-c", script)
	c.Dir, c.Env = dir, baseEnv(dir)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return &cgi.Handler{Path: git, Args: []string{"http-backend"}, Dir: dir, Env: []string{
		"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + dir, "REMOTE_USER=u", "PATH=" + os.Getenv("PATH")}}
}

// hostsFile runs commands that find up.example.test on this machine. The machine's own
// file stays as it is: the command gets a mount namespace with another.
type hostsFile struct{ path string }

func newHostsFile(t *testing.T) hostsFile {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("names for the tests need a mount namespace, which Linux alone has")
	}
	h := hostsFile{filepath.Join(t.TempDir(), "hosts")}
	write(t, h.path, "127.0.0.1 localhost up.example.test\n::1 localhost\n")
	if out, err := h.command("true").CombinedOutput(); err != nil {
		t.Skipf("no mount namespace here: %v %s", err, out)
	}
	return h
}

func (h hostsFile) command(name string, args ...string) *exec.Cmd {
	flags := "-m"
	if os.Getuid() != 0 {
		flags = "-rm"
	}
	full := append([]string{flags, "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, h.path, name}, args...)
	return exec.Command("unshare", full...)
}

// testBinary is this test's own binary under the name of one of its commands, as
// testscript sets it up for scripts. It is no symbolic link: agentvault asks the system
// for its own path to start itself, and would find the tests.
func testBinary(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if os.Link(self, path) == nil {
		return path
	}
	b, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(path, b, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
