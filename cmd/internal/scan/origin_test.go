package scan

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentvault/keyring"
)

func TestOrigins(t *testing.T) {
	const value = "gho_origin-of-all-0123456789"
	home, dir := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := Machine{Home: home, Dir: dir, Environ: []string{"OTHER=x" + value, "GH_TOKEN=" + value, "EMPTY="}}
	write(filepath.Join(home, ".config/gh/hosts.yml"), "github.com:\n    user: bob\n    oauth_token: "+value+"\n")
	write(filepath.Join(home, ".netrc"), "machine a.test login bob password x\nmachine github.com login bob password "+value+"\n")
	write(filepath.Join(home, ".npmrc"), "//npm.acme.test/:_authToken="+value+"\n")
	write(filepath.Join(home, ".git-credentials"), "https://bob:"+value+"@github.com\n")
	write(filepath.Join(home, ".docker/config.json"), `{"auths":{"ghcr.io":{"auth":"`+base64.StdEncoding.EncodeToString([]byte("bob:"+value))+`"}}}`)
	write(filepath.Join(home, ".bashrc"), "# mine\nexport GH_TOKEN="+value+"\n")
	write(filepath.Join(home, ".zshrc"), "export GH_TOKEN="+value+"9\n") // a longer one
	write(filepath.Join(dir, ".env"), "A=1\nGH_TOKEN='"+value+"'\n")
	var got []string
	for _, o := range Origins(m, keyring.NewSecret([]byte(value)), "bob") {
		if o.Remove == "" || strings.Contains(o.Where+o.Remove, value) {
			t.Errorf("origin %+v", o)
		}
		got = append(got, o.Where)
	}
	want := []string{"the variable GH_TOKEN of the environment", ".env:2, as GH_TOKEN", "~/.config/gh/hosts.yml:3", "~/.netrc:2", "~/.npmrc:1", "~/.git-credentials:1",
		"~/.docker/config.json:1", "~/.bashrc:2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := Origins(m, keyring.NewSecret([]byte("s3cret-to-be-found-nowhere")), ""); len(got) != 0 {
		t.Errorf("found %+v", got)
	}
	if got := Origins(m, keyring.Secret{}, ""); len(got) != 0 {
		t.Errorf("nothing was found in %+v", got)
	}
}

// What a helper keeps is not asked for: the helper is named.
func TestOriginsOfHelpers(t *testing.T) {
	home := t.TempDir()
	for path, text := range map[string]string{".gitconfig": "[user]\n\tname = Bob\n[credential]\n\thelper = osxkeychain\n", ".config/gh/hosts.yml": "github.com:\n    user: bob\n"} {
		path = filepath.Join(home, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, o := range Origins(Machine{Home: home}, keyring.NewSecret([]byte("gho_s3cret6789")), "") {
		got = append(got, o.Where)
	}
	want := []string{"perhaps the login of gh, which keeps it in the system's keychain", "perhaps git's credential helper osxkeychain"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
