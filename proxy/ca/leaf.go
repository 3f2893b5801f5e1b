package ca

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"
)

// form is what all leaves of an authority have in common.
//
// x509.CreateCertificate would make the same bytes (a test compares them), and then verify
// what it has signed: that is more than half of its time, and the client verifies it anyway.
// A host that is new waits for its leaf.
type form struct {
	issuer, publicKey asn1.RawValue
	extensions        []pkix.Extension // all but the name
}

// certificate and tbs are those of RFC 5280 4.1.
type certificate struct {
	TBS       asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

type tbs struct {
	Version    int `asn1:"explicit,tag:0"`
	Serial     *big.Int
	Algorithm  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	Validity   struct{ NotBefore, NotAfter time.Time }
	Subject    pkix.RDNSequence
	PublicKey  asn1.RawValue
	Extensions []pkix.Extension `asn1:"explicit,tag:3"`
}

const version3 = 2

var (
	ecdsaWithSHA256 = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}} // RFC 5758 3.2
	serverAuth      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}                                      // RFC 5280 4.2.1.12
)

// extension is one of RFC 5280 4.2.1, whose number is the last of its identifier.
func extension(number int, critical bool, value any) (pkix.Extension, error) {
	der, err := asn1.Marshal(value)
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, number}, Critical: critical, Value: der}, err
}

func newForm(authority *x509.Certificate, key *ecdsa.PublicKey) (*form, error) {
	public, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	f := &form{issuer: asn1.RawValue{FullBytes: authority.RawSubject}, publicKey: asn1.RawValue{FullBytes: public}}
	for _, e := range []struct {
		number   int
		critical bool
		value    any
	}{
		{15, true, asn1.BitString{Bytes: []byte{0x80}, BitLength: 1}}, // key usage: signatures
		{37, false, []asn1.ObjectIdentifier{serverAuth}},              // extended key usage
		{19, true, struct{}{}},                                        // basic constraints: no authority
		// Python 3.13 verifies with VERIFY_X509_STRICT and refuses a leaf without the
		// identifiers of its key and of the authority's.
		{14, false, keyID(key)},
		{35, false, struct {
			ID []byte `asn1:"tag:0"`
		}{authority.SubjectKeyId}},
	} {
		x, err := extension(e.number, e.critical, e.value)
		if err != nil {
			return nil, err
		}
		f.extensions = append(f.extensions, x)
	}
	return f, nil
}

// subject names the host where there is room: a common name has at most 64 characters
// (RFC 5280, ub-common-name).
func subject(host string) pkix.Name {
	name := pkix.Name{Organization: []string{"agentvault"}}
	if len(host) <= 64 {
		name.CommonName = host
	}
	return name
}

// altName is the host, a DNS name or an address, as the only name that the leaf is for.
func altName(host string) (pkix.Extension, error) {
	const dnsName, ipAddress, subjectAltName = 2, 7, 17
	name := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: dnsName, Bytes: []byte(host)}
	if ip, err := netip.ParseAddr(host); err == nil {
		name.Tag, name.Bytes = ipAddress, ip.Unmap().WithZone("").AsSlice()
	} else if strings.ContainsFunc(host, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return pkix.Extension{}, errors.New("the name is not ASCII (RFC 5280 4.2.1.6)")
	}
	return extension(subjectAltName, false, []asn1.RawValue{name})
}

func (a *Authority) mint(host string) (*tls.Certificate, error) {
	der, err := a.sign(host)
	if err != nil {
		return nil, fmt.Errorf("leaf for %q: %w", host, err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("leaf for %q: %w", host, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: a.leafKey, Leaf: parsed}, nil
}

func (a *Authority) sign(host string) ([]byte, error) {
	name, err := altName(host)
	if err != nil {
		return nil, err
	}
	now := a.now().UTC()
	t := tbs{Version: version3, Serial: serial(), Algorithm: ecdsaWithSHA256, Issuer: a.form.issuer, Subject: subject(host).ToRDNSequence(),
		PublicKey: a.form.publicKey, Extensions: append(a.form.extensions[:len(a.form.extensions):len(a.form.extensions)], name)}
	t.Validity.NotBefore, t.Validity.NotAfter = now.Add(-skew), now.Add(leafLife)
	raw, err := asn1.Marshal(t)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, sum[:])
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(certificate{asn1.RawValue{FullBytes: raw}, ecdsaWithSHA256, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
}
