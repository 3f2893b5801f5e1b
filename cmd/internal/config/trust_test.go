package config

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A project brings a list of approvals of its own, which would be read where the user's folder
// is not known and its name was taken for one in the working directory.
func TestNothingIsApprovedWithoutAFolder(t *testing.T) {
	for _, state := range []string{"", ".", "state"} {
		t.Run(state, func(t *testing.T) {
			dir, content := t.TempDir(), []byte("[service.x]\n")
			t.Chdir(dir)
			dir, err := os.Getwd() // by its real name
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, FileName)
			if err := os.MkdirAll(filepath.Join(dir, state), 0o700); err != nil {
				t.Fatal(err)
			}
			own := fmt.Sprintf("%s %q\n", Hash(content), filed(path))
			if err := os.WriteFile(filepath.Join(dir, state, "trusted"), []byte(own), 0o600); err != nil {
				t.Fatal(err)
			}
			trust := NewTrust(state)
			if trust.Approved(path, content) {
				t.Error("the project has approved itself")
			}
			if trust.Approve(path, content) == nil || trust.Accept(path, content) == nil {
				t.Error("an approval was written to the working directory")
			}
			if list, err := trust.Paths(); len(list) > 0 || err != nil {
				t.Errorf("paths %q, %v", list, err)
			}
		})
	}
}

// A link that came with a project does not make it the project that was approved.
func TestApprovalIsNotOfALink(t *testing.T) {
	dir := tree(t, map[string]string{"theirs/agentvault.toml": "x", "clone/readme": ""})
	approved, link := filepath.Join(dir, "theirs", FileName), filepath.Join(dir, "clone", FileName)
	if err := os.Symlink(approved, link); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(filepath.Join(dir, "theirs"), filepath.Join(dir, "alias")); err != nil {
		t.Fatal(err)
	}
	trust := NewTrust(filepath.Join(dir, "state"))
	if err := trust.Approve(approved, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{approved: true, link: false, filepath.Join(dir, "alias", FileName): true} {
		if got := trust.Approved(path, []byte("x")); got != want {
			t.Errorf("%s: approved %v", path, got)
		}
	}
}
