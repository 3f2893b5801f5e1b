package session

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

// The store is byte for byte what a library makes of the same certificates.
func TestTruststoreAsTheLibrary(t *testing.T) {
	for _, sizes := range [][]int{{}, {1}, {100}, {120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130}, {200, 255, 256, 65000, 65535, 65536}, {1 << 17}} {
		var certs [][]byte
		var entries []pkcs12.TrustStoreEntry
		for i, n := range sizes {
			cert := bytes.Repeat([]byte{byte(n)}, n)
			certs = append(certs, cert)
			entries = append(entries, pkcs12.TrustStoreEntry{Cert: &x509.Certificate{Raw: cert}, FriendlyName: fmt.Sprint("agentvault-", i)})
		}
		want, err := pkcs12.Passwordless.EncodeTrustStoreEntries(entries, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := encodeTruststore(certs, len(certs)); !bytes.Equal(got, want) {
			t.Errorf("%d: got %d bytes %.200x\nwant %d bytes %.200x", sizes, len(got), got, len(want), want)
		}
	}
}

// What is not the system's own and does not parse is left out.
func TestTruststoreLeavesOutWhatDoesNotParse(t *testing.T) {
	ca := newAuthority(t, "ca")
	data := encodeTruststore([][]byte{ca.cert.Raw, []byte("no certificate"), ca.cert.Raw}, 1)
	got, err := pkcs12.DecodeTrustStore(data, "")
	if err != nil || len(got) != 2 {
		t.Errorf("got %d certificates, %v", len(got), err)
	}
}
