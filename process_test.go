//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The command of a profile runs before the agent is there, once a session, also where secrets
// are got at their first use; one that fails stops the start.
func TestCredentialProcessRunsFirst(t *testing.T) {
	p := newPage(t)
	ran := filepath.Join(p.dir, "ran")
	p.program("credentials", "echo run >>"+ran+"\n"+
		`echo '{"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "s3cret-key-of-a-process", "Expiration": "2999-03-04T05:06:07Z"}'`)
	if err := os.MkdirAll(filepath.Join(p.dir, "home/.aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(p.dir, "home/.aws/config")
	write(t, config, "[profile agents]\nregion = eu-west-1\ncredential_process = "+filepath.Join(p.dir, "bin/credentials")+"\n")
	p.env = append(p.env, "AWS_EC2_METADATA_DISABLED=true", "AWS_PROFILE=agents")
	p.own("[service.stripe]\nuse = \"stripe\"\nsecret = \"aws:prod/stripe#api_key\"\n")
	runs := func() int {
		text, _ := os.ReadFile(ran)
		return strings.Count(string(text), "run\n")
	}
	p.must("agentvault run --ui off --lazy -- fakeagent exit 0")
	if n := runs(); n != 1 {
		t.Errorf("%d runs before an agent that calls nobody", n)
	}
	out := p.must("agentvault run --ui off --lazy -- fakeagent each https://api.stripe.com/v1/balance https://api.stripe.com/v1/charges")
	p.saw(out, "Credential=AKIAPROCESS/", "Bearer sk_test_51s3cret")
	if n := runs(); n != 2 {
		t.Errorf("%d runs in two sessions", n)
	}
	p.program("credentials", "echo no such user >&2; exit 1")
	if out, err := p.shell("agentvault run --ui off --lazy -- fakeagent exit 0"); err == nil || !strings.Contains(out, "credential_process") {
		t.Errorf("a command that fails: %v %s", err, out)
	}
	p.env = append(p.env, "OTHER_KEY=s3cret-of-another")
	p.own("[service.other]\nhost = \"other.test\"\nauth = \"bearer\"\nsecret = \"env:OTHER_KEY\"\n")
	p.must("agentvault run --ui off --lazy -- fakeagent exit 0") // a session that needs none of AWS
}
