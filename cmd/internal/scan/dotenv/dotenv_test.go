package dotenv

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // NAME=VALUE@LINE, with ! in front where it is made
	}{
		{"bare", "A=b\nC=d", []string{"A=b@1", "C=d@2"}},
		{"export and blanks", "  export\tA = b \n", []string{"A=b@1"}},
		{"a variable called export", "export=1\nexport =2", []string{"export=1@1", "export=2@2"}},
		{"comments", "# A=b\nA=b # c\nB=b#c\nC= # c\nD=\"x#y\"#c\n", []string{"A=b@2", "B=b#c@3", "C=@4", "D=x#y@5"}},
		{"single quotes are literal", `A='a\n"$B' # c`, []string{`A=a\n"$B@1`}},
		{"escapes", `A="a\tb\\c\"d\$e\q"`, []string{"A=a\tb\\c\"d$e\\q@1"}},
		{"more lines", "A=\"-----BEGIN\nx\n-----END\"\nB='1\n2'\nC=3\n", []string{"A=-----BEGIN\nx\n-----END@1", "B=1\n2@4", "C=3@6"}},
		{"crlf", "A=b\r\nB='c'\r\nC=\r\n", []string{"A=b@1", "B=c@2", "C=@3"}},
		{"byte order mark", "\xef\xbb\xbfA=b", []string{"A=b@1"}},
		{"made of others", "A=$B\nC=\"x${D}\"\nE=\"$(cmd)\"\nF='$G'\nH=5$\nI=\"\\$J\"", []string{"!A=$B@1", "!C=x${D}@2", "!E=$(cmd)@3", "F=$G@4", "H=5$@5", "I=$J@6"}},
		{"a dollar, and a variable further down", "A=\"5 $ a\"\nB=$C", []string{"A=5 $ a@1", "!B=$C@2"}},
		{"exported elsewhere", "export A\nB=c", []string{"B=c@2"}},
		{"equals signs in a value", "A=a=b==", []string{"A=a=b==@1"}},
		{"twice", "A=1\nA=2", []string{"A=1@1", "A=2@2"}},
		{"empty", "\n \n\t# c\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse(".env", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range f.Vars {
				got = append(got, spell(v))
			}
			if strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func spell(v Var) string {
	mark := ""
	if v.Made {
		mark = "!"
	}
	return mark + v.Name + "=" + v.Value.Reveal() + "@" + string(rune('0'+v.Line))
}

// An error says where, and repeats nothing of a value.
func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"A=b\nsentinel-value\n", ".env:2: not NAME=VALUE: no = behind the name"},
		{"A=b\n+sentinel=\n", ".env:2: not NAME=VALUE"},
		{"A=\"sentinel\nB=c\n", ".env:1: A: the double quote is not closed"},
		{"\nA='sentinel\n", ".env:2: A: the single quote is not closed"},
		{"A=\"x\ny\" sentinel", ".env:2: A: text behind the closing quote"},
		{"A=`sentinel`", ".env:1: A: a value in backquotes"},
		{"A=\x00sentinel", ".env: not a text file"},
		{"export A sentinel", ".env:1: not NAME=VALUE"},
	} {
		_, err := Parse(".env", []byte(tt.text))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %s", tt.text, err, tt.want)
			continue
		}
		if strings.Contains(err.Error(), "sentinel") {
			t.Errorf("%q: the error repeats the value: %v", tt.text, err)
		}
	}
}

func TestWithout(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"bare", "# top\nA=b\n\nTOKEN=sentinel\nC=d", "# top\nA=b\n\n# agentvault: keychain:x\nTOKEN=\nC=d"},
		{"quotes, export, comment", "export TOKEN = \"sentinel\"\t# mine\n", "# agentvault: keychain:x\nexport TOKEN = \"\"\t# mine\n"},
		{"more lines", "TOKEN='sen\ntinel'\r\nB=c\r\n", "# agentvault: keychain:x\r\nTOKEN=\r\nB=c\r\n"},
		{"byte order mark", "\xef\xbb\xbfTOKEN=sentinel", "\xef\xbb\xbf# agentvault: keychain:x\nTOKEN="},
		{"another's", "A=sentinel", "A=sentinel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse(".env", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			got := string(f.Without(map[string]string{"TOKEN": "keychain:x"}))
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "real"), filepath.Join(dir, ".env")
	if err := os.WriteFile(path, []byte("A=b\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Skip(err)
	}
	f, err := Read(link)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Replace([]byte("A=\n")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "A=\n" {
		t.Errorf("got %q", got)
	}
	if info, _ := os.Lstat(path); runtime.GOOS != "windows" && info.Mode() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	// The file is not what was read any more.
	if err := f.Replace([]byte("A=c\n")); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("a changed file was replaced: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "A=\n" {
		t.Errorf("got %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".real*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Whatever can be read can be emptied: afterwards the same names are there, the values
// that were taken out are empty, and the others are what they were.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"A=b\nB='c'\n", "export A = \"x\\\"y\nz\" # c\r\nB=\r\n", "\xef\xbb\xbfA=$B#", "A=\\", "A=\"\\", "export", "A='", "B=1\nA=2\nB=3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		before, err := Parse("f", content)
		if err != nil {
			return
		}
		after, err := Parse("f", before.Without(map[string]string{"A": "keychain:a"}))
		if err != nil {
			t.Fatalf("%q: %v", content, err)
		}
		if len(before.Vars) != len(after.Vars) {
			t.Fatalf("%q: %d variables became %d", content, len(before.Vars), len(after.Vars))
		}
		for i, v := range before.Vars {
			want := v.Value.Reveal()
			if v.Name == "A" {
				want = ""
			}
			if got := after.Vars[i]; got.Name != v.Name || got.Value.Reveal() != want {
				t.Fatalf("%q: %s=%q became %s=%q", content, v.Name, want, got.Name, got.Value.Reveal())
			}
		}
	})
}
