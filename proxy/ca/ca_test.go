package ca

import (
	"crypto/x509"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLeafVerifies(t *testing.T) {
	a, err := New("t", nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	for _, host := range []string{"api.example.test", "127.0.0.1", "::1", "with_underscore.example.test", "single", strings.Repeat("a", 60) + ".example.test"} {
		t.Run(host, func(t *testing.T) {
			c, err := a.Leaf(host)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots}); err != nil {
				t.Error(err)
			}
			if len(c.Leaf.AuthorityKeyId) == 0 || len(c.Leaf.SubjectKeyId) == 0 {
				t.Error("key identifiers are missing")
			}
			if c.Leaf.NotAfter.Sub(c.Leaf.NotBefore) > 26*time.Hour {
				t.Error("leaf lasts too long")
			}
			if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: "other.example.test", Roots: roots}); err == nil {
				t.Error("leaf is valid for another host")
			}
		})
	}
}

func TestLeafIsKept(t *testing.T) {
	now := time.Now()
	a, err := New("t", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	first, _ := a.Leaf("h.test")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if again, _ := a.Leaf("h.test"); again != first {
				t.Error("minted twice")
			}
		})
	}
	wg.Wait()
	now = now.Add(23*time.Hour + time.Minute)
	if later, _ := a.Leaf("h.test"); later == first {
		t.Error("an old leaf was not minted anew")
	}
	for i := range maxLeaves + 10 {
		if _, err := a.Leaf(fmt.Sprintf("h%d.test", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.leaves); n != maxLeaves {
		t.Errorf("%d leaves are kept, want %d", n, maxLeaves)
	}
}

// What is signed is valid from a little before it was made until its end, and not beyond.
func TestLifetimes(t *testing.T) {
	now := time.Now()
	a, err := New("t", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := a.Leaf("h.test")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	for _, tt := range []struct {
		name string
		cert *x509.Certificate
		at   time.Duration
		good bool
	}{
		{"a leaf before the skew", leaf.Leaf, -skew - time.Minute, false},
		{"a leaf within the skew", leaf.Leaf, -skew + time.Minute, true},
		{"a leaf before its end", leaf.Leaf, leafLife - time.Minute, true},
		{"a leaf after its end", leaf.Leaf, leafLife + time.Minute, false},
		{"the authority before the skew", a.Certificate(), -skew - time.Minute, false},
		{"the authority before its end", a.Certificate(), caLife - time.Minute, true},
		{"the authority after its end", a.Certificate(), caLife + time.Minute, false},
	} {
		_, err := tt.cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now.Add(tt.at), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Nothing exported hands out a key: no method, no field.
func TestKeyHasNoAccessor(t *testing.T) {
	typ := reflect.TypeFor[*Authority]()
	for i := range typ.NumMethod() {
		for j := range typ.Method(i).Type.NumOut() {
			if s := typ.Method(i).Type.Out(j).String(); strings.Contains(s, "PrivateKey") {
				t.Errorf("%s returns %s", typ.Method(i).Name, s)
			}
		}
	}
	for i := range typ.Elem().NumField() {
		if typ.Elem().Field(i).IsExported() {
			t.Errorf("field %s is exported", typ.Elem().Field(i).Name)
		}
	}
}

func BenchmarkMint(b *testing.B) {
	a, err := New("b", nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := a.mint("api.example.test"); err != nil {
			b.Fatal(err)
		}
	}
}
