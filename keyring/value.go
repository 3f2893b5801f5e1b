package keyring

import (
	"bytes"
	"fmt"
)

// MaxValue is the largest value that a backend accepts, in bytes. The largest real
// secrets (service account files, certificate chains) stay below 64 KiB; what is
// larger is a mistake, and would be copied into every request.
const MaxValue = 1 << 20

// Received turns what a backend got into an Item: one newline at the end is trimmed
// (files and `echo` leave it there, and a header cannot hold it) and noted; nothing
// left is ErrEmpty. It takes a copy of raw. Every backend ends its Get with it, so
// that all of them agree.
func Received(raw []byte) (Item, error) {
	if len(raw) > MaxValue {
		return Item{}, fmt.Errorf("value has %d bytes (at most %d)", len(raw), MaxValue)
	}
	value := bytes.TrimSuffix(raw, []byte("\n"))
	var note string
	if len(value) < len(raw) {
		value = bytes.TrimSuffix(value, []byte("\r"))
		note = "a newline at the end was trimmed"
	}
	if len(value) == 0 {
		return Item{}, ErrEmpty
	}
	return Item{Value: NewSecret(value), Note: note}, nil
}
