package tui

import (
	"strconv"
	"strings"
)

// attrs is what SGR has switched on. Blink and conceal are left out: nothing blinks here,
// and nothing hides.
type attrs struct {
	on     [attrCount]bool
	fg, bg string // parameters, "" for the terminal's own
}

// The attributes that are kept, by the index of their parameter in attrParams.
const (
	bold = iota
	faint
	italic
	underline
	inverse
	struck
	attrCount
)

var attrParams = [attrCount]string{"1", "2", "3", "4", "7", "9"}

// apply takes the parameters of one SGR. A private one ("?4", ">4;1") is not SGR.
func (a *attrs) apply(params string) {
	if strings.IndexFunc(params, func(r rune) bool { return (r < '0' || r > '9') && r != ';' && r != ':' }) >= 0 {
		return
	}
	fields := strings.Split(params, ";")
	for i := 0; i < len(fields); i++ {
		head, sub, colons := strings.Cut(fields[i], ":")
		n, err := strconv.Atoi("0" + head)
		if err != nil {
			return
		}
		switch {
		case n == 38 || n == 48:
			color := fields[i]
			if !colons {
				used := colorFields(fields[i+1:])
				color = strings.Join(fields[i:i+1+used], ";")
				i += used
				if used == 0 {
					return
				}
			}
			a.color(n == 38, color)
		case n == 4 && colons:
			a.on[underline] = sub != "0"
		default:
			a.one(n)
		}
	}
}

// colorFields is how many of the fields behind 38 or 48 belong to it; 0 for a broken one.
func colorFields(fields []string) int {
	switch {
	case len(fields) >= 2 && fields[0] == "5":
		return 2
	case len(fields) >= 4 && fields[0] == "2":
		return 4
	}
	return 0
}

func (a *attrs) color(foreground bool, param string) {
	if foreground {
		a.fg = param
		return
	}
	a.bg = param
}

// one takes a parameter that stands alone.
func (a *attrs) one(n int) {
	switch {
	case n == 0:
		*a = attrs{}
	case n == 22:
		a.on[bold], a.on[faint] = false, false
	case n == 23:
		a.on[italic] = false
	case n == 24:
		a.on[underline] = false
	case n == 27:
		a.on[inverse] = false
	case n == 29:
		a.on[struck] = false
	case n >= 30 && n <= 37, n >= 90 && n <= 97:
		a.fg = strconv.Itoa(n)
	case n >= 40 && n <= 47, n >= 100 && n <= 107:
		a.bg = strconv.Itoa(n)
	case n == 39:
		a.fg = ""
	case n == 49:
		a.bg = ""
	default:
		for i, p := range attrParams {
			if p == strconv.Itoa(n) {
				a.on[i] = true
			}
		}
	}
}

// params is what switches all of it on from nothing.
func (a *attrs) params() string {
	var on []string
	for i, p := range attrParams {
		if a.on[i] {
			on = append(on, p)
		}
	}
	for _, c := range []string{a.fg, a.bg} {
		if c != "" {
			on = append(on, c)
		}
	}
	return strings.Join(on, ";")
}
