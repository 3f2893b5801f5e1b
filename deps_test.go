package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers says what each package of ours may import of ours. A package that is missing
// here fails the test: it is added with the change that needs it, and with a reason.
var layers = map[string][]string{
	".":   {"cmd"},
	"cmd": {"*"}, // the command line ties everything together

	"cmd/internal/adopt":         {"cmd/internal/config", "cmd/internal/scan", "keyring", "proxy/event", "proxy/inject", "proxy/rule"}, // what the child showed of its own, for `discover --adopt`
	"cmd/internal/session":       {},
	"cmd/internal/config":        {"keyring", "proxy/inject", "proxy/rule"},
	"cmd/internal/check":         {"cmd/internal/config", "keyring", "proxy/inject", "proxy/rule"},                                                    // what a configuration means, beyond what loading refuses
	"cmd/internal/discover":      {"cmd/internal/config", "cmd/internal/discover/text", "proxy/event", "proxy/inject", "proxy/rule"},                  // the catalogue knows where paths name things, and inject where operations can be told
	"cmd/internal/discover/text": {"proxy/event"},                                                                                                     // widths and words that reports share
	"cmd/internal/prove":         {"cmd/internal/config", "keyring", "proxy", "proxy/ca", "proxy/event", "proxy/inject", "proxy/rule", "proxy/scrub"}, // `test`: both sides of a session, the decoy's TLS included
	"cmd/internal/scan":          {"cmd/internal/config", "cmd/internal/scan/dotenv", "keyring", "proxy/rule"},                                        // what the machine has: for `init` and `secret import`
	"cmd/internal/scan/dotenv":   {"keyring"},                                                                                                         // reads files of variables, and writes them without their values
	"cmd/internal/summary":       {"cmd/internal/discover", "cmd/internal/discover/text", "proxy/event"},
	"cmd/internal/auditlog":      {"cmd/internal/discover", "cmd/internal/discover/text", "keyring/filelock", "proxy/event", "proxy/event/query"},

	"proxy":             {"keyring", "proxy/ca", "proxy/event", "proxy/inject", "proxy/rule", "proxy/scrub", "proxy/xconnect"},
	"proxy/ca":          {},
	"proxy/event":       {},
	"proxy/event/query": {"proxy/event"},           // the filters that `log` and the inspector share
	"proxy/inject":      {"keyring", "proxy/rule"}, // tells the rules what a request asks for
	"proxy/rule":        {},
	"proxy/scrub":       {},
	"proxy/xconnect":    {}, // has to be initialised before net/http

	"keyring":                  {},
	"keyring/filelock":         {},                   // a lock between processes, for the stores and the ledger of logs
	"keyring/internal/disk":    {"keyring/filelock"}, // atomic writes and locks, for the two stores
	"keyring/internal/leasing": {"keyring"},          // lifetimes, renewal and shared calls, for the backends with a server
	"keyring/keyringtest":      {"keyring"},
	"keyring/envvar":           {"keyring"},
	"keyring/command":          {"keyring"},
	"keyring/file":             {"keyring", "keyring/internal/disk"},
	"keyring/keychain":         {"keyring", "keyring/file", "keyring/internal/disk"}, // large values go to an age file whose key is in the keychain
	"keyring/infisical":        {"keyring", "keyring/internal/leasing"},
	"keyring/vault":            {"keyring", "keyring/internal/leasing"},
	"keyring/awssm":            {"keyring", "keyring/internal/leasing"}, // one call for all who wait

	"tui":        {"proxy/event", "proxy/event/query", "tui/quiet"},
	"tui/margin": {},
	"tui/quiet":  {},

	"bench": {"keyring", "proxy", "proxy/ca", "proxy/event", "proxy/inject", "proxy/rule", "tui", "tui/margin"}, // `make bench`, not a part of the product
}

// homes says where each heavy dependency lives: one place, so that it can be replaced.
var homes = map[string][]string{
	"github.com/urfave/cli":                {"cmd"},
	"github.com/BurntSushi/toml":           {"cmd/internal/config"},
	"github.com/elazarl/goproxy":           {"proxy"},
	"github.com/charmbracelet":             {"tui", "tui/margin", "tui/quiet", "cmd/internal/discover/text"},
	"github.com/zalando/go-keyring":        {"keyring/keychain"},
	"filippo.io/age":                       {"keyring/file"},
	"github.com/infisical":                 {"keyring/infisical"},
	"github.com/hashicorp":                 {"keyring/vault"},
	"github.com/aws/aws-sdk-go-v2/service": {"keyring/awssm"},
	"github.com/aws/aws-sdk-go-v2/config":  {"keyring/awssm"},
	"github.com/creack/pty":                {"cmd/internal/session", "bench"}, // bench is a terminal itself
	"software.sslmate.com":                 {"cmd/internal/session"},
	"github.com/klauspost/compress":        {"proxy"},
	"github.com/andybalholm/brotli":        {"proxy"},
}

// leaves use the standard library alone, so that anybody can audit what holds a secret.
var leaves = []string{"keyring", "proxy/scrub", "proxy/rule"}

// exceptions are imports that a leaf has all the same, with the reason.
var exceptions = map[string]string{
	"golang.org/x/net/idna": "proxy/rule", // international names are better read by the Go project's own tables
}

func TestLayers(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		checkImports(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkImports(t *testing.T, path string) {
	t.Helper()
	pkg := filepath.ToSlash(filepath.Dir(path))
	allowed, known := layers[pkg]
	if !known {
		t.Errorf("%s: package %s is not in the layer table", path, pkg)
		return
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, spec := range file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if ours, ok := strings.CutPrefix(name, "agentvault/"); ok {
			if !slices.Contains(allowed, "*") && !slices.Contains(allowed, ours) {
				t.Errorf("%s: %s may not import %s", path, pkg, ours)
			}
			continue
		}
		for dep, places := range homes {
			if (name == dep || strings.HasPrefix(name, dep+"/")) && !slices.Contains(places, pkg) {
				t.Errorf("%s: %s belongs into %s", path, name, strings.Join(places, ", "))
			}
		}
		if slices.Contains(leaves, pkg) && strings.Contains(name, ".") && exceptions[name] != pkg {
			t.Errorf("%s: %s uses the standard library alone, not %s", path, pkg, name)
		}
	}
}

// Every package says what it promises.
func TestPackagesAreDocumented(t *testing.T) {
	for pkg := range layers {
		files, _ := filepath.Glob(filepath.Join(filepath.FromSlash(pkg), "*.go"))
		if len(files) == 0 {
			continue
		}
		documented := false
		for _, f := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || parsed.Doc != nil && !strings.HasSuffix(f, "_test.go")
		}
		if !documented {
			t.Errorf("package %s has no comment", pkg)
		}
	}
}
