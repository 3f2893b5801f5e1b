package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// full is an event with every member set.
func full() Event {
	return Event{
		Session: "20260102t150405-7f3a", Call: 42, Phase: End,
		Time:   time.Date(2026, 1, 2, 15, 4, 5, 123456789, time.UTC),
		Method: "POST", Scheme: "https", Host: "api.github.com", Port: 443, Path: "/repos/acme/app/issues", Operation: "CreateIssue",
		Service: "github", Secret: "keychain:github", Where: "header Authorization",
		Label: "test", State: Stale, NotAllowed: true,
		Verdict: Injected, Reason: `rule "github" allows POST /repos/*/*/issues`, Code: "x", Asked: "yes",
		Status: 201, Sent: 120, Received: 2048, Duration: 120 * time.Millisecond,
		Timing: &Timing{Name: 1, Connect: 2, TLS: 3, Wait: 4, Body: 5, Kept: true, Ahead: true},
		Auth:   "placeholder", Client: "git/2.53", Lost: 3,
	}
}

func TestAppendJSONIsWhatEncodingJSONReads(t *testing.T) {
	odd := full()
	odd.Path = "/a\"b\\c\n\r\t\x00\x1f\x7f/日本/\u0085\u202e/\U000e0041"
	kept := full()
	kept.Timing = &Timing{Kept: true}
	empty := full()
	empty.Timing = &Timing{}
	for _, tt := range []struct {
		name string
		e    Event
	}{
		{"full", full()}, {"zero", Event{Phase: Note}}, {"odd text", odd}, {"timing kept", kept}, {"timing empty", empty},
		{"negative", Event{Phase: End, Sent: -1, Status: -7}},
	} {
		line := AppendJSON(nil, &tt.e)
		var got, fast Event
		if err := json.Unmarshal(line, &got); err != nil {
			t.Errorf("%s: %v in %s", tt.name, err, line)
			continue
		}
		tt.e.Time = tt.e.Time.UTC()
		if !reflect.DeepEqual(got, tt.e) {
			t.Errorf("%s: encoding/json reads\n%+v, want\n%+v", tt.name, got, tt.e)
		}
		if err := new(Decoder).Decode(line, &fast); err != nil || !reflect.DeepEqual(fast, tt.e) {
			t.Errorf("%s: Decoder reads\n%+v, %v, want\n%+v", tt.name, fast, err, tt.e)
		}
	}
}

// Every member of the struct must be in the hand-written encoder and decoder.
func TestAppendJSONHasEveryMember(t *testing.T) {
	e := full()
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("full() leaves %s empty, so nothing checks it", v.Type().Field(i).Name)
		}
	}
	var d Decoder
	if !d.fast(AppendJSON(nil, &e), new(Event)) {
		t.Error("the Decoder leaves a full event to encoding/json")
	}
}

func TestAppendJSONHidesNothing(t *testing.T) {
	e := Event{Phase: Note, Host: "a\u202e\x1b\u009b\x7f\u200b\xff", Path: strings.Repeat("x", 20_000)}
	line := string(AppendJSON(nil, &e))
	if Escape(line) != line {
		t.Errorf("a line that a terminal would obey: %q", line)
	}
	if len(line) > maxString+300 || !strings.Contains(line, `x…"`) {
		t.Errorf("a path of 20,000 bytes makes a line of %d", len(line))
	}
}

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       Event
		ok         bool
	}{
		{"blanks and another order", ` { "phase" : "end", "call": 7 } `, Event{Phase: End, Call: 7}, true},
		{"unknown members", `{"prev":"x","new":{"a":[1,"}"]},"phase":"note"}`, Event{Phase: Note}, true},
		{"time with an offset", `{"phase":"note","time":"2026-01-02T03:04:05.5+01:00"}`,
			Event{Phase: Note, Time: time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.FixedZone("", 3600))}, true},
		{"escaped", `{"phase":"note","path":"\u00e9\/"}`, Event{Phase: Note, Path: "é/"}, true},
		{"empty", ``, Event{}, false},
		{"not an object", `[1]`, Event{}, false},
		{"no phase", `{"call":1}`, Event{}, false},
		{"cut", `{"phase":"end","call":`, Event{}, false},
		{"text behind", `{"phase":"end"}x`, Event{}, false},
		{"month 13", `{"phase":"end","time":"2026-13-02T03:04:05Z"}`, Event{}, false},
		{"wrong type", `{"phase":"end","call":"1"}`, Event{}, false},
	} {
		got := full() // what was in it must go
		err := new(Decoder).Decode([]byte(tt.line), &got)
		if (err == nil) != tt.ok {
			t.Errorf("%s: error %v, want ok %v", tt.name, err, tt.ok)
			continue
		}
		if tt.ok && (!got.Time.Equal(tt.want.Time)) {
			t.Errorf("%s: time %v, want %v", tt.name, got.Time, tt.want.Time)
		}
		got.Time = tt.want.Time
		if tt.ok && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestDecodeBrief(t *testing.T) {
	e := full()
	line := AppendJSON(nil, &e)
	d := Decoder{Brief: true}
	var got Event
	if err := d.Decode(line, &got); err != nil || got.Timing != nil {
		t.Errorf("%v, timing %v, want none", err, got.Timing)
	}
	if got.Timing = e.Timing; !reflect.DeepEqual(got, e) {
		t.Errorf("got %+v, want %+v", got, e)
	}
}

func FuzzDecode(f *testing.F) {
	e := full()
	f.Add(AppendJSON(nil, &e))
	f.Add([]byte(`{"phase":"end","time":"2026-01-02T03:04:05.000000001Z","call":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var got Event
		if new(Decoder).Decode(line, &got) != nil {
			return
		}
		// What was read can be written, and is then read as the same.
		again, want := Event{}, got
		text := AppendJSON(nil, &got)
		if err := new(Decoder).Decode(text, &again); err != nil {
			if got.Time.Year() > 9999 || got.Time.Year() < 0 {
				return // encoding/json cannot write such a time either
			}
			t.Fatalf("%q: %v", text, err)
		}
		if again.Call != want.Call || again.Status != want.Status || again.Duration != want.Duration || !again.Time.Equal(want.Time) {
			t.Fatalf("%q read as %+v, written and read as %+v", line, want, again)
		}
	})
}

func BenchmarkAppendJSON(b *testing.B) {
	e := full()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendJSON(buf[:0], &e)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecode(b *testing.B) {
	e := full()
	line := AppendJSON(nil, &e)
	var d Decoder
	var got Event
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(line, &got); err != nil {
			b.Fatal(err)
		}
	}
}

// Wherever a byte that needs a second look stands, the whole text before it was ordinary.
func TestOrdinary(t *testing.T) {
	for n := range 40 {
		for at := range n {
			for _, c := range []byte{'"', '\\', 0x80, 0xff, 0x21, 0x23, 0x5b, 0x5d, 0x00, 0x7f} {
				b := bytes.Repeat([]byte{'a'}, n)
				b[at] = c
				got, special := ordinary(b), c == '"' || c == '\\' || c >= 0x80
				if got > n || special && got > at || special && got < at/8*8 || !special && got != n/8*8 {
					t.Fatalf("%q: got %d", b, got)
				}
			}
		}
	}
}
