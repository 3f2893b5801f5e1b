package session

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// FilesConfig says where the session's files go and what the parent trusts.
type FilesConfig struct {
	// Parent is the folder to make the session's folder in; "" means DefaultParent(Env).
	Parent string
	// CA is the session's authority. Required.
	CA *x509.Certificate
	// Env reads the parent's environment; nil means os.Getenv.
	Env func(string) string
}

// Files are a session's private files, all in one folder of mode 0700 that is gone after
// Close. Every path is absolute. The fields are read-only after NewFiles.
type Files struct {
	Dir        string
	CA         string // the session's CA alone, PEM
	Extra      string // for clients that ADD to their roots: the CA, and the parent's own NODE_EXTRA_CA_CERTS. The same file as CA where there is none
	Bundle     string // for clients that REPLACE their roots: the system's, the parent's own, and the CA, PEM
	Truststore string // the same roots as Bundle, PKCS#12, for the JVM
	// TruststorePassword is the JVM's customary "changeit". It guards nothing, and is not meant
	// to: the store holds certificates, which are public. Some clients refuse a store without one.
	TruststorePassword string
	Wgetrc             string // the user's own wgetrc without what would go around us, and our CA
	PHP                string // a folder of php.ini pieces
	NodeShim           string // CommonJS preload for a Node that does not know NODE_USE_ENV_PROXY

	// Roots are those of Bundle without the session's CA: what agentvault itself trusts on a
	// platform whose roots are files. Parsing them takes longer than everything else at the
	// start, so that goes on in the background: nobody may look before RootsReady is closed.
	Roots      *x509.CertPool
	RootsReady <-chan struct{}

	// Notes are one line each for the human: a file of certificates that the parent's
	// environment names and that could not be read.
	Notes []string

	lock  *os.File // held as long as the session lives: what Sweep looks at
	close sync.Once
	err   error
}

// Names inside the folder.
const (
	folderPrefix = "agentvault-"
	ownerName    = "owner"
)

// DefaultParent is $XDG_RUNTIME_DIR where it is a private folder of this user, which a
// reboot or a logout empties, and the folder for temporary files otherwise.
func DefaultParent(env func(string) string) string {
	if env == nil {
		env = os.Getenv
	}
	if dir := env("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) && private(dir) {
		return dir
	}
	return os.TempDir()
}

// NewFiles makes the folder and fills it. After an error nothing is left behind.
func NewFiles(c FilesConfig) (*Files, error) {
	if c.Env == nil {
		c.Env = os.Getenv
	}
	if c.Parent == "" {
		c.Parent = DefaultParent(c.Env)
	}
	roots, err := collectRoots(c.Env)
	if err != nil {
		return nil, err
	}
	parent, err := filepath.Abs(c.Parent)
	if err != nil {
		return nil, fmt.Errorf("session folder: %w", err)
	}
	dir, err := os.MkdirTemp(parent, folderPrefix) // 0700
	if err != nil {
		return nil, fmt.Errorf("session folder: %w", err)
	}
	f := &Files{Dir: dir, Notes: roots.notes, TruststorePassword: truststorePassword}
	if err := f.fill(c, roots); err != nil {
		f.Close()
		return nil, fmt.Errorf("session folder: %w", err)
	}
	return f, nil
}

func (f *Files) fill(c FilesConfig, roots *roots) error {
	lock, err := createOwner(filepath.Join(f.Dir, ownerName))
	if err != nil {
		return err
	}
	f.lock = lock

	all := roots.with(c.CA.Raw)
	store := make(chan error, 1)
	f.Truststore = filepath.Join(f.Dir, "truststore.p12")
	go func() { store <- writeTruststore(f.Truststore, all, roots.system) }()
	err = errors.Join(f.fillText(c, roots, all), <-store)
	ready := make(chan struct{})
	f.Roots, f.RootsReady = x509.NewCertPool(), ready
	go func() {
		defer close(ready)
		roots.fill(f.Roots)
	}()
	return err
}

func (f *Files) fillText(c FilesConfig, roots *roots, all [][]byte) error {
	var errs []error
	write := func(name string, data []byte) string {
		path := filepath.Join(f.Dir, name)
		errs = append(errs, os.WriteFile(path, data, 0o600))
		return path
	}
	f.CA = write("ca.pem", encodePEM(c.CA.Raw))
	f.Extra = f.CA
	if len(roots.extra) > 0 {
		f.Extra = write("extra.pem", encodePEM(append([][]byte{c.CA.Raw}, roots.extra...)...))
	}
	f.Bundle = write("bundle.pem", encodePEM(all...))
	f.Wgetrc = write("wgetrc", wgetrc(c.Env, f.Bundle))
	f.NodeShim = write(shimName, nodeShim)
	f.PHP = filepath.Join(f.Dir, "php")
	errs = append(errs, os.Mkdir(f.PHP, 0o700))
	write(filepath.Join("php", "agentvault.ini"), phpINI(f.Bundle))
	return errors.Join(errs...)
}

// Close removes the folder. It may be called more than once and from any goroutine; every
// call returns what the first one met.
func (f *Files) Close() error {
	f.close.Do(func() {
		if f.lock != nil {
			f.lock.Close() // first: Windows removes no open file. A Sweep that comes in between helps.
		}
		f.err = os.RemoveAll(f.Dir)
	})
	return f.err
}
