package scrub

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

type random struct{ *rand.Rand }

func newRand(seed uint64) random { return random{rand.New(rand.NewPCG(seed, seed))} }

func (r random) text(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

// pieces hands out one piece a Read, as a network does.
type pieces [][]byte

func (p *pieces) Read(b []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n := copy(b, (*p)[0])
	if (*p)[0] = (*p)[0][n:]; len((*p)[0]) == 0 {
		*p = (*p)[1:]
	}
	return n, nil
}

// split cuts text into pieces of 1 to most bytes.
func split(rng random, text string, most int) [][]byte {
	var out [][]byte
	for len(text) > 0 {
		n := min(len(text), 1+rng.IntN(most))
		out = append(out, []byte(text[:n]))
		text = text[n:]
	}
	return out
}

func writeAll(t *testing.T, s *Scrubber, parts [][]byte) string {
	t.Helper()
	var out bytes.Buffer
	w := s.Writer(&out)
	for _, p := range parts {
		if n, err := w.Write(p); n != len(p) || err != nil {
			t.Fatalf("Write: got %d, %v, want %d", n, err, len(p))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestStreamSplits(t *testing.T) {
	rng := newRand(1)
	s := New([]Secret{{"abcdefgh", "<1>"}, {"abcdefghij-klm", "[2]"}, {"cdefghij", ""}, {strings.Repeat("ab", 300), "long"}})
	fragments := []string{"abcdefgh", "abcdefghij-kl", "abcdefghij-klm", "cdefghij", "ab", "abcdefg", "x", strings.Repeat("ab", 299), strings.Repeat("ab", 301), "YWJjZGVmZ2g="}
	for range 300 {
		var text strings.Builder
		for range rng.IntN(12) {
			text.WriteString(fragments[rng.IntN(len(fragments))])
		}
		in := text.String()
		want := naive(s, in)
		if got, _ := s.String(in); got != want {
			t.Fatalf("String(%q):\n got %q\nwant %q", in, got, want)
		}
		for _, most := range []int{1, 3, 40, 2000} {
			parts := split(rng, in, most)
			if got := writeAll(t, s, parts); got != want {
				t.Fatalf("Writer, pieces of %d, %q:\n got %q\nwant %q", most, in, got, want)
			}
			for _, size := range []int{1, 7, 600, 4096} {
				src := pieces(split(rng, in, most))
				got, err := io.ReadAll(sizedReader{s.Reader(&src), size})
				if err != nil || string(got) != want {
					t.Fatalf("Reader, pieces of %d into %d, %q:\n got %q, %v\nwant %q", most, size, in, got, err, want)
				}
			}
		}
	}
}

// sizedReader reads with a buffer of one size.
type sizedReader struct {
	r    io.Reader
	size int
}

func (s sizedReader) Read(p []byte) (int, error) {
	b := make([]byte, s.size)
	n, err := s.r.Read(b[:min(s.size, len(p))])
	return copy(p, b[:n]), err
}

func TestReaderContract(t *testing.T) {
	s := New([]Secret{{"abcdefgh", "12345678"}})
	in := strings.Repeat("some text abcdefgh ", 500)
	want, _ := s.String(in)
	if err := iotest.TestReader(s.Reader(strings.NewReader(in)), []byte(want)); err != nil {
		t.Error(err)
	}
	// Data together with io.EOF.
	got, err := io.ReadAll(s.Reader(iotest.DataErrReader(strings.NewReader(in))))
	if err != nil || string(got) != want {
		t.Errorf("data with EOF: got %d bytes, %v", len(got), err)
	}
}

// What has arrived leaves at once, but for the bytes that could begin a secret.
func TestReaderIsPrompt(t *testing.T) {
	s := New([]Secret{{"abcdefgh", "*"}})
	for _, size := range []int{16, 4096} {
		src, feed := io.Pipe()
		r := s.Reader(src)
		for _, step := range []struct{ in, out string }{
			{"data: 1\n\n", "data: 1\n\n"},
			{"data: abc", "data: "},
			{"def\n\n", "abcdef\n\n"},
			{"xabcd", "x"},
			{"efgh", "*"},
			{"abcdefgha", "*"},
			{"\n", "a\n"},
		} {
			go func() { _, _ = feed.Write([]byte(step.in)) }()
			var got []byte
			for len(got) < len(step.out) {
				b := make([]byte, size)
				n, err := r.Read(b)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, b[:n]...)
			}
			if string(got) != step.out {
				t.Fatalf("after %q: got %q, want %q", step.in, got, step.out)
			}
		}
		_ = feed.Close()
	}
}

// A body that breaks is still a broken body, and what had arrived is passed on.
func TestReaderError(t *testing.T) {
	s := New([]Secret{{"abcdefgh", "*"}})
	broken := errors.New("broken")
	got, err := io.ReadAll(s.Reader(io.MultiReader(strings.NewReader("xxabcdefghabcd"), iotest.ErrReader(broken))))
	if string(got) != "xx*abcd" || !errors.Is(err, broken) {
		t.Errorf("got %q, %v", got, err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWriter(t *testing.T) {
	s := New([]Secret{{"abcdefgh", "*"}})
	var out bytes.Buffer
	w := s.Writer(&out)
	for _, step := range []struct{ in, out string }{
		{"one\n", "one\n"}, {"", ""}, {"abc", ""}, {"d\n", "abcd\n"}, {"abcdefg", ""}, {"h", "*"}, {"tail ab", "tail "},
	} {
		out.Reset()
		if _, err := w.Write([]byte(step.in)); err != nil || out.String() != step.out {
			t.Fatalf("after %q: got %q, %v, want %q", step.in, out.String(), err, step.out)
		}
	}
	out.Reset()
	if err := w.Close(); err != nil || out.String() != "ab" {
		t.Errorf("Close: got %q, %v", out.String(), err)
	}
	if err := w.Close(); err != nil || out.String() != "ab" {
		t.Errorf("second Close: got %q, %v", out.String(), err)
	}

	broken := errors.New("broken")
	f := s.Writer(failing{broken})
	if _, err := f.Write([]byte("x")); !errors.Is(err, broken) {
		t.Errorf("Write: got %v", err)
	}
	if err := f.Close(); !errors.Is(err, broken) {
		t.Errorf("Close: got %v", err)
	}
	out.Reset()
	plain := New(nil).Writer(&out)
	if _, err := plain.Write([]byte("abc")); err != nil || out.String() != "abc" || plain.Close() != nil {
		t.Errorf("without secrets: got %q, %v", out.String(), err)
	}
}

func TestChunksAllocateNothing(t *testing.T) {
	s := New(randomSecrets(10))
	text := []byte(newRand(2).text(8 << 10))
	src := &endless{text: text}
	r := s.Reader(src)
	buf := make([]byte, 4<<10)
	w := s.Writer(io.Discard)
	if n := testing.AllocsPerRun(200, func() { _, _ = r.Read(buf) }); n > 0.1 {
		t.Errorf("Read: got %v allocations", n)
	}
	if n := testing.AllocsPerRun(200, func() { _, _ = w.Write(text) }); n > 0.1 {
		t.Errorf("Write: got %v allocations", n)
	}
}

type endless struct {
	text []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.at == len(e.text) {
		e.at = 0
	}
	n := copy(p, e.text[e.at:])
	e.at += n
	return n, nil
}

func FuzzSplit(f *testing.F) {
	f.Add("abcdefgh", "abcdefghijkl", "xx abcdefghijk abcdefghijkl", uint64(1))
	f.Add("aaaaaaaa", "aaaaaaaab", "aaaaaaaaaaaaaaaaaaaab", uint64(2))
	f.Add("p@ss/w+rd", "\"quoted\"\\", "p%40ss%2Fw%2Brd p@ss\\/w+rd \\\"quoted\\\"\\\\", uint64(3))
	f.Add("s3cret-value", "s3cret-values", "czNjcmV0LXZhbHVl 7333637265742d76616c7565", uint64(4))
	f.Fuzz(func(t *testing.T, a, b, text string, seed uint64) {
		if len(a)+len(b) > 400 || len(text) > 4000 {
			t.Skip()
		}
		s := New([]Secret{{a, "[1]"}, {b, "[2]"}})
		rng := newRand(seed)
		// The secrets in their spellings, whole and broken off, make the text hard.
		if !s.Empty() && seed%2 == 0 {
			for _, p := range s.t.byEnd {
				text += p.text[:1+rng.IntN(len(p.text))] + p.text
			}
		}
		want := naive(s, text)
		got, found := s.String(text)
		if got != want || found != (len(s.matches(text)) > 0) || found != s.Find([]byte(text)) {
			t.Fatalf("String(%q): got %q, %t, want %q", text, got, found, want)
		}
		most := 1 + int(seed%64)
		if got := writeAll(t, s, split(rng, text, most)); got != want {
			t.Fatalf("Writer(%q): got %q, want %q", text, got, want)
		}
		src := pieces(split(rng, text, most))
		read, err := io.ReadAll(sizedReader{s.Reader(&src), 1 + int(seed>>8%2000)})
		if err != nil || string(read) != want {
			t.Fatalf("Reader(%q): got %q, %v, want %q", text, read, err, want)
		}
	})
}

// matches lists the spellings that text holds anywhere.
func (s *Scrubber) matches(text string) (all []string) {
	if s.Empty() {
		return nil
	}
	for _, p := range s.t.byEnd {
		if strings.Contains(text, p.text) {
			all = append(all, p.text)
		}
	}
	return all
}

func jsonText(n int) string {
	rng := newRand(3)
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, `{"id":%d,"name":"%s","url":"https://api.example.test/v1/items/%d","state":"open","labels":["bug","%s"],"body":"The quick brown fox jumps over the lazy dog."},`,
			rng.IntN(1e6), rng.text(12), rng.IntN(1e6), rng.text(6))
	}
	return b.String()[:n]
}

func BenchmarkScrub(b *testing.B) {
	short := append(randomSecrets(9), Secret{"hunter2!", "x"})
	for _, bench := range []struct {
		name    string
		secrets []Secret
		text    string
	}{
		{"text, 10 secrets", randomSecrets(10), newRand(9).text(1 << 20)},
		{"JSON, 10 secrets", randomSecrets(10), jsonText(1 << 20)},
		{"text, 10 with one of 8 bytes", short, newRand(9).text(1 << 20)},
		{"JSON, 10 with one of 8 bytes", short, jsonText(1 << 20)},
		{"JSON, 50 secrets", randomSecrets(50), jsonText(1 << 20)},
	} {
		s := New(bench.secrets)
		b.Run("Find/"+bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.text)))
			b.ReportAllocs()
			p := []byte(bench.text)
			for b.Loop() {
				if s.Find(p) {
					b.Fatal("found")
				}
			}
		})
		b.Run("Reader/"+bench.name, func(b *testing.B) {
			b.SetBytes(32 << 10)
			b.ReportAllocs()
			r := s.Reader(&endless{text: []byte(bench.text)})
			buf := make([]byte, 32<<10)
			for b.Loop() {
				for n := 0; n < len(buf); {
					m, _ := r.Read(buf[n:])
					n += m
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	secrets := randomSecrets(10)
	b.ReportAllocs()
	for b.Loop() {
		New(secrets)
	}
}
