package tui

// list is rows with a chosen one and a window over them. The chosen row stays chosen, and
// stays where it is on the screen, whatever comes, goes or is sorted around it.
type list[T comparable] struct {
	rows   []T
	at     int // the chosen row
	top    int // the first row of the window
	height int
	// follow keeps the last row chosen.
	follow bool
	// jump chooses the first row when the rows are set the next time.
	jump bool
	cur  T
}

// set replaces the rows.
func (l *list[T]) set(rows []T) {
	line := l.at - l.top
	old := l.at
	l.rows = rows
	l.at = l.find(old)
	if l.jump {
		l.jump, l.at, line = false, 0, 0
	}
	if l.follow {
		l.at = len(rows) - 1
		line = l.height - 1
	}
	l.top = l.at - line
	l.settle()
}

// find looks for the row that was chosen, outwards from where it was.
func (l *list[T]) find(old int) int {
	var none T
	if l.cur == none {
		return old
	}
	for d := 0; d <= len(l.rows); d++ {
		if i := old - d; i >= 0 && i < len(l.rows) && l.rows[i] == l.cur {
			return i
		}
		if i := old + d; i >= 0 && i < len(l.rows) && l.rows[i] == l.cur {
			return i
		}
	}
	return old
}

// settle brings the chosen row into the rows, and the window around it.
func (l *list[T]) settle() {
	l.at = max(0, min(l.at, len(l.rows)-1))
	l.top = min(l.top, l.at, max(0, len(l.rows)-l.height))
	l.top = max(l.top, l.at-l.height+1, 0)
	var none T
	l.cur = none
	if len(l.rows) > 0 {
		l.cur = l.rows[l.at]
	}
}

// resize gives the window another height.
func (l *list[T]) resize(height int) {
	height = max(height, 1)
	if l.follow {
		l.top = len(l.rows)
	}
	l.height = height
	l.settle()
}

// move chooses the row d rows below, or above.
func (l *list[T]) move(d int) {
	l.at += d
	l.settle()
	// Who goes up wants to stay there; who goes down to the end wants what comes next.
	l.follow = d > 0 && l.at == len(l.rows)-1
}

func (l *list[T]) page(d int) { l.move(d * max(l.height-1, 1)) }
func (l *list[T]) home()      { l.at = 0; l.settle(); l.follow = false }
func (l *list[T]) end()       { l.at = len(l.rows) - 1; l.settle(); l.follow = true }

// window is the rows to draw, and the index of the chosen one among them.
func (l *list[T]) window() (rows []T, chosen int) {
	end := min(l.top+l.height, len(l.rows))
	return l.rows[min(l.top, end):end], l.at - l.top
}

// chosen is the chosen row; it says no when there is none.
func (l *list[T]) chosen() (T, bool) { return l.cur, len(l.rows) > 0 }
