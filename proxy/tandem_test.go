package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"agentvault/proxy/scrub"
)

// pieces is a reader that gives what it has in pieces of its own choice.
type pieces struct {
	rest []byte
	rng  *rand.Rand
	most int
	each func()
}

func (p *pieces) Read(b []byte) (int, error) {
	p.each()
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), 1+p.rng.IntN(p.most))], p.rest)
	p.rest = p.rest[n:]
	if len(p.rest) == 0 && p.rng.IntN(2) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// FuzzTandem: a compressed body without a secret passes byte for byte, however it was cut
// and flushed. Of one with a secret nothing leaves that unpacks to a byte of it.
func FuzzTandem(f *testing.F) {
	for i := range packers {
		f.Add([]byte("data: some text\n\ndata: more of it\n\n"), uint64(i), uint8(i), uint16(3), uint16(1), true)
		f.Add([]byte("s3cret-senti s3cret-sentinel-012345678 x"), uint64(i), uint8(i), uint16(50), uint16(9), false)
		f.Add([]byte(noise(1000)), uint64(i), uint8(i), uint16(600), uint16(400), true)
	}
	search := scrub.New([]scrub.Secret{{Value: sentinel}})
	f.Fuzz(func(t *testing.T, text []byte, seed uint64, which uint8, at, most uint16, echo bool) {
		tt := packers[int(which)%len(packers)]
		rng := rand.New(rand.NewPCG(seed, 1))
		for seed%7 == 0 && len(text) > 0 && len(text) < 70<<10 { // longer than any window but a brotli one
			text = append(text, text...)
		}
		before := string(text)
		if search.Find(text) {
			t.Skip()
		}
		if echo {
			cut := int(at) % (len(text) + 1)
			if before = string(text[:cut]); search.Find([]byte(before + sentinel[:len(sentinel)-1])) {
				t.Skip()
			}
			text = []byte(before + sentinel + string(text[cut:]))
		}
		body := bytes.Join(piecesOf(tt.pack, string(text), 1+rng.IntN(len(text)/2+100)), nil)
		var out bytes.Buffer
		src := &pieces{rest: body, rng: rng, most: 1 + int(most)}
		d, err := newTandem(tt.encoding, src, search)
		if err != nil {
			t.Fatal(err)
		}
		begun := 0
		d.begin = func() error { begun++; return nil }
		d.out = func(p []byte) error {
			if begun != 1 {
				t.Errorf("%d bytes before the head", len(p))
			}
			out.Write(p)
			return nil
		}
		src.each = func() {
			if rng.IntN(4) == 0 {
				d.late()
			}
		}
		err = d.run()
		if !echo {
			if err != nil || !bytes.Equal(out.Bytes(), body) {
				t.Errorf("%s: got %d of %d bytes, %v", tt.name, out.Len(), len(body), err)
			}
			return
		}
		if !errors.Is(err, errEcho) {
			t.Fatalf("%s: got %v", tt.name, err)
		}
		if left := allOf(tt.unpack, out.Bytes()); !strings.HasPrefix(before, left) {
			t.Errorf("%s: %d bytes unpack to %q, beyond %q", tt.name, out.Len(), left, before)
		}
		if !d.opened {
			plain, err := newDecoded(tt.encoding, d.again())
			if err != nil {
				t.Fatal(err)
			}
			if all, err := io.ReadAll(plain); err != nil || !bytes.Equal(all, text) {
				t.Errorf("%s: read again: %q, %v", tt.name, all, err)
			}
		}
	})
}
