//go:build unix && !darwin

package session

import (
	"path/filepath"
	"strings"
)

// systemBundles are the places where systems keep their roots in one file. The first that
// can be read is taken. These are the places that crypto/x509 looks at.
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Gentoo, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/tls/cacert.pem",                           // OpenELEC
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL 7
	"/etc/ssl/cert.pem",                                 // Alpine, OpenBSD
	"/usr/local/etc/ssl/cert.pem",                       // FreeBSD
	"/usr/local/share/certs/ca-root-nss.crt",            // DragonFly
	"/etc/openssl/certs/ca-certificates.crt",            // NetBSD
}

// systemFolders are looked at where there is no such file.
var systemFolders = []string{"/etc/ssl/certs", "/etc/pki/tls/certs", "/system/etc/security/cacerts"}

func (r *roots) addSystem(env func(string) string) (where string) {
	for _, path := range systemBundles {
		if found, err := r.bundle(path); err == nil {
			r.add(found)
			break
		}
	}
	folders := filepath.SplitList(env("SSL_CERT_DIR"))
	if len(r.certs) == 0 {
		folders = append(folders, systemFolders...)
	}
	for _, dir := range folders {
		if dir == "" {
			continue
		}
		if found, err := r.bundle(dir); err == nil {
			r.add(found)
		}
	}
	return strings.Join(systemBundles[:2], ", ") + " and the other usual places"
}
