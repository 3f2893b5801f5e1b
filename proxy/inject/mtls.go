package inject

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"agentvault/keyring"
)

// ClientCertificate reads a PEM of certificate chain and private key, in any order, for
// the connection to a service that knows its clients by certificate. It is not an
// Injector: the request does not change, the dialer presents it.
func ClientCertificate(secret keyring.Secret) (tls.Certificate, error) {
	pem := []byte(secret.Reveal())
	defer clear(pem)
	cert, err := tls.X509KeyPair(pem, pem)
	if err != nil && strings.Contains(err.Error(), "private key does not match") {
		return tls.Certificate{}, &problem{"mtls: the private key does not belong to the certificate", "store the two that were issued together, the certificate of the client first"}
	}
	if err != nil {
		// The parser's words may quote the input.
		return tls.Certificate{}, &problem{"mtls: the secret is not a certificate with its private key in PEM", "store both in one value, the certificate first"}
	}
	return cert, nil
}

// CheckExpiry refuses a client certificate whose time is over: the server would break the
// handshake off, with words that do not say whose certificate it means.
func CheckExpiry(cert tls.Certificate, now time.Time) error {
	if leaf := cert.Leaf; leaf != nil && now.After(leaf.NotAfter) {
		return &problem{fmt.Sprintf("mtls: the client certificate has expired on %s", leaf.NotAfter.UTC().Format(time.DateOnly)), "store one that is valid"}
	}
	return nil
}
