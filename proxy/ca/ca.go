// Package ca is the certificate authority of one session.
//
// Its key is made at the start, stays in memory, has no accessor and signs leaves
// only. Whoever holds an Authority can mint leaves with it and cannot copy it; when
// the session ends nothing of it is left.
package ca

import (
	"container/list"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// A leaf lasts a day: longer than most sessions (a longer one gets a fresh leaf), and
	// under the 825 days after which Apple's verifier refuses a leaf of a custom root.
	leafLife = 24 * time.Hour
	// A leaf is minted anew when less than this is left of it, so that none ends in the
	// middle of a connection.
	leafRenew = time.Hour
	// The CA outlives every session that a human leaves open over a holiday.
	caLife = 90 * 24 * time.Hour
	// Clocks of containers and virtual machines lag behind their host after a sleep.
	skew = time.Hour
	// An agent that crawls the web meets many hosts; a leaf is about 2 KiB.
	maxLeaves = 1024
)

// Authority signs leaves for one session. It is safe for concurrent use.
type Authority struct {
	now     func() time.Time
	cert    *x509.Certificate
	pem     []byte
	key     *ecdsa.PrivateKey
	leafKey *ecdsa.PrivateKey

	mu     sync.Mutex
	leaves map[string]*list.Element // of *leaf
	recent *list.List               // front = used last
}

type leaf struct {
	host string
	once sync.Once
	cert atomic.Pointer[tls.Certificate]
	err  error // written inside once, read after it
}

// New makes an Authority. now is the session's clock; nil means time.Now.
func New(session string, now func() time.Time) (*Authority, error) {
	if now == nil {
		now = time.Now
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("session CA: %w", err)
	}
	// One key serves all leaves: they share the session's lifetime and its process.
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("session CA: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "agentvault session " + session, Organization: []string{"agentvault"}},
		NotBefore:             now().Add(-skew),
		NotAfter:              now().Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // signs leaves, never another authority
		SubjectKeyId:          keyID(&key.PublicKey),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("session CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("session CA: %w", err)
	}
	return &Authority{
		now: now, cert: cert, key: key, leafKey: leafKey,
		pem:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		leaves: make(map[string]*list.Element), recent: list.New(),
	}, nil
}

// Certificate is the CA's certificate, for trust stores.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// PEM is the CA's certificate in PEM form.
func (a *Authority) PEM() []byte { return append([]byte(nil), a.pem...) }

// Leaf returns the certificate for one host: a DNS name in lower case or an IP address
// without brackets. It is minted once and kept; callers that ask at the same time share
// the work.
func (a *Authority) Leaf(host string) (*tls.Certificate, error) {
	if host == "" {
		return nil, errors.New("leaf: no host")
	}
	l := a.entry(host)
	l.once.Do(func() {
		cert, err := a.mint(host)
		l.err = err
		l.cert.Store(cert)
	})
	return l.cert.Load(), l.err
}

// entry finds or adds the leaf of a host and drops the one that was used longest ago.
func (a *Authority) entry(host string) *leaf {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e, ok := a.leaves[host]; ok {
		l := e.Value.(*leaf)
		if cert := l.cert.Load(); cert == nil || cert.Leaf.NotAfter.Sub(a.now()) > leafRenew {
			a.recent.MoveToFront(e)
			return l
		}
		a.recent.Remove(e)
	}
	l := &leaf{host: host}
	a.leaves[host] = a.recent.PushFront(l)
	if a.recent.Len() > maxLeaves {
		last := a.recent.Back()
		a.recent.Remove(last)
		delete(a.leaves, last.Value.(*leaf).host)
	}
	return l
}

func (a *Authority) mint(host string) (*tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"agentvault"}},
		NotBefore:             a.now().Add(-skew),
		NotAfter:              a.now().Add(leafLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		// Python 3.13 verifies with VERIFY_X509_STRICT and refuses a leaf without key
		// identifiers; x509 adds the authority's from the parent.
		SubjectKeyId: keyID(&a.leafKey.PublicKey),
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		template.IPAddresses = append(template.IPAddresses, ip.WithZone("").AsSlice())
	} else {
		template.DNSNames = []string{host}
	}
	// A common name is at most 64 characters long (RFC 5280, ub-common-name).
	if len(host) <= 64 {
		template.Subject.CommonName = host
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.leafKey.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("leaf for %q: %w", host, err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("leaf for %q: %w", host, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: a.leafKey, Leaf: parsed}, nil
}

func serial() *big.Int {
	// RFC 5280 allows 20 octets and asks for a positive number; 128 bits never collide.
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

// keyID is method 1 of RFC 5280 4.2.1.2: the SHA-1 of the public key's bits.
func keyID(k *ecdsa.PublicKey) []byte {
	raw, err := k.Bytes()
	if err != nil {
		return nil
	}
	sum := sha1.Sum(raw)
	return sum[:]
}
