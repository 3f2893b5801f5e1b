package tui

import (
	"strings"
	"testing"
	"time"
)

func TestFmtDuration(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0ms"}, {0, "0ms"}, {100, "1µs"}, {450 * time.Microsecond, "450µs"},
		{80 * time.Millisecond, "80ms"}, {999 * time.Millisecond, "999ms"}, {999600 * time.Microsecond, "1.0s"},
		{1200 * time.Millisecond, "1.2s"}, {9960 * time.Millisecond, "10s"}, {59400 * time.Millisecond, "59s"},
		{59600 * time.Millisecond, "1.0m"}, {150 * time.Second, "2.5m"}, {59*time.Minute + 50*time.Second, "1.0h"},
		{23*time.Hour + 50*time.Minute, "1.0d"}, {36 * time.Hour, "1.5d"}, {1 << 62, "999d"},
	} {
		if got := fmtDuration(tt.d); got != tt.want {
			t.Errorf("fmtDuration(%v): got %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestFmtSize(t *testing.T) {
	for _, tt := range []struct {
		n    int64
		want string
	}{
		{-1, "0"}, {0, "0"}, {110, "110"}, {999, "999"}, {1000, "1.0k"}, {8123, "8.1k"}, {9960, "10k"},
		{123456, "123k"}, {999_499, "999k"}, {999_500, "1.0M"}, {3_400_000, "3.4M"}, {1 << 62, "999P"},
	} {
		if got := fmtSize(tt.n); got != tt.want {
			t.Errorf("fmtSize(%d): got %q, want %q", tt.n, got, tt.want)
		}
	}
}

// Whatever the number, it fits its column.
func TestNumbersFitTheirColumns(t *testing.T) {
	for x := int64(1); x > 0 && x < 1<<61; x = x*13/10 + 1 {
		if d := fmtDuration(time.Duration(x)); cells(d) > tookWidth {
			t.Errorf("fmtDuration(%d) = %q is wider than %d cells", x, d, tookWidth)
		}
		if s := fmtSize(x); cells(s) > sizeWidth {
			t.Errorf("fmtSize(%d) = %q is wider than %d cells", x, s, sizeWidth)
		}
	}
}

func TestFmtClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0:00", 7 * time.Second: "0:07", 12*time.Minute + 41*time.Second: "12:41", 3723 * time.Second: "1:02:03",
	} {
		if got := fmtClock(d); got != want {
			t.Errorf("fmtClock(%v): got %q, want %q", d, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		name, s string
		width   int
		want    string
	}{
		{"fits", "api.github.com", 14, "api.github.com"},
		{"the end of a host stays", "api.github.com.evil.example", 16, "api.g…il.example"},
		{"one cell", "abc", 1, "…"},
		{"none", "abc", 0, ""},
		{"wide characters are not halved", "日本語日本語", 7, "日…本語"},
		{"emoji are two cells", "🎉🎉🎉🎉", 6, "…🎉🎉"},
	} {
		if got := cut(tt.s, tt.width); got != tt.want {
			t.Errorf("%s: cut(%q, %d): got %q, want %q", tt.name, tt.s, tt.width, got, tt.want)
		}
	}
}

func TestCutPath(t *testing.T) {
	for _, tt := range []struct {
		s     string
		width int
		want  string
	}{
		{"/repos/acme/app/pulls/3/files", 29, "/repos/acme/app/pulls/3/files"},
		{"/repos/acme/app/pulls/3/files", 24, "/repos/…/pulls/3/files"},
		{"/repos/acme/app/hooks/9", 10, "/…/hooks/9"},
		{"/averylongsinglesegmentindeed", 10, "/av…indeed"},
		{"no slash at the start", 10, "no … start"},
	} {
		if got := cutPath(tt.s, tt.width); got != tt.want {
			t.Errorf("cutPath(%q, %d): got %q, want %q", tt.s, tt.width, got, tt.want)
		}
	}
}

// left, right, cut and target never take more cells than they are given, and the first
// two take exactly as many.
func TestWidthsHold(t *testing.T) {
	for _, s := range []string{"", "a", "api.github.com", "日本語のホスト名", "e\u0301a\u0300", "👩‍💻👨‍👩‍👧", "a日b本c語", strings.Repeat("/ab", 40)} {
		for w := range 40 {
			if n := cells(left(s, w)); n != w {
				t.Errorf("left(%q, %d) takes %d cells", s, w, n)
			}
			if n := cells(right(s, w)); n != w {
				t.Errorf("right(%q, %d) takes %d cells", s, w, n)
			}
			for name, got := range map[string]string{"cut": cut(s, w), "cutPath": cutPath("/x"+s, w), "target": target(s, "/"+s, w)} {
				if cells(got) > w {
					t.Errorf("%s of %q in %d takes %d cells: %q", name, s, w, cells(got), got)
				}
			}
		}
	}
}
