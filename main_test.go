//go:build unix

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"agentvault/cmd"
	"agentvault/keyring"
	"agentvault/keyring/file"
	"agentvault/proxy/ca"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"agentvault": func() { os.Exit(cmd.Main(os.Args, cmd.System())) },
		"fakeagent":  func() { os.Exit(fakeAgent(os.Args[1:])) },
		// agentvault with a clock that breaks its view: see terminal_panic_test.go.
		"agentvault-breaks": func() { os.Exit(cmd.Main(os.Args, breakable())) },
	})
}

// Each script shows a promise of the README, with the negative case beside it. A script
// has a home of its own, no keychain, and a network in which every name leads to one
// fake upstream with TLS, through a proxy that the parent's environment names.
func TestScripts(t *testing.T) {
	deadline, _ := t.Deadline()
	testscript.RunT(&scriptT{T: t}, testscript.Params{
		Deadline:            deadline,
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Condition: func(name string) (bool, error) {
			if name == "secret-service" { // set by .ci/secret-service
				return os.Getenv("AGENTVAULT_TEST_SECRET_SERVICE") != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":        exits,
			"upstream-saw": upstreamSaw,
			"nowhere":      nowhere,
			"finds":        finds,
			"ends":         ends,
			"waits":        waits,
			"rotate":       rotate,
			"unbound":      unbound,
			"may-hold":     mayHold,
			"parent":       parent,
			"upstream-forgets": func(ts *testscript.TestScript, _ bool, _ []string) {
				w := ts.Value(worldKey{}).(*world)
				w.mu.Lock()
				defer w.mu.Unlock()
				w.seen.Reset()
			},
		},
	})
}

type worldKey struct{}

func setup(e *testscript.Env) error {
	w, err := newWorld(e.WorkDir)
	if err != nil {
		return err
	}
	e.Defer(w.close)
	came := filesIn(e.WorkDir)
	e.Defer(func() {
		t := e.T().(*scriptT)
		t.found = append(seenByAgents(e.WorkDir, w.may), search(e.WorkDir, came, w.may)...)
	})
	e.Values[worldKey{}] = w
	example, err := filepath.Abs("agentvault.toml.example")
	if err != nil {
		return err
	}
	home := filepath.Join(e.WorkDir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	runtime := filepath.Join(e.WorkDir, "run")
	if err := os.Mkdir(runtime, 0o700); err != nil {
		return err
	}
	e.Vars = append(e.Vars,
		"HOME="+home, "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "XDG_DATA_HOME=", "XDG_RUNTIME_DIR="+runtime,
		"DBUS_SESSION_BUS_ADDRESS=unix:path="+filepath.Join(runtime, "no-bus"),
		"HTTPS_PROXY=http://"+w.door.Addr().String(), "SSL_CERT_FILE="+w.roots, "NO_COLOR=1",
		"AV_WORK="+e.WorkDir,
		"REAL_BUS="+os.Getenv("DBUS_SESSION_BUS_ADDRESS"), "EXAMPLE="+example,
	)
	return nil
}

// world is the network of one script.
type world struct {
	door  net.Listener
	api   net.Listener
	roots string

	other     http.Handler // instead of all that follows; may be nil
	authority *ca.Authority

	mu    sync.Mutex
	seen  strings.Builder
	value string   // of Infisical's API_KEY; "" is the first one, "-" a server that is down
	may   []string // files that may hold a secret
	takes string   // what /private takes; "" is what Infisical has
}

func newWorld(dir string) (*world, error) {
	authority, err := ca.New("script", nil)
	if err != nil {
		return nil, err
	}
	w := &world{roots: filepath.Join(dir, "upstream-ca.pem"), authority: authority}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw})
	if err := os.WriteFile(w.roots, block, 0o600); err != nil {
		return nil, err
	}
	if w.api, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if w.door, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	config := &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return authority.Leaf(h.ServerName) }}
	go func() { _ = http.Serve(tls.NewListener(w.api, config), w) }()
	go w.lead()
	return w, nil
}

// saw is all that has come so far.
func (w *world) saw() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.String()
}

func (w *world) close() {
	_ = w.door.Close()
	_ = w.api.Close()
}

// lead is the parent's proxy: every name ends at the upstream.
func (w *world) lead() {
	for {
		c, err := w.door.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			w.carry(c, r, "HTTP/1.1 200 OK\r\n\r\n")
		}()
	}
}

// ServeHTTP records what came. /status/N answers N, /echo repeats the Authorization,
// /slow answers after a minute.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if w.other != nil {
		w.other.ServeHTTP(rw, r)
		return
	}
	w.mu.Lock()
	value, takes := cmp.Or(w.value, firstValue), w.takes
	w.mu.Unlock()
	if r.Host == "infisical.example.test" {
		w.mu.Lock()
		fmt.Fprintf(&w.seen, "%s %s%s\n", r.Method, r.Host, r.URL.Path)
		w.mu.Unlock()
		infisical(rw, r, value)
		return
	}
	w.mu.Lock()
	fmt.Fprintf(&w.seen, "%s %s%s\n", r.Method, r.Host, r.RequestURI)
	for name, values := range r.Header {
		fmt.Fprintf(&w.seen, "%s: %s\n", name, strings.Join(values, ", "))
	}
	w.mu.Unlock()
	if n, ok := strings.CutPrefix(cmp.Or(r.Header.Get("Want-Status"), r.URL.Path), "/status/"); ok {
		code, _ := strconv.Atoi(n)
		rw.WriteHeader(code)
		return
	}
	switch r.URL.Path {
	case "/private":
		if r.Header.Get("Authorization") != "Bearer "+cmp.Or(takes, value) {
			rw.WriteHeader(http.StatusUnauthorized)
		}
	case "/api/auth.test": // Slack has one status for all that it says
		rw.Header().Set("Content-Type", "application/json; charset=utf-8")
		if r.Header.Get("Authorization") != "Bearer "+cmp.Or(takes, value) {
			fmt.Fprint(rw, `{"ok":false,"error":"invalid_auth"}`)
			return
		}
		fmt.Fprint(rw, `{"ok":true}`)
	case "/rotate": // and the old value is refused from now on
		w.mu.Lock()
		w.value = "s3cret-sentinel-" + r.URL.Query().Get("to")
		w.mu.Unlock()
	case "/echo":
		fmt.Fprintln(rw, r.Header.Get("Authorization"))
	case "/whoami": // an account has the first part of its key for a name
		name, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "-")
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(rw, `{"login":%q,"plan":{"seats":3}}`, name)
	case "/slow":
		rw.WriteHeader(200)
		rw.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
	default:
		fmt.Fprintln(rw, "hello from", r.Host)
	}
}

const firstValue = "s3cret-sentinel-0123456789"

// rotate VALUE [TAKES]: Infisical's API_KEY has another value, and /private takes that one, or
// TAKES. VALUE "-" stands for a server that does not answer.
func rotate(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value(worldKey{}).(*world)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.value = args[0]; len(args) > 1 {
		w.takes = args[1]
	}
}

// unbound NAME: a secret in the encrypted file, under the passphrase of the scripts, that has
// no binding.
func unbound(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(storeUnbound(ts.MkAbs("home"), args[0]))
}

// passphrase opens the encrypted file of every home here.
const passphrase = "correct horse battery staple"

func storeUnbound(home, name string) error {
	s := file.New(file.Config{Dir: filepath.Join(home, ".local/share/agentvault/secrets"),
		Passphrase: func(context.Context, bool) ([]byte, error) { return []byte(passphrase), nil }})
	ctx := context.Background()
	return errors.Join(s.Unlock(ctx), s.Set(ctx, name, keyring.Item{Value: keyring.NewSecret([]byte(firstValue))}))
}

// infisical speaks as much of Infisical's protocol as one folder needs.
func infisical(rw http.ResponseWriter, r *http.Request, value string) {
	var in struct{ ClientID, ClientSecret string }
	rw.Header().Set("Content-Type", "application/json")
	q := r.URL.Query()
	switch {
	case value == "-":
		rw.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/api/v1/auth/universal-auth/login":
		_ = json.NewDecoder(r.Body).Decode(&in)
		if in.ClientID != "id-1" || in.ClientSecret != "s3cret-machine" {
			rw.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(rw, `{"statusCode":401,"message":"Invalid credentials","error":"Unauthorized"}`)
			return
		}
		_, _ = io.WriteString(rw, `{"accessToken":"s3cret-access","expiresIn":3600,"accessTokenMaxTTL":3600,"tokenType":"Bearer"}`)
	case r.Header.Get("Authorization") != "Bearer s3cret-access":
		rw.WriteHeader(http.StatusForbidden)
	case strings.HasPrefix(r.URL.Path, "/api/v1/dynamic-secrets/leases"):
		fmt.Fprintf(rw, `{"lease":{"id":"lease-1","version":1,"externalEntityId":"e","expireAt":%q},"dynamicSecret":{"id":"d","name":"orders-db"},"data":{"DB_PASSWORD":%q}}`,
			time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano), value)
	case r.URL.Path == "/api/v3/secrets/raw" && q.Get("workspaceId") == "p-1" && q.Get("environment") == "dev" && q.Get("secretPath") == "/agents":
		fmt.Fprintf(rw, `{"secrets":[{"secretKey":"API_KEY","secretValue":%q,"secretPath":"/agents"}],"imports":[]}`, value)
	default:
		rw.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(rw, `{"statusCode":404,"message":"Folder not found","error":"NotFound"}`)
	}
}

// exits N COMMAND...: the command ends with status N.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		if got = exit.ExitCode(); got == -1 {
			got = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
		}
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// upstream-saw PATTERN: a line of a request to the upstream matches.
func upstreamSaw(ts *testscript.TestScript, neg bool, args []string) {
	saw := ts.Value(worldKey{}).(*world).saw()
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	if re.MatchString(saw) == neg {
		ts.Fatalf("the upstream saw:\n%s", saw)
	}
}

// nowhere TEXT: no file below the home, and nothing that the last command printed, holds it.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	for _, f := range []string{"stdout", "stderr"} {
		if strings.Contains(ts.ReadFile(f), args[0]) {
			ts.Fatalf("%s holds %q", f, args[0])
		}
	}
	ts.Check(filepath.WalkDir(ts.MkAbs("home"), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte(args[0])) {
			return fmt.Errorf("%s holds %q", path, args[0])
		}
		return err
	}))
}

// finds GLOB PATTERN: some file of the glob, below the work folder, has a matching line. It is
// waited for: a running session may write a call's end when its client has the answer already.
func finds(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	found := func() bool {
		files, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		return slices.ContainsFunc(files, func(f string) bool {
			b, err := os.ReadFile(f)
			ts.Check(err)
			return re.Match(b)
		})
	}
	if neg && found() {
		ts.Fatalf("%s: a line matches %s", args[0], args[1])
	}
	if !neg && !eventually(found) {
		ts.Fatalf("%s: no line matches %s", args[0], args[1])
	}
}

// eventually waits until ok holds, far longer than it takes on however busy a machine.
func eventually(ok func() bool) bool {
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// waits GLOB: waits until a file is there.
func waits(ts *testscript.TestScript, neg bool, args []string) {
	there := func() bool {
		files, _ := filepath.Glob(ts.MkAbs(args[0]))
		return len(files) > 0
	}
	if !eventually(func() bool { return there() != neg }) {
		ts.Fatalf("waited in vain for %s", args[0])
	}
}

// ends SIGNAL PIDFILE: sends a signal to the process whose id the file holds and waits
// until it is gone, or waits for a parent that may never ask: init does not in every container.
func ends(ts *testscript.TestScript, neg bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	n := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL, "none": 0}[args[0]]
	if n != 0 {
		ts.Check(syscall.Kill(pid, n))
	}
	if !eventually(func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || zombie(pid) }) {
		ts.Fatalf("process %d is still there", pid)
	}
}

// fakeAgent is the child of the scripts.
func fakeAgent(args []string) int {
	lookAround()
	client := &http.Client{Timeout: 2 * time.Minute} // longer than any question waits
	switch args[0] {
	case "get", "post", "delete": // get URL [BODY TEXT] [NAME VALUE]...; @NAME in a value is from the environment
		return fakeCall(client, strings.ToUpper(args[0]), args[1], args[2:])
	case "each": // each URL...: gets one after the other
		for _, url := range args[1:] {
			if code := fakeCall(client, "GET", url, nil); code != 0 {
				return code
			}
		}
	case "step": // step URL...: each when the file of its number is there
		for i, url := range args[1:] {
			for name := strconv.Itoa(i + 1); ; time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat(name); err == nil {
					break
				}
			}
			if code := fakeCall(client, "GET", url, nil); code != 0 {
				return code
			}
			_ = os.WriteFile(fmt.Sprintf("done%d", i+1), nil, 0o600)
		}
	case "many": // many N URL: gets it N times
		n, _ := strconv.Atoi(args[1])
		for range n {
			if code := fakeCall(client, "GET", args[2], nil); code != 0 {
				return code
			}
		}
	case "env":
		for _, name := range args[1:] {
			v, ok := os.LookupEnv(name)
			fmt.Printf("%s=%s set=%t\n", name, v, ok)
		}
	case "exit":
		n, _ := strconv.Atoi(args[1])
		return n
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute)
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "hang": // hang PIDFILE URL: reads an answer that does not end, and writes its pid once it has begun
		resp, err := client.Get(args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		// The file appears whole: whoever waits for it reads it at once.
		if os.WriteFile(args[1]+".new", []byte(strconv.Itoa(os.Getpid())), 0o600) != nil || os.Rename(args[1]+".new", args[1]) != nil {
			return 1
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		time.Sleep(time.Minute)
	}
	return 0
}

func fakeCall(client *http.Client, method, url string, header []string) int {
	var body io.Reader
	if len(header) > 1 && header[0] == "BODY" {
		body, header = strings.NewReader(header[1]), header[2:]
	}
	r, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], os.ExpandEnv(strings.ReplaceAll(header[i+1], "@", "$")))
	}
	resp, err := client.Do(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode)
	_, _ = io.Copy(os.Stdout, resp.Body)
	return 0
}
