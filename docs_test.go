//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// page is a machine on which examples are run as they are printed: a home, programs, and the
// servers of newPageServers.
type page struct {
	t       *testing.T
	dir     string
	env     []string
	servers *pageServers
}

// newPage has the keychain of .ci/secret-service where there is one, and the encrypted file in
// its place elsewhere, whose passphrase the stand-in for a terminal gives.
func newPage(t *testing.T) *page {
	p := &page{t: t, dir: t.TempDir(), servers: newPageServers()}
	w, err := newWorld(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.other = p.servers
	t.Cleanup(w.close)
	for _, dir := range []string{"bin", "home/.config/agentvault", "run", "project"} {
		if err := os.MkdirAll(filepath.Join(p.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	bus, answers := os.Getenv("DBUS_SESSION_BUS_ADDRESS"), ""
	if os.Getenv("AGENTVAULT_TEST_SECRET_SERVICE") == "" {
		bus = "unix:path=" + filepath.Join(p.dir, "run", "no-bus")
		write(t, filepath.Join(p.dir, "passphrase"), "correct horse battery staple\n")
		answers = `case "$*" in
*--passphrase-fd*) ;;
"secret set "*) shift 2; set -- secret set --passphrase-fd 3 "$@"; exec 3<"$PASSPHRASE" ;;
"run "*) shift; set -- run --passphrase-fd 3 "$@"; exec 3<"$PASSPHRASE" ;;
esac
`
	}
	p.program("agentvault", answers+"exec "+testBinary(t, "agentvault")+` "$@"`)
	p.program("fakeagent", "exec "+testBinary(t, "fakeagent")+` "$@"`)
	p.env = []string{"HOME=" + filepath.Join(p.dir, "home"), "TMPDIR=" + p.dir, "PATH=" + filepath.Join(p.dir, "bin") + ":" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + filepath.Join(p.dir, "run"),
		"DBUS_SESSION_BUS_ADDRESS=" + bus, "HTTPS_PROXY=http://" + w.door.Addr().String(), "SSL_CERT_FILE=" + w.roots, "NO_COLOR=1", "PASSPHRASE=" + filepath.Join(p.dir, "passphrase")}
	return p
}

// program puts a shell script on the PATH. Nobody forks meanwhile: until it runs its own program
// another test's child would have the script open for writing, and the system would not run it.
func (p *page) program(name, script string) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(filepath.Join(p.dir, "bin", name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil { //nolint:gosec // it is to be run
		p.t.Fatal(err)
	}
}

// shell runs lines in the project's folder.
func (p *page) shell(lines string) (output string, err error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Minute) // a key is made of a passphrase, which takes its time where others work
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-e", "-c", lines)
	c.Dir, c.Env = filepath.Join(p.dir, "project"), p.env
	c.WaitDelay = 5 * time.Second
	out, err := c.CombinedOutput()
	return string(out), err
}

// must is shell for what has to work.
func (p *page) must(lines string) string {
	p.t.Helper()
	out, err := p.shell(lines)
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", lines, err, out)
	}
	return out
}

// store puts a value into the keychain as the page says.
func (p *page) store(name, host, value string) {
	p.t.Helper()
	p.env = append(p.env, "VALUE="+value)
	p.must(`printf %s "$VALUE" | agentvault secret set ` + name + " --host " + host)
}

// own and project write the two files that a configuration can stand in.
func (p *page) own(text string) {
	write(p.t, filepath.Join(p.dir, "home/.config/agentvault/agentvault.toml"), text)
}

func (p *page) project(text string) {
	write(p.t, filepath.Join(p.dir, "project/agentvault.toml"), text)
	p.must("agentvault trust agentvault.toml")
}

// calls has an agent call url, and fails unless the servers saw the texts.
func (p *page) calls(url string, want ...string) {
	p.t.Helper()
	out := p.must("agentvault run --ui off -- fakeagent get " + url)
	p.saw(out, want...)
}

func (p *page) saw(out string, want ...string) {
	p.t.Helper()
	for _, text := range want {
		if !strings.Contains(p.servers.saw(), text) {
			p.t.Errorf("the servers did not see %q:\n%s\n%s", text, out, p.servers.saw())
		}
	}
}

const (
	githubCall  = "https://api.github.com/user"
	billingCall = "https://billing.acme.test/"
	githubKey   = "ghp_s3cret6789abcdefghijklmnopqrstuvwxyz"

	billingBearer  = "\n[service.billing]\nhost = \"billing.acme.test\"\nauth = \"bearer\"\n"
	billingVault   = "\n[service.billing]\nhost = \"billing.acme.test\"\nauth = { type = \"header\", name = \"X-Api-Key\" }\nsecret = \"vault:secret/agents/billing#api_key\"\n"
	githubFolder   = "\n[service.github]\nuse = \"github\"\nsecret = \"infisical:GITHUB_TOKEN?project=ID&env=dev&path=/agents\"\n"
	githubOfFolder = "Authorization: Bearer s3cret-infisical-GITHUB_TOKEN-in-agents"
)

// pageExamples says, by a text that stands in it alone, how each example of docs/secrets.md is
// run. An example that is not among them fails the test.
var pageExamples = map[string]func(p *page, example string){
	`secret = "keychain:github"`: func(p *page, example string) {
		p.store("github", "api.github.com --host github.com", githubKey)
		p.own(example)
		p.calls(githubCall, "Authorization: Bearer "+githubKey)
	},
	`"vault:secret/agents/*" =`: func(p *page, example string) {
		p.env = append(p.env, "VAULT_ADDR=https://vault.acme.test:8200", "VAULT_TOKEN="+pageLogin)
		p.own(example + billingVault)
		p.calls(billingCall, "X-Api-Key: s3cret-vault-billing")
		p.own(example + strings.ReplaceAll(billingVault, "billing.acme.test", "billing.other.test"))
		if out, err := p.shell("agentvault run --ui off -- fakeagent get https://billing.other.test/"); strings.Contains(p.servers.saw(), "GET billing.other.test") || !strings.Contains(out, "bound") {
			p.t.Errorf("the binding did not hold: %v %s", err, out)
		}
	},
	`"env:CI_JOB_JWT" =`: func(p *page, example string) {
		p.env = append(p.env, "CI_JOB_JWT="+pageJWT)
		p.project("[vault]\naddress = \"https://vault.acme.test:8200\"\njwt = \"env:CI_JOB_JWT\"\nrole = \"agents\"\n" + billingVault)
		if out, err := p.shell("agentvault run --ui off -- fakeagent exit 0"); err == nil || !strings.Contains(out, "the project's file may not send env:CI_JOB_JWT") {
			p.t.Errorf("without the binding: %v %s", err, out)
		}
		p.own(example)
		p.calls(billingCall, "X-Api-Key: s3cret-vault-billing")
	},
	"agentvault secret rm github": func(p *page, example string) {
		p.env = append(p.env, "VALUE="+githubKey)
		out := p.must("printf %s \"$VALUE\" | " + example)
		if !strings.Contains(out, "api.github.com, github.com") || !strings.Contains(out, "removed github") || strings.Contains(out, githubKey) {
			p.t.Errorf("%s", out)
		}
	},
	"agentvault secret set --file": func(p *page, example string) {
		p.env = append(p.env, "VALUE="+githubKey)
		write(p.t, filepath.Join(p.dir, "passphrase"), "correct horse battery staple\n")
		p.program("claude", "exec fakeagent get "+githubCall)
		p.own("[service.github]\nuse = \"github\"\nsecret = \"file:github\"\n")
		example = strings.ReplaceAll(example, "/run/secrets/passphrase", `"$PASSPHRASE"`)
		set, run, _ := strings.Cut(example, "\n")
		out := p.must("printf %s \"$VALUE\" | " + set + ` --passphrase-fd 3 3<"$PASSPHRASE"` + "\n" + run)
		p.saw(out, "Authorization: Bearer "+githubKey)
	},
	`client_secret = "keychain:infisical"` + "\n\n": func(p *page, example string) {
		p.store("infisical", "app.infisical.com", pageMachine)
		p.own(example)
		p.calls(githubCall, githubOfFolder)
	},
	`identity_method = "oidc"`: func(p *page, example string) {
		p.env = append(p.env, "CI_JOB_JWT="+pageJWT)
		p.own(example + githubFolder)
		p.calls(githubCall, "POST app.infisical.com/api/v1/auth/oidc-auth/login", githubOfFolder)
	},
	`identity_method = "gcp-iam"`: func(p *page, example string) {
		p.store("gcp-agents", "app.infisical.com", googleKey(p.t))
		p.own(example + githubFolder)
		p.calls(githubCall, "agents@acme.iam.gserviceaccount.com:signJwt", "POST app.infisical.com/api/v1/auth/gcp-auth/login", githubOfFolder)
	},
	`secret = "infisical:*"`: func(p *page, example string) {
		p.store("infisical", "app.infisical.com", pageMachine)
		p.own(example)
		p.calls(githubCall, githubOfFolder)
		p.calls(billingCall, "Authorization: Bearer s3cret-infisical-BILLING_KEY-in-billing")
	},
	"infisical:orders-db#DB_PASSWORD": func(p *page, example string) {
		p.store("infisical", "app.infisical.com", pageMachine)
		p.own("[infisical]\nclient_id = \"00000000-0000-0000-0000-000000000000\"\nclient_secret = \"keychain:infisical\"\n" + billingBearer + example)
		p.calls(billingCall, "Authorization: Bearer s3cret-infisical-lease", "DELETE app.infisical.com/api/v1/dynamic-secrets/leases/lease-1")
	},
	"vault login": func(p *page, example string) {
		p.program("vault", `[ "$*" = login ] && printf %s `+pageLogin+` >"$HOME/.vault-token"`)
		commands, toml, _ := strings.Cut(example, "\n\n")
		p.own(toml)
		p.saw(p.must(commands+"\nagentvault run --ui off -- fakeagent get "+billingCall), "X-Api-Key: s3cret-vault-billing")
	},
	`secret_id = "keychain:vault-secret-id"`: func(p *page, example string) {
		p.store("vault-secret-id", "vault.acme.test:8200", pageSecretID)
		p.own(example + billingVault)
		p.calls(billingCall, "PUT vault.acme.test:8200/v1/auth/approle/login", "X-Api-Key: s3cret-vault-billing", "/v1/auth/token/revoke-self")
	},
	"jwt     = ": func(p *page, example string) {
		p.env = append(p.env, "CI_JOB_JWT="+pageJWT)
		p.own(example + billingVault)
		p.calls(billingCall, "PUT vault.acme.test:8200/v1/auth/jwt/login", "X-Api-Key: s3cret-vault-billing")
	},
	"[service.s3]": func(p *page, example string) {
		p.env = append(p.env, "VAULT_ADDR=https://vault.acme.test:8200", "VAULT_TOKEN="+pageLogin)
		p.own(example)
		out := p.must("agentvault run --ui off -- fakeagent get https://bucket.s3.eu-west-1.amazonaws.com/key Authorization " +
			"'AWS4-HMAC-SHA256 Credential=x/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=0'")
		p.saw(out, "Authorization: AWS4-HMAC-SHA256 Credential=AKIAPAGE/", "/v1/sys/leases/revoke")
	},
	"vault lease revoke": func(p *page, example string) {
		p.env = append(p.env, "VAULT_ADDR=https://vault.acme.test:8200", "VAULT_TOKEN="+pageLogin)
		p.servers.stuck = true
		p.own(billingBearer + "secret = \"vault:aws/creds/agent#secret_key\"\n")
		out := p.must("agentvault run --ui off -- fakeagent get " + billingCall)
		if !strings.Contains(out, strings.TrimSuffix(strings.TrimSpace(example), "...")) {
			p.t.Errorf("the command is not told as the page has it:\n%s", out)
		}
	},
	"aws:prod/stripe#api_key": func(p *page, example string) {
		p.env = append(p.env, "AWS_ACCESS_KEY_ID=AKIAENV", "AWS_SECRET_ACCESS_KEY=s3cret-key-of-aws", "AWS_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true")
		p.own(example)
		p.calls("https://api.stripe.com/v1/balance", "Credential=AKIAENV/", "Bearer sk_test_51s3cret")
	},
	`profile = "agents"`: func(p *page, example string) {
		p.env = append(p.env, "AWS_EC2_METADATA_DISABLED=true")
		if err := os.MkdirAll(filepath.Join(p.dir, "home/.aws"), 0o700); err != nil {
			p.t.Fatal(err)
		}
		write(p.t, filepath.Join(p.dir, "home/.aws/credentials"), "[agents]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s3cret-key-of-a-profile\n")
		p.own(example + "\n[service.stripe]\nuse = \"stripe\"\nsecret = \"aws:prod/stripe#api_key\"\n")
		p.calls("https://api.stripe.com/v1/balance", "Credential=AKIAPROFILE/", "Bearer sk_test_51s3cret")
	},
	"env:OPENAI_API_KEY": func(p *page, example string) {
		p.env = append(p.env, "OPENAI_API_KEY=sk-proj-s3cret-of-openai-0123456789")
		p.own(example)
		p.calls("https://api.openai.com/v1/models", "Authorization: Bearer sk-proj-s3cret-of-openai-0123456789")
	},
	"exec:op read": func(p *page, example string) {
		for name, script := range map[string]string{
			"op":     `[ "$1" = read ] && case "$2" in op://*/*/*) echo "s3cret-of-op";; *) exit 1;; esac`,
			"pass":   `[ "$1" = show ] && echo "s3cret-of-pass"`,
			"gh":     `[ "$*" = "auth token" ] && echo "s3cret-of-gh"`,
			"bw":     `[ -n "$BW_SESSION" ] && [ "$1 $2" = "get password" ] && printf %s "s3cret-of-bw"`,
			"gcloud": `[ "$*" = "auth print-access-token" ] && echo "s3cret-of-gcloud"`,
			"vault":  `[ "$1 $2 $3" = "kv get -field=token" ] && printf %s "s3cret-of-vault"`,
		} {
			p.program(name, script+" || { echo \"$0: not as it is called\" >&2; exit 1; }")
		}
		p.env = append(p.env, "BW_SESSION=unlocked")
		var toml strings.Builder
		var calls, want []string
		for i, line := range strings.Split(strings.TrimSpace(example), "\n") {
			_, text, _ := strings.Cut(line, `"exec:`)
			name, _, _ := strings.Cut(text, " ")
			fmt.Fprintf(&toml, "[service.s%d]\nhost = \"%s.test\"\nauth = \"bearer\"\n%s\n", i, name, line)
			calls, want = append(calls, "https://"+name+".test/"), append(want, "Authorization: Bearer s3cret-of-"+name)
		}
		p.own(toml.String())
		p.saw(p.must("agentvault run --ui off -- fakeagent each "+strings.Join(calls, " ")), want...)
	},
	`"expires_at":`: func(p *page, example string) {
		p.program("token", "echo '"+strings.NewReplacer("ghs_...", "s3cret-of-a-command", "2026-", "2999-").Replace(example)+"'")
		p.own(billingBearer + "secret = \"exec:token\"\n")
		out := p.must("agentvault run --ui off -- fakeagent get " + billingCall)
		if p.saw(out, "Authorization: Bearer s3cret-of-a-command"); !strings.Contains(out, "exec:token ends at 2999-03-04") {
			p.t.Errorf("%s", out)
		}
	},
}

// googleKey is the file of a service account's key.
func googleKey(t *testing.T) string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{"type": "service_account", "private_key_id": "k", "client_email": "agents@acme.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every example of the page about secrets is run, as it is printed, by the real program
// against servers that speak the backends' protocols.
func TestSecretsPage(t *testing.T) {
	text, err := os.ReadFile("docs/secrets.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]bool{}
	for _, example := range indented(string(text)) {
		title, _, _ := strings.Cut(example, "\n")
		run := ""
		for mark := range pageExamples {
			if strings.Contains(example, mark) && len(mark) > len(run) {
				run = mark
			}
		}
		if run == "" || ran[run] {
			t.Errorf("an example that this test does not run, or that is there twice:\n%s", example)
			continue
		}
		ran[run] = true
		t.Run(strings.Trim(title, "[]"), func(t *testing.T) {
			if os.Getenv("AGENTVAULT_TEST_SECRET_SERVICE") == "" { // they would share one keychain
				t.Parallel()
			}
			p := newPage(t)
			pageExamples[run](p, example)
			if strings.Contains(p.must("cat \"$HOME\"/.local/state/agentvault/sessions/*.jsonl || :"), "s3cret") {
				t.Error("a secret stands in a log")
			}
		})
	}
	if len(ran) != len(pageExamples) {
		t.Errorf("%d examples were found, %d are known", len(ran), len(pageExamples))
	}
}

// indented are the indented blocks of a page, each without its indentation.
func indented(text string) (blocks []string) {
	var block strings.Builder
	for line := range strings.Lines(text + "\nend") {
		code, is := strings.CutPrefix(line, "    ")
		switch {
		case is:
			block.WriteString(strings.TrimPrefix(code, "  ")) // inside of a list
		case strings.TrimSpace(line) == "" && block.Len() > 0:
			block.WriteString("\n")
		default:
			if block.Len() > 0 {
				blocks = append(blocks, block.String())
			}
			block.Reset()
		}
	}
	return blocks
}
