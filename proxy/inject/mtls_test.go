package inject

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestClientCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, _ := x509.MarshalPKCS8PrivateKey(key)
	certPEM, keyPEM := pemOf("CERTIFICATE", der), pemOf("PRIVATE KEY", keyDER)

	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.TLS.PeerCertificates[0].SerialNumber)
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	srv.StartTLS()
	defer srv.Close()
	for _, stored := range []string{certPEM + keyPEM, keyPEM + certPEM} {
		cert, err := ClientCertificate(secret(stored))
		if err != nil {
			t.Fatal(err)
		}
		client := srv.Client()
		transport := client.Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.Certificates = []tls.Certificate{cert}
		resp, err := (&http.Client{Transport: transport}).Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(body) != "1" {
			t.Errorf("got %q", body)
		}
	}
	for _, stored := range []string{"", "s3cret-marker", certPEM, keyPEM} {
		if _, err := ClientCertificate(secret(stored)); err == nil || strings.Contains(err.Error(), "s3cret-marker") {
			t.Errorf("got %v", err)
		}
	}
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	otherDER, _ := x509.MarshalPKCS8PrivateKey(other)
	if _, err := ClientCertificate(secret(certPEM + pemOf("PRIVATE KEY", otherDER))); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("another key: got %v", err)
	}
	cert, _ := ClientCertificate(secret(certPEM + keyPEM))
	if err := CheckExpiry(cert, time.Now()); err != nil {
		t.Error(err)
	}
	if err := CheckExpiry(cert, time.Now().Add(2*time.Hour)); err == nil || !strings.Contains(err.Error(), "expired on 2") {
		t.Errorf("expired: got %v", err)
	}
}
