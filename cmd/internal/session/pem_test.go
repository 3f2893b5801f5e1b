package session

import (
	"bytes"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
)

// library is what encoding/pem makes of a file.
func library(data []byte) (certs [][]byte) { return slowPEM(data) }

func libraryEncode(certs ...[]byte) []byte {
	var b bytes.Buffer
	for _, der := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return b.Bytes()
}

func TestPEMAsTheLibrary(t *testing.T) {
	one, two := bytes.Repeat([]byte("one"), 100), []byte("two")
	a, b := string(libraryEncode(one)), string(libraryEncode(two))
	key := "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	for _, tt := range []struct{ name, text string }{
		{"nothing", ""},
		{"no certificate", "some text\n"},
		{"two", a + b},
		{"text between", "# first\n" + a + "\n# second\nCN=x\n" + b + "the end"},
		{"CRLF", strings.ReplaceAll(a+b, "\n", "\r\n")},
		{"spaces at the ends of lines", strings.ReplaceAll(a, "\n", " \t\n")},
		{"one line", "-----BEGIN CERTIFICATE-----\n" + strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(a, pemBegin+"\n"), pemEnd+"\n"), "\n", "") + "\n-----END CERTIFICATE-----\n"},
		{"another kind", key + a + key},
		{"headers", "-----BEGIN CERTIFICATE-----\nA: b\n\n" + strings.TrimPrefix(a, pemBegin+"\n") + b},
		{"damaged", strings.Replace(a, "b", "*", 1) + b},
		{"without an end", strings.TrimSuffix(a, pemEnd+"\n") + b},
		{"cut off", a + b[:len(b)-10]},
		{"not at a line's beginning", "x" + a + b},
		{"empty block", pemBegin + "\n" + pemEnd + "\n" + a},
		{"no newline at the end", strings.TrimSuffix(a, "\n")},
		{"trusted", strings.ReplaceAll(a, "CERTIFICATE", "TRUSTED CERTIFICATE") + b},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, want := decodePEM([]byte(tt.text)), library([]byte(tt.text))
			if !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("got %d certificates, %q\nwant %d, %q", len(got), got, len(want), want)
			}
		})
	}
	for n := range 200 {
		der := bytes.Repeat([]byte{byte(n)}, n)
		if got, want := encodePEM(der, two), libraryEncode(der, two); n > 0 && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: got %q, want %q", n, got, want)
		}
	}
}

// FuzzPEM: what is read fast is what the library reads.
func FuzzPEM(f *testing.F) {
	a := string(libraryEncode(bytes.Repeat([]byte("x"), 70)))
	for _, s := range []string{a, a + "text\n" + a, strings.ReplaceAll(a, "\n", "\r\n"), strings.Replace(a, "e", "=", 1), pemBegin + "\n" + pemEnd, pemBegin + "AAAA" + pemEnd} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, want := decodePEM(data), library(data)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%q: got %q, want %q", data, got, want)
		}
	})
}
