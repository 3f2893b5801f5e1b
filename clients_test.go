//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The real clients that a session must carry, each against one upstream with TLS whose
// name stands in the hosts file. The environment around them is what people have: a
// proxy that is dead, certificates and options of their own.
var clients = []struct {
	name, program string
	run           string // a shell line; $URL is the upstream's
	body          string // what it must print
}{
	{"curl", "curl", `curl -sS "$URL/hello"`, "hello"},
	{"wget", "wget", `wget -qO- "$URL/hello"`, "hello"},
	{"git clone", "git", `git clone -q "$URL/repo.git" cloned && cat cloned/file`, "from the repository"},
	{"git push", "git", `git clone -q "$URL/repo.git" pushed && cd pushed && echo more >>file && git -c user.name=n -c user.email=e@example.test commit -qam more && git push -q && echo pushed`, "pushed"},
	{"node fetch", "node", `node -e 'fetch(process.env.URL+"/hello").then(r=>r.text()).then(t=>process.stdout.write(t))'`, "hello"},
	{"node https", "node", `node -e 'require("https").get(process.env.URL+"/hello",r=>r.pipe(process.stdout))'`, "hello"},
	{"python urllib", "python3", `python3 -c 'import os,urllib.request as u; print(u.urlopen(os.environ["URL"]+"/hello").read().decode())'`, "hello"},
	{"python requests", "python3", `python3 -c 'import os,requests; print(requests.get(os.environ["URL"]+"/hello").text)'`, "hello"},
	{"python strict", "python3", `python3 -c 'import os,ssl,urllib.request as u
c=ssl.create_default_context(); c.verify_flags|=ssl.VERIFY_X509_STRICT
print(u.urlopen(os.environ["URL"]+"/hello",context=c).read().decode())'`, "hello"},
	{"go", "go", `"$FAKEAGENT" get "$URL/hello"`, "hello"},
	{"java", "java", `java Get.java "$URL/hello"`, "hello"},
}

const javaGet = `import java.net.URI;
import java.net.http.*;
class Get {
    public static void main(String[] args) throws Exception {
        var client = HttpClient.newBuilder().proxy(java.net.ProxySelector.getDefault()).build();
        var r = client.send(HttpRequest.newBuilder(URI.create(args[0])).build(), HttpResponse.BodyHandlers.ofString());
        System.out.print(r.body());
    }
}
`

// dirt is an environment that would break a client if any of it were left.
var dirt = []string{
	"https_proxy=http://127.0.0.1:9", "HTTPS_PROXY=http://127.0.0.1:9", "all_proxy=http://127.0.0.1:9",
	"AWS_CA_BUNDLE=/nonexistent/aws.pem", "NODE_OPTIONS=--max-old-space-size=512",
	"JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9 -Xmx256m", "GIT_SSL_NO_VERIFY=", "SSL_CERT_DIR=/nonexistent",
	"npm_config_proxy=http://127.0.0.1:9",
}

func TestRealClients(t *testing.T) {
	hosts := newHostsFile(t)
	for _, state := range []struct {
		name string
		env  []string
	}{{"clean", nil}, {"dirty", dirt}} {
		for _, c := range clients {
			t.Run(state.name+"/"+c.name, func(t *testing.T) {
				path, err := exec.LookPath(c.program)
				if err != nil {
					t.Skipf("%s is not installed here", c.program)
				}
				if c.name == "python requests" && exec.Command(path, "-c", "import requests").Run() != nil {
					t.Skip("python3-requests is not installed here")
				}
				u := newUpstream(t)
				dir := t.TempDir()
				write(t, filepath.Join(dir, "Get.java"), javaGet)
				write(t, filepath.Join(dir, "agentvault.toml"), "[service.up]\nhost = \"up.example.test:"+u.port+"\"\nauth = { type = \"basic\", user = \"u\" }\nsecret = \"env:UP_KEY\"\nenv = [\"UP_PLACEHOLDER\"]\n")
				out, log := u.session(t, hosts, dir, c.run, state.env)
				if !strings.Contains(out, c.body) {
					t.Fatalf("%s\nlog:\n%s", out, log)
				}
				if strings.Contains(out, secretValue) || strings.Contains(log, secretValue) {
					t.Error("the secret reached the child or the log")
				}
				if !strings.Contains(log, `"verdict":"injected"`) || strings.Contains(log, `"verdict":"uncovered"`) {
					t.Errorf("not every call was injected:\n%s", log)
				}
				if !u.authorised() {
					t.Error("the upstream saw no valid credential")
				}
			})
		}
	}
}

// session runs one shell line as the child of the real binary, with a hosts file that
// knows the upstream.
func (u *upstream) session(t *testing.T, hosts hostsFile, dir, line string, env []string) (output, log string) {
	t.Helper()
	home := t.TempDir()
	logPath := filepath.Join(dir, "log.jsonl")
	agentvault := testBinary(t, "agentvault")
	c := hosts.command(agentvault, "run", "--ui", "off", "--config", filepath.Join(dir, "agentvault.toml"), "--log", logPath, "--", "sh", "-c", line)
	c.Dir = dir
	c.Env = append(baseEnv(home), "SSL_CERT_FILE="+u.roots, "UP_KEY="+secretValue, "URL=https://up.example.test:"+u.port, "FAKEAGENT="+testBinary(t, "fakeagent"))
	c.Env = append(c.Env, env...)
	out := new(strings.Builder)
	c.Stdout, c.Stderr = out, out
	c.WaitDelay = 5 * time.Second
	if err := c.Run(); err != nil {
		b, _ := os.ReadFile(logPath)
		t.Fatalf("%v\n%s\nlog:\n%s", err, out, b)
	}
	b, err := os.ReadFile(logPath)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), string(b)
}

// baseEnv is what is needed of this machine: where programs are, and nothing else.
func baseEnv(home string) []string {
	env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + home, "LANG=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1", "PYENV_VERSION=" + os.Getenv("PYENV_VERSION")}
	if root := os.Getenv("PYENV_ROOT"); root != "" {
		env = append(env, "PYENV_ROOT="+root)
	}
	return env
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
