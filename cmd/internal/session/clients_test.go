//go:build unix

package session

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// echo answers with what it was asked, so that a client's output shows the way it took.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "answered %s %s%s %s", r.Method, r.Host, r.URL.Path, body)
})

// dirty is an environment that leads every client astray, as a company's machine has it.
func dirty(t *testing.T) []string {
	home := t.TempDir()
	writeFile(t, filepath.Join(home, ".wgetrc"), "https_proxy = http://127.0.0.1:9/\nca_certificate = /nowhere\n")
	writeFile(t, filepath.Join(home, ".gitconfig"), "[http]\n\tproxy = http://127.0.0.1:9\n\tsslCAInfo = /nowhere\n")
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_TERMINAL_PROMPT=0",
		"https_proxy=http://127.0.0.1:9", "http_proxy=http://127.0.0.1:9", "Https_Proxy=http://127.0.0.1:9",
		"ALL_PROXY=socks5://127.0.0.1:9", "NO_PROXY=*", "no_proxy=.example.org",
		"SSL_CERT_FILE=/nowhere", "SSL_CERT_DIR=/nowhere", "AWS_CA_BUNDLE=/nowhere",
		"REQUESTS_CA_BUNDLE=/nowhere", "CURL_CA_BUNDLE=/nowhere", "GIT_SSL_CAINFO=/nowhere", "GIT_SSL_CAPATH=/nowhere",
		"NODE_OPTIONS=--max-old-space-size=512", "NODE_EXTRA_CA_CERTS=/nowhere",
		"JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9 -Dkept=yes -Djavax.net.ssl.trustStore=/nowhere",
		"_JAVA_OPTIONS=-Dhttps.proxyPort=9",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.proxy", "GIT_CONFIG_VALUE_0=http://127.0.0.1:9",
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const pythonURLLib = `
import ssl, sys, urllib.request
context = ssl.create_default_context()
context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default of Python 3.13
print(urllib.request.urlopen("https://api.example.test/python", context=context).read().decode())
`

const javaClient = `
import java.net.URI;
import java.net.http.*;
public class Client {
  public static void main(String[] args) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create("https://api.example.test/java")).build();
    System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
    java.net.URLConnection old = new java.net.URL("https://api.example.test/url").openConnection();
    System.out.println(new String(old.getInputStream().readAllBytes()));
    System.out.println("kept=" + System.getProperty("kept"));
  }
}
`

// TestClients runs what people have installed: each must find the proxy and trust its CA
// by the environment alone, whatever stood there before.
func TestClients(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "Client.java"), javaClient)
	tests := []struct {
		name string
		argv []string
		want []string // in the output
		who  string   // how the proxy knew it
	}{
		{"curl", []string{"curl", "-sS", "https://api.example.test/curl"}, []string{"answered GET api.example.test/curl"}, "token CONNECT api.example.test:443"},
		{"curl over http", []string{"curl", "-sS", "http://api.example.test/curl"}, []string{"answered GET api.example.test/curl"}, "token GET http://api.example.test/curl"},
		{"wget", []string{"wget", "-qO-", "https://api.example.test/wget"}, []string{"answered GET api.example.test/wget"}, "token CONNECT api.example.test:443"},
		{"python3 strict", []string{"python3", "-c", pythonURLLib}, []string{"answered GET api.example.test/python"}, "token CONNECT api.example.test:443"},
		{"java", []string{"java", filepath.Join(dir, "Client.java")}, []string{"answered GET api.example.test/java", "answered GET api.example.test/url"}, "owned:"},
	}
	ca := newAuthority(t, "session ca")
	for _, env := range []struct {
		name string
		vars func(*testing.T) []string
	}{{"clean", cleanEnv}, {"dirty", dirty}} {
		for _, tt := range tests {
			t.Run(env.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				need(t, tt.argv[0])
				proxy := startProxy(t, ca, echo)
				vars := Environ(EnvConfig{Parent: env.vars(t), Session: t.Name(), Proxy: proxy.url, Files: parentFiles(t, ca, env.vars(t))}).Vars
				c, output := startPiped(t, Options{Argv: tt.argv, Env: vars, Mode: Group})
				proxy.setOwner(NewOwner(c.Pid()))
				status, out := c.Wait(), <-output
				if status != 0 {
					t.Errorf("status %d\n%s", status, out)
				}
				for _, want := range tt.want {
					if !strings.Contains(out, want) {
						t.Errorf("output lacks %q:\n%s", want, out)
					}
				}
				if !strings.Contains(proxy.saw(), tt.who) {
					t.Errorf("proxy saw %q, want %q", proxy.saw(), tt.who)
				}
			})
		}
	}
}

// parentFiles are session files as a parent with this environment gets them.
func parentFiles(t *testing.T, ca authority, vars []string) *Files {
	t.Helper()
	e := newVariables(vars, false)
	f, err := NewFiles(FilesConfig{Parent: t.TempDir(), CA: ca.cert, Env: e.get})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestGit clones over HTTPS: git sends the token with its first request, and what the
// parent and the user configured does not lead it away.
func TestGit(t *testing.T) {
	need(t, "git")
	repo := filepath.Join(t.TempDir(), "repo")
	for _, args := range [][]string{
		{"init", "-q", repo},
		{"-C", repo, "-c", "user.name=a", "-c", "user.email=a@example.test", "commit", "-q", "--allow-empty", "-m", "first"},
		{"-C", repo, "update-server-info"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Env = append(cleanEnv(t), "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	ca := newAuthority(t, "session ca")
	for _, env := range []struct {
		name string
		vars []string
	}{{"clean", cleanEnv(t)}, {"dirty", dirty(t)}} {
		t.Run(env.name, func(t *testing.T) {
			proxy := startProxy(t, ca, http.FileServer(http.Dir(repo)))
			vars := Environ(EnvConfig{Parent: env.vars, Session: t.Name(), Proxy: proxy.url, Files: newFiles(t, ca)}).Vars
			status, out := run(t, Options{
				Argv: []string{"git", "clone", "https://git.example.test/.git", filepath.Join(t.TempDir(), "clone")},
				Env:  vars, Mode: Group,
			})
			if status != 0 {
				t.Fatalf("status %d\n%s", status, out)
			}
			if saw := proxy.saw(); !strings.Contains(saw, "token CONNECT git.example.test:443") || strings.Contains(saw, "stranger") {
				t.Errorf("proxy saw %q, want the token at once", saw)
			}
		})
	}
}
