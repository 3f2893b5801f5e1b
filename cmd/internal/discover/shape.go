package discover

import "strings"

// foldName folds a segment that is a name, whatever it looks like: rule 6. Nothing of a
// free one is kept.
func foldName(s string, free bool) string {
	if s == "" || s == "**" {
		return s
	}
	if free {
		return "*"
	}
	if name, verb, ok := cutVerb(s); ok && name != "" {
		return "*:" + verb
	}
	if _, ext := cutExtension(s); ext == ".json" || ext == ".xml" {
		return "*" + ext
	}
	return "*"
}

// foldID folds a segment if it looks like an id: rules 5 and 6.
func foldID(s string) string {
	if isID(s) {
		return "*"
	}
	if name, verb, ok := cutVerb(s); ok && isID(name) {
		return "*:" + verb
	}
	if stem, ext := cutExtension(s); ext != "" && isID(stem) {
		return "*" + ext
	}
	if i := strings.IndexByte(s, '('); i > 0 && strings.HasSuffix(s, ")") && isWord(s[:i]) {
		return s[:i] + "(*)"
	}
	return s
}

// cutVerb splits the custom method off a segment, as Google's APIs write it.
func cutVerb(s string) (name, verb string, ok bool) {
	name, verb, ok = strings.Cut(s, ":")
	if !ok || strings.IndexByte(verb, ':') >= 0 || len(verb) < 3 || !isWord(verb) || verb[0] < 'a' || verb[0] > 'z' {
		return s, "", false
	}
	switch verb {
	case "latest", "main", "master", "free", "beta", "online", "nitro", "floor", "exacto", "thinking", "extended":
		return s, "", false // a tag or a variant of a model's name
	}
	return name, verb, true
}

// cutExtension splits off a file extension of two to four letters.
func cutExtension(s string) (stem, ext string) {
	i := strings.LastIndexByte(s, '.')
	if i < 1 || len(s)-i < 3 || len(s)-i > 5 {
		return s, ""
	}
	for _, c := range []byte(s[i+1:]) {
		if c < 'a' || c > 'z' {
			return s, ""
		}
	}
	return s[:i], s[i:]
}

// isVersion reports whether a segment at the given index is the version of an API.
func isVersion(s string, index int, before string) bool {
	if isVersionWord(s) {
		return true
	}
	if index > 0 && before != "api" && before != "rest" && before != "restapi" && before != "version" {
		return false
	}
	if index == 0 && isDate(s) {
		return true
	}
	whole, part, dot := strings.Cut(s, ".")
	return isDigits(whole) && len(whole) <= 2 && (!dot || isDigits(part) && len(part) <= 2)
}

// isVersionWord reports whether s is v1, v2beta, v1.1, v1beta2.
func isVersionWord(s string) bool {
	if len(s) < 2 || s[0] != 'v' || s[1] < '0' || s[1] > '9' || len(s) > 10 {
		return false
	}
	i := 1
	for i < len(s) && (isDigit(s[i]) || s[i] == '.') {
		i++
	}
	number, tail := s[1:i], s[i:]
	if strings.Count(number, ".") > 1 || len(number) > 4 || strings.HasSuffix(number, ".") {
		return false
	}
	tail = strings.TrimRight(tail, "0123456789")
	if len(tail) > 2 && tail[0] == 'p' && isDigit(tail[1]) { // v1p1beta1
		tail = tail[2:]
	}
	return tail == "" || tail == "alpha" || tail == "beta"
}

// isID reports whether a segment names one thing among many, by its looks: rule 5.
func isID(s string) bool {
	switch {
	case s == "":
		return false
	case s == "*", !isPlain(s), isDigits(s), isDate(s), isUUID(s), isHex(s), isNumbered(s), isIssueKey(s), isPrefixed(s):
		return true
	case strings.Count(s, ":") > 1:
		return true // an ARN, a fine-tuned model, a time
	}
	if at := strings.IndexByte(s, '@'); at >= 0 {
		return s != "@me" && s != "@self"
	}
	if algorithm, digest, ok := strings.Cut(s, ":"); ok {
		return isWordWithDigits(algorithm) && len(digest) >= 32 && isHex(digest)
	}
	return isRandom(s, 12)
}

// isPlain reports whether s holds only what an operation's name may hold. A percent
// escape stands for a character that it may not hold.
func isPlain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isLetter(c) && !isDigit(c) && strings.IndexByte("-._~!$&'()*+,;=:@", c) < 0 {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool  { return c-'0' <= 9 }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isUpper(c byte) bool  { return c >= 'A' && c <= 'Z' }

func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isWord(s string) bool {
	for i := range len(s) {
		if !isLetter(s[i]) && s[i] != '_' && s[i] != '-' {
			return false
		}
	}
	return s != ""
}

func isWordWithDigits(s string) bool {
	for i := range len(s) {
		if !isLetter(s[i]) && !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// isDate reports whether s begins with 2006-01-02.
func isDate(s string) bool {
	return len(s) >= 10 && isDigits(s[:4]) && s[4] == '-' && isDigits(s[5:7]) && s[7] == '-' && isDigits(s[8:10]) &&
		(len(s) == 10 || s[10] == 'T')
}

// isNumbered reports whether s is a version with two dots and more, or a list of numbers.
func isNumbered(s string) bool {
	t := strings.TrimPrefix(s, "v")
	if t == "" || !isDigit(t[0]) {
		return false
	}
	for i := range len(t) {
		if !isDigit(t[i]) && t[i] != '.' && t[i] != ',' {
			return strings.Count(t[:i], ".") >= 2
		}
	}
	return strings.Count(t, ".") >= 2 || strings.Contains(t, ",")
}

func isUUID(s string) bool {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}")
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !isHexDigit(s[i]) {
			return false
		}
	}
	return true
}

func isHexDigit(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// isHex reports whether s is hexadecimal. Seven digits is what git prints; one of them
// must be a decimal digit, because words such as "defaced" are hexadecimal too.
func isHex(s string) bool {
	digit := false
	for i := range len(s) {
		if !isHexDigit(s[i]) {
			return false
		}
		digit = digit || isDigit(s[i])
	}
	return len(s) >= 7 && digit
}

// isIssueKey reports whether s is the key of a tracker's issue: PROJ-12.
func isIssueKey(s string) bool {
	project, number, ok := strings.Cut(s, "-")
	if !ok || len(project) < 2 || !isDigits(number) || !isUpper(project[0]) {
		return false
	}
	for i := range len(project) {
		if !isUpper(project[i]) && !isDigit(project[i]) {
			return false
		}
	}
	return true
}
