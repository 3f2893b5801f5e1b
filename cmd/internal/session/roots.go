package session

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// roots is what the parent trusts: the system's certificates and those of the files that
// its environment names.
type roots struct {
	certs  [][]byte // DER, each once, in the order found
	system int      // how many of these, the first ones, are the system's
	extra  [][]byte // of these, those of NODE_EXTRA_CA_CERTS
	notes  []string
	seen   map[uint64][]byte // by hash
	seed   maphash.Seed
	read   map[string][][]byte // by path: one file is often named by several variables
}

// parentBundles are the variables of the parent that name certificates of its own. A
// company that intercepts TLS puts its CA into one of them, and a child whose variables we
// replace must go on trusting it: tunnelled and bypassed hosts still answer with it.
var parentBundles = []string{
	"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
}

// noRootsError is a machine without certificates. The proxy could verify nothing either.
type noRootsError struct{ where string }

func (e *noRootsError) Error() string { return "system roots: no certificate found in " + e.where }
func (e *noRootsError) Hint() string {
	return "install the package ca-certificates, or set SSL_CERT_FILE to a file of PEM certificates"
}

// collectRoots reads all of them. What the system keeps is required only if the
// environment names nothing either.
func collectRoots(env func(string) string) (*roots, error) {
	r := &roots{seen: map[uint64][]byte{}, seed: maphash.MakeSeed(), read: map[string][][]byte{}}
	where := r.addSystem(env)
	r.system = len(r.certs)
	for _, name := range parentBundles {
		path := env(name)
		if path == "" {
			continue
		}
		found, err := r.bundle(path)
		if err != nil {
			r.notes = append(r.notes, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		if name == "NODE_EXTRA_CA_CERTS" {
			r.extra = found
		}
		r.add(found)
	}
	if len(r.certs) == 0 {
		return nil, &noRootsError{where}
	}
	return r, nil
}

// bundle returns the certificates of a file or a folder.
func (r *roots) bundle(path string) ([][]byte, error) {
	if found, ok := r.read[path]; ok {
		return found, nil
	}
	found, err := r.readBundle(path)
	if err == nil {
		r.read[path] = found
	}
	return found, err
}

// readBundle reads a file, or all files of a folder: requests allows REQUESTS_CA_BUNDLE to
// name either.
func (r *roots) readBundle(path string) (all [][]byte, err error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		data, err := os.ReadFile(path)
		return decodePEM(data), err
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if found, ok := r.read[name]; ok { // the system keeps its own bundle in such a folder
			all = append(all, found...)
			continue
		}
		// A folder of roots is full of links to its own files, by hash, some dangling. They
		// bring nothing new; what cannot be read is skipped.
		if e.Type()&fs.ModeSymlink != 0 {
			if target, err := os.Readlink(name); err == nil && !strings.Contains(target, "/") {
				continue
			}
		}
		if data, err := os.ReadFile(name); err == nil {
			all = append(all, decodePEM(data)...)
		}
	}
	return all, nil
}

func (r *roots) add(certs [][]byte) {
	for _, der := range certs {
		key := maphash.Bytes(r.seed, der)
		if !bytes.Equal(r.seen[key], der) {
			r.seen[key] = der
			r.certs = append(r.certs, der)
		}
	}
}

// with returns the roots and one more.
func (r *roots) with(der []byte) [][]byte {
	all := make([][]byte, 0, len(r.certs)+1)
	return append(append(all, r.certs...), der)
}

// fill leaves out what does not parse, as crypto/x509 does with the system's files.
func (r *roots) fill(pool *x509.CertPool) {
	for _, der := range r.certs {
		if cert, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(cert)
		}
	}
}
