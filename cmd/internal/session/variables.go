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

// wildcard matches a name against a pattern in which '*' stands for any text, '/' included.
func wildcard(pattern, name string) bool {
	first, rest, found := strings.Cut(pattern, "*")
	if !found {
		return pattern == name
	}
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	for {
		part, more, found := strings.Cut(rest, "*")
		if !found {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], more
	}
}
