package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"agentvault/proxy/scrub"
)

// maxPacked is the longest compressed message that is unpacked to be searched: what gRPC's
// clients take of any message, unless they were told otherwise. It bounds memory.
const maxPacked = 4 << 20

var errPacked = errors.New("a compressed message of the answer cannot be searched for the session's secrets")

// messageEncoding is what the compressed messages of an answer are compressed with, as gRPC
// and Connect name it; "" where there are none.
func messageEncoding(h http.Header) string {
	for _, name := range [...]string{"Grpc-Encoding", "Connect-Content-Encoding"} {
		if v := strings.ToLower(strings.TrimSpace(h.Get(name))); v != "" && v != "identity" {
			return v
		}
	}
	return ""
}

// unpack looks into a compressed message. No server has to ask before it compresses: grpc-go
// answers in the encoding of the request. A message without a secret passes as it came, one
// with a secret leaves plain and masked, and one that cannot be looked into ends the answer.
func (e *envelopes) unpack() error {
	if e.message.left > maxPacked {
		return fmt.Errorf("%w: it has %d bytes", errPacked, e.message.left)
	}
	packed, err := io.ReadAll(e.message)
	if err == nil {
		err = e.message.err // it is torn
	}
	if err != nil {
		return err
	}
	out, masked, err := e.searched(packed)
	if err != nil {
		return fmt.Errorf("%w: %w", errPacked, err)
	}
	if masked {
		e.ready = binary.BigEndian.AppendUint32([]byte{e.head[0] &^ 1}, uint32(len(out)))
	}
	e.search = bytes.NewReader(out)
	return nil
}

// searched is packed as it is, or what is in it without the secrets.
func (e *envelopes) searched(packed []byte) (out []byte, masked bool, err error) {
	open := func() (io.Reader, error) {
		wire := &counted{Reader: bytes.NewReader(packed), n: new(int64)}
		plain, err := newDecoded(e.encoding, wire)
		return &bomb{Reader: plain, wire: wire.n}, err
	}
	plain, err := open()
	if err != nil {
		return nil, false, err
	}
	if _, err = io.Copy(io.Discard, e.scrubber.Stop(plain)); err == nil {
		if e.scrubber.Find(packed) { // behind the end of what is compressed
			return nil, false, scrub.ErrFound
		}
		return packed, false, nil
	}
	if !errors.Is(err, scrub.ErrFound) {
		return nil, false, err
	}
	if plain, err = open(); err != nil {
		return nil, false, err
	}
	out, err = io.ReadAll(e.scrubber.Reader(io.LimitReader(plain, bombFree+1)))
	if err == nil && len(out) > bombFree {
		err = errBomb
	}
	return out, true, err
}
