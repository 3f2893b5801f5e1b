package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

const ellipsis = "…"

// cells is the width of s on a terminal. ASCII, which is nearly everything, is counted
// without looking for graphemes.
func cells(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

// cut shortens s to at most width cells by taking out its middle. The tail keeps two
// thirds: in a host the end says whose it is, in a path what it is about.
func cut(s string, width int) string {
	if width <= 0 {
		return ""
	}
	if cells(s) <= width {
		return s
	}
	if width == 1 {
		return ellipsis
	}
	head := (width - 1) / 3
	return clip(s, head) + ellipsis + tail(s, width-1-head)
}

// cutPath is cut at slashes, where that loses little: /repos/…/pulls/3/files, and where
// there is less room /…/3/files.
func cutPath(s string, width int) string {
	if cells(s) <= width || !strings.HasPrefix(s, "/") {
		return cut(s, width)
	}
	if end := strings.IndexByte(s[1:], '/'); end >= 0 {
		head := s[:end+2] + ellipsis
		rest := lastSegments(s[end+1:], width-cells(head))
		if strings.Count(rest, "/") < 2 { // a lone 9 says less than hooks/9
			if more := lastSegments(s[end+1:], width-2); len(more) > len(rest) {
				head, rest = "/"+ellipsis, more
			}
		}
		if rest != "" && cells(head+rest) > width/2 {
			return head + rest
		}
	}
	return cut(s, width)
}

// lastSegments is the longest run of whole segments at the end of path that fits.
func lastSegments(path string, width int) string {
	best := ""
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '/' {
			continue
		}
		if cells(path[i:]) > width {
			break
		}
		best = path[i:]
	}
	return best
}

// target writes host and path into width cells together, where there is no room for a
// column each. The host gives way first, down to three fifths.
func target(host, path string, width int) string {
	h, p := cells(host), cells(path)
	if h+p <= width {
		return host + path
	}
	room := max(width*3/5, width-p)
	host = cut(host, min(h, room))
	return host + cutPath(path, width-cells(host))
}

// clip is the first width cells of s, or less where a wide character would not fit.
func clip(s string, width int) string {
	if width <= 0 {
		return ""
	}
	return ansi.Truncate(s, width, "")
}

// tail is the last width cells of s, or less where a wide character would not fit.
func tail(s string, width int) string {
	n := cells(s)
	if n <= width {
		return s
	}
	t := ansi.TruncateLeft(s, n-width, "")
	for cells(t) > width { // the cut went through a wide character
		_, size := firstCluster(t)
		t = t[size:]
	}
	return t
}

// firstCluster is the width of the first grapheme of s and its length in bytes.
func firstCluster(s string) (width, size int) {
	cluster, w := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
	return w, max(len(cluster), 1)
}

// left fits s into exactly width cells, cut at its end, padded behind.
func left(s string, width int) string {
	if width <= 0 {
		return ""
	}
	n := cells(s)
	if n > width {
		s = ansi.Truncate(s, width, ellipsis)
		n = cells(s)
	}
	return s + strings.Repeat(" ", max(width-n, 0))
}

// right fits s into exactly width cells, padded before.
func right(s string, width int) string {
	n := cells(s)
	if n > width {
		return left(s, width)
	}
	return strings.Repeat(" ", width-n) + s
}

// pad fills s, which fits, with blanks up to width cells.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-cells(s), 0))
}
