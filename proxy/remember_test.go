package proxy

import (
	"fmt"
	"testing"
)

func TestRememberedIsBounded(t *testing.T) {
	var m remembered[int]
	if _, ok := m.get("h0.test"); ok {
		t.Error("it knows a host before any was told")
	}
	for i := range 2 * maxRemembered {
		host := fmt.Sprintf("h%d.test", i)
		m.keep(host, i)
		m.keep(host, -i) // takes no other's place
		if v, ok := m.get(host); !ok || v != -i {
			t.Fatalf("%s: %d %t", host, v, ok)
		}
	}
	if n := len(m.of); n != maxRemembered {
		t.Errorf("%d are kept, want %d", n, maxRemembered)
	}
}
