package session

import (
	"crypto/x509"
	"encoding/asn1"
	"os"
	"slices"
	"strconv"
)

const truststorePassword = "changeit"

// writeTruststore writes certificates as a PKCS#12 that the JVM takes for a trust store.
//
// It is neither encrypted nor authenticated: there is nothing to hide in it, the folder
// guards it, and the key derivations would double its cost. A JVM reads such a store with
// any password and with none.
//
// The first trusted certificates, the system's own, are taken as they are; the others come
// from files that anybody may have edited.
func writeTruststore(path string, certs [][]byte, trusted int) error {
	return os.WriteFile(path, encodeTruststore(certs, trusted), 0o600)
}

// The parts of a PKCS#12 (RFC 7292) that are the same for every certificate, in DER. The
// file is put together by hand: encoding/asn1 looks at every field by reflection, which
// takes 1 to 2 ms for the roots of a system, at every start.
var (
	oidData    = der(asn1.TagOID, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01})                   // pkcs7-data
	oidCertBag = der(asn1.TagOID, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03})       // certBag
	oidX509    = der(asn1.TagOID, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01})             // x509Certificate
	oidName    = der(asn1.TagOID, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14})                   // friendlyName
	oidTrusted = der(asn1.TagOID, []byte{0x60, 0x86, 0x48, 0x01, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 0x01, 0x01}) // Oracle's trustedKeyUsage
	oidAny     = der(asn1.TagOID, []byte{0x55, 0x1d, 0x25, 0x00})                                                 // anyExtendedKeyUsage
	version3   = der(asn1.TagInteger, []byte{3})
	// Without it a JVM takes the certificate for a part of somebody's chain.
	trustedForAll = der(derSequence, oidTrusted, der(derSet, oidAny))
)

const (
	derSequence = 0x20 | asn1.TagSequence
	derSet      = 0x20 | asn1.TagSet
	derExplicit = 0xa0 // [0]
)

func encodeTruststore(certs [][]byte, trusted int) []byte {
	var bags []bag
	all := 0
	for i, cert := range certs {
		if i >= trusted {
			// One certificate that the JVM cannot parse makes it refuse the whole store.
			if _, err := x509.ParseCertificate(cert); err != nil {
				continue
			}
		}
		// The alias must be unique, or the JVM keeps only the last of that name.
		b := newBag(cert, "agentvault-"+strconv.Itoa(i))
		bags = append(bags, b)
		all += element(b.size)
	}
	// From the inside: the list of bags, as data in a list of its own, as data in the file.
	contents := element(all)
	safe := element(element(contents)) // [0] OCTET STRING
	info := len(oidData) + safe
	list := element(element(info))
	outer := len(oidData) + element(element(list))
	file := len(version3) + element(outer)

	out := make([]byte, 0, element(file))
	out = append(appendHead(out, derSequence, file), version3...)
	out = append(appendHead(out, derSequence, outer), oidData...)
	out = appendHead(out, derExplicit, element(list))
	out = appendHead(out, asn1.TagOctetString, list)
	out = appendHead(out, derSequence, element(info))
	out = append(appendHead(out, derSequence, info), oidData...)
	out = appendHead(out, derExplicit, element(contents))
	out = appendHead(out, asn1.TagOctetString, contents)
	out = appendHead(out, derSequence, all)
	for _, b := range bags {
		out = b.append(out)
	}
	return out
}

// bag is one certificate as a SafeBag: itself, and its attributes.
type bag struct {
	cert  []byte
	alias string
	// Sizes without the heads.
	size, value, certBag, attributes int
}

func newBag(cert []byte, alias string) bag {
	b := bag{cert: cert, alias: alias}
	b.value = element(len(cert)) // [0] OCTET STRING
	b.certBag = len(oidX509) + element(b.value)
	b.attributes = len(trustedForAll) + element(b.name())
	b.size = len(oidCertBag) + element(element(b.certBag)) + element(b.attributes)
	return b
}

// name is the size of the attribute that holds the alias, a BMPString.
func (b *bag) name() int { return len(oidName) + element(element(2*len(b.alias))) }

func (b *bag) append(to []byte) []byte {
	to = append(appendHead(to, derSequence, b.size), oidCertBag...)
	to = appendHead(to, derExplicit, element(b.certBag))
	to = append(appendHead(to, derSequence, b.certBag), oidX509...)
	to = appendHead(to, derExplicit, b.value)
	to = append(appendHead(to, asn1.TagOctetString, len(b.cert)), b.cert...)
	to = append(appendHead(to, derSet, b.attributes), trustedForAll...) // DER sorts the members of a set
	to = append(appendHead(to, derSequence, b.name()), oidName...)
	to = appendHead(to, derSet, element(2*len(b.alias)))
	to = appendHead(to, asn1.TagBMPString, 2*len(b.alias))
	for i := range len(b.alias) { // ASCII
		to = append(to, 0, b.alias[i])
	}
	return to
}

// element is the size of an element with n bytes inside.
func element(n int) int { return len(appendHead(make([]byte, 0, 6), 0, n)) + n }

// appendHead appends the tag and the length of an element with n bytes inside.
func appendHead(to []byte, tag byte, n int) []byte {
	to = append(to, tag)
	switch {
	case n < 0x80:
		return append(to, byte(n))
	case n < 0x100:
		return append(to, 0x81, byte(n))
	case n < 0x10000:
		return append(to, 0x82, byte(n>>8), byte(n))
	case n < 0x1000000:
		return append(to, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(to, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func der(tag byte, parts ...[]byte) []byte {
	all := slices.Concat(parts...)
	return append(appendHead(nil, tag, len(all)), all...)
}
