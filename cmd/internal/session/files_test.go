package session

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

func TestFiles(t *testing.T) {
	ca, company, extra := newAuthority(t, "session ca"), newAuthority(t, "company"), newAuthority(t, "extra")
	home := t.TempDir()
	env := map[string]string{
		"SSL_CERT_FILE":       filepath.Join(home, "company.pem"),
		"NODE_EXTRA_CA_CERTS": filepath.Join(home, "extra.pem"),
		"CURL_CA_BUNDLE":      filepath.Join(home, "missing.pem"),
		"HOME":                home,
	}
	for name, data := range map[string][]byte{
		"company.pem": append([]byte("# a comment\n"), encodePEM(company.cert.Raw)...),
		"extra.pem":   encodePEM(extra.cert.Raw, company.cert.Raw),
		".wgetrc":     []byte("tries = 3\nhttps-proxy = http://elsewhere\ncheck_certificate=off"),
	} {
		if err := os.WriteFile(filepath.Join(home, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := NewFiles(FilesConfig{Parent: t.TempDir(), CA: ca.cert, Env: func(name string) string { return env[name] }})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	if got := readPEM(t, f.CA); len(got) != 1 || !got[0].Equal(ca.cert) {
		t.Errorf("CA holds %d certificates, want the CA alone", len(got))
	}
	if got := readPEM(t, f.Extra); len(got) != 3 || !got[0].Equal(ca.cert) {
		t.Errorf("Extra holds %d certificates, want the CA and the parent's two", len(got))
	}
	bundle := readPEM(t, f.Bundle)
	for _, want := range []authority{ca, company, extra} {
		n := 0
		for _, cert := range bundle {
			if cert.Equal(want.cert) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("bundle holds %q %d times, want once", want.cert.Subject.CommonName, n)
		}
	}
	<-f.RootsReady
	for _, signer := range []authority{ca, company, extra} {
		leaf := signer.leaf(t, "h.test").Certificate[0]
		cert, err := x509.ParseCertificate(leaf)
		if err != nil {
			t.Fatal(err)
		}
		_, err = cert.Verify(x509.VerifyOptions{Roots: f.Roots, DNSName: "h.test"})
		if trusted := err == nil; trusted != (signer.cert != ca.cert) {
			t.Errorf("agentvault itself trusts %q: %t", signer.cert.Subject.CommonName, trusted)
		}
	}
	data, err := os.ReadFile(f.Truststore)
	if err != nil {
		t.Fatal(err)
	}
	store, err := pkcs12.DecodeTrustStore(data, "")
	if err != nil || len(store) != len(bundle) {
		t.Errorf("truststore holds %d certificates (%v), bundle %d", len(store), err, len(bundle))
	}
	wgetrc, err := os.ReadFile(f.Wgetrc)
	if want := "tries = 3\nca_certificate = " + f.Bundle + "\n"; err != nil || string(wgetrc) != want {
		t.Errorf("wgetrc %q (%v), want %q", wgetrc, err, want)
	}
	if len(f.Notes) != 1 || !strings.HasPrefix(f.Notes[0], "CURL_CA_BUNDLE: ") {
		t.Errorf("notes %q, want one on CURL_CA_BUNDLE", f.Notes)
	}
	if info, err := os.Stat(f.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder has mode %v (%v), want 0700", info.Mode(), err)
	}

	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(f.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder is still there after Close: %v", err)
	}
}

func readPEM(t *testing.T, path string) []*x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(data, []byte("-----BEGIN CERTIFICATE-----\n")) {
		t.Errorf("%s begins with %.30q", filepath.Base(path), data)
	}
	var certs []*x509.Certificate
	for _, der := range decodePEM(data) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
	}
	return certs
}

// TestTruststoreInJava counts the entries as the JVM sees them, with the password and
// without: one that it cannot read makes it refuse all.
func TestTruststoreInJava(t *testing.T) {
	need(t, "keytool")
	f := newFiles(t, newAuthority(t, "session ca"))
	want := len(readPEM(t, f.Bundle))
	for _, args := range [][]string{nil, {"-storepass", f.TruststorePassword}} {
		out, err := exec.Command("keytool", append([]string{"-list", "-keystore", f.Truststore, "-storetype", "PKCS12"}, args...)...).CombinedOutput()
		if n := strings.Count(string(out), "trustedCertEntry"); err != nil || n != want {
			t.Errorf("keytool %q sees %d entries (%v), want %d", args, n, err, want)
		}
	}
}

func TestNewFilesError(t *testing.T) {
	_, err := NewFiles(FilesConfig{Parent: filepath.Join(t.TempDir(), "missing"), CA: newAuthority(t, "ca").cert})
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "session folder: ") {
		t.Errorf("got %v, want an error about the session folder", err)
	}
}

func TestSweep(t *testing.T) {
	parent := t.TempDir()
	old := time.Now().Add(-time.Hour)
	folder := func(name string, mode os.FileMode, owner bool, age time.Time) string {
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, mode); err != nil {
			t.Fatal(err)
		}
		if owner {
			if err := os.WriteFile(filepath.Join(dir, ownerName), []byte("1\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(dir, age, age); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	living, err := NewFiles(FilesConfig{Parent: parent, CA: newAuthority(t, "ca").cert})
	if err != nil {
		t.Fatal(err)
	}
	defer living.Close()
	if err := os.Chtimes(living.Dir, old, old); err != nil {
		t.Fatal(err)
	}
	dead := folder("agentvault-dead", 0o700, true, old)
	empty := folder("agentvault-empty", 0o700, false, old)
	kept := []string{
		living.Dir,
		folder("agentvault-new", 0o700, true, time.Now()),
		folder("agentvault-open", 0o755, true, old),
		folder("other-dead", 0o700, true, old),
	}
	foreign := folder("agentvault-foreign", 0o700, false, old)
	if err := os.WriteFile(filepath.Join(foreign, "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(foreign, old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(parent, filepath.Join(parent, "agentvault-link")); err != nil {
		t.Fatal(err)
	}

	got := Sweep(parent)
	slices.Sort(got)
	if want := []string{dead, empty}; !slices.Equal(got, want) {
		t.Errorf("removed %q, want %q", got, want)
	}
	for _, dir := range append(kept, foreign) {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("gone: %v", err)
		}
	}
}

func TestDefaultParent(t *testing.T) {
	private, open := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Chmod(private, 0o700), os.Chmod(open, 0o755)); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{private: private, open: os.TempDir(), "": os.TempDir(), "relative": os.TempDir()} {
		if got := DefaultParent(func(string) string { return dir }); got != want {
			t.Errorf("XDG_RUNTIME_DIR=%q: got %q, want %q", dir, got, want)
		}
	}
}

// BenchmarkNewFiles is part of what `run` adds to every start.
func BenchmarkNewFiles(b *testing.B) {
	ca := newAuthority(b, "ca")
	parent := b.TempDir()
	for b.Loop() {
		f, err := NewFiles(FilesConfig{Parent: parent, CA: ca.cert, Env: func(string) string { return "" }})
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
