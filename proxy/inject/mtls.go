package inject

import (
	"crypto/tls"

	"agentvault/keyring"
)

// ClientCertificate reads a PEM of certificate chain and private key, in any order, for
// the connection to a service that knows its clients by certificate. It is not an
// Injector: the request does not change, the dialer presents it.
func ClientCertificate(secret keyring.Secret) (tls.Certificate, error) {
	pem := []byte(secret.Reveal())
	defer clear(pem)
	cert, err := tls.X509KeyPair(pem, pem)
	if err != nil {
		// The parser's words may quote the input.
		return tls.Certificate{}, &problem{"mtls: the secret is not a certificate with its private key in PEM", "store both in one value, the certificate first"}
	}
	return cert, nil
}
