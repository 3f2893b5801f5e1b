package session

import (
	"crypto/x509"
	"os"
	"strconv"

	"software.sslmate.com/src/go-pkcs12"
)

const truststorePassword = "changeit"

// writeTruststore writes certificates as a PKCS#12 that the JVM takes for a trust store.
//
// It is neither encrypted nor authenticated: there is nothing to hide in it, the folder
// guards it, and the key derivations would double its cost. A JVM reads such a store with
// any password and with none.
//
// The first trusted certificates, the system's own, are taken as they are, which saves a
// third of the time; the others come from files that anybody may have edited.
func writeTruststore(path string, certs [][]byte, trusted int) error {
	entries := make([]pkcs12.TrustStoreEntry, 0, len(certs))
	for i, der := range certs {
		cert := &x509.Certificate{Raw: der} // all that the encoder looks at
		if i >= trusted {
			// One certificate that the JVM cannot parse makes it refuse the whole store.
			if _, err := x509.ParseCertificate(der); err != nil {
				continue
			}
		}
		// The alias must be unique, or the JVM keeps only the last of that name.
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: "agentvault-" + strconv.Itoa(i)})
	}
	data, err := pkcs12.Passwordless.EncodeTrustStoreEntries(entries, "")
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}
