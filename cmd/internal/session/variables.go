package session

import "strings"

type variable struct{ name, value string }

// variables is an environment that keeps its order and holds each name once.
type variables struct {
	fold bool // names differ only by more than case
	vars []variable
	at   map[string]int // key -> index in vars; -1 after removal
}

func newVariables(environ []string, fold bool) *variables {
	e := &variables{fold: fold, at: map[string]int{}}
	for _, kv := range environ {
		// Windows keeps the folder of each drive in variables such as "=C:".
		i := strings.Index(kv[min(1, len(kv)):], "=")
		if i < 0 {
			continue
		}
		e.set(kv[:i+1], kv[i+2:])
	}
	return e
}

func (e *variables) key(name string) string {
	if e.fold {
		return strings.ToUpper(name)
	}
	return name
}

func (e *variables) get(name string) string {
	if i, ok := e.at[e.key(name)]; ok && i >= 0 {
		return e.vars[i].value
	}
	return ""
}

// set gives a name a value; of a name known in another case the first spelling stays.
func (e *variables) set(name, value string) {
	if i, ok := e.at[e.key(name)]; ok && i >= 0 {
		e.vars[i].value = value
		return
	}
	e.at[e.key(name)] = len(e.vars)
	e.vars = append(e.vars, variable{name, value})
}

// append adds words to a variable that holds a command line.
func (e *variables) append(name, words string) {
	e.set(name, strings.TrimSpace(e.get(name)+" "+words))
}

func (e *variables) remove(name string) {
	if i, ok := e.at[e.key(name)]; ok && i >= 0 {
		e.vars[i].name = ""
		e.at[e.key(name)] = -1
	}
}

func (e *variables) names() []string {
	var names []string
	for _, v := range e.vars {
		if v.name != "" {
			names = append(names, v.name)
		}
	}
	return names
}

func (e *variables) list() []string {
	var out []string
	for _, v := range e.vars {
		if v.name != "" {
			out = append(out, v.name+"="+v.value)
		}
	}
	return out
}

// wildcard matches a name against a pattern in which '*' stands for any text, '/' included,
// and '?' for one character.
func wildcard(pattern, name string) bool {
	at, star, taken := 0, -1, 0 // star is where the last '*' stands, taken what it ends before
	for i := 0; i < len(name); {
		switch {
		case at < len(pattern) && pattern[at] == '*':
			star, taken = at, i
			at++
		case at < len(pattern) && (pattern[at] == '?' || pattern[at] == name[i]):
			at++
			i++
		case star >= 0: // it takes one more
			taken++
			at, i = star+1, taken
		default:
			return false
		}
	}
	return strings.Trim(pattern[at:], "*") == ""
}
