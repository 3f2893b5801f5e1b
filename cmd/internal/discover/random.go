package discover

import "strings"

// isPrefixed reports whether s is an id that says its kind: cus_NffrFeUfNV2Hib,
// cs_test_a1B2c3, file-abc123.
func isPrefixed(s string) bool {
	i := strings.LastIndexAny(s, "_-")
	if i < 1 || i == len(s)-1 {
		return false
	}
	prefix, sep, token := s[:i], s[i], s[i+1:]
	if !isWordWithDigits(token) {
		return false
	}
	known := knownPrefix(strings.TrimSuffix(strings.TrimSuffix(prefix, "_test"), "_live"))
	if known && notWord(token) {
		return true
	}
	if sep == '-' || !isWord(prefix) {
		return false // slugs have dashes, and end in anything
	}
	// Words behind an underscore are in small letters; a long token of all three kinds
	// is none, even where chance has put letters together.
	return isRandom(token, 6) || len(token) >= 14 && isMixed(token)
}

// isMixed reports whether s has small letters, capitals and digits.
func isMixed(s string) bool {
	var lower, upper, digit bool
	for i := range len(s) {
		c := s[i]
		digit = digit || isDigit(c)
		upper = upper || isUpper(c)
		lower = lower || isLetter(c) && !isUpper(c)
	}
	return lower && upper && digit
}

// notWord reports whether s has a digit, or a capital anywhere.
func notWord(s string) bool {
	for i := range len(s) {
		if isDigit(s[i]) || isUpper(s[i]) {
			return true
		}
	}
	return false
}

// knownPrefix reports whether providers begin their ids with s; what follows need then
// not look random. Stripe, OpenAI, Anthropic and Clerk document theirs.
func knownPrefix(s string) bool {
	switch s {
	case "acct", "ba", "card", "ch", "py", "cn", "cs", "cus", "dp", "du", "evt", "fee", "file", "ii", "il", "in", "link", "pi", "pm", "po", "price", "prod",
		"promo", "pst", "qt", "re", "req", "rsl", "rsli", "seti", "si", "src", "sub", "tax", "taxcalc", "tml", "tmr", "tok", "tr", "tu", "txcd", "txi", "txn",
		"txr", "we", "ich", "ic", "iauth", "ipi", "vs", "ca", "cbtxn", "plink", "prv", "rdr", "shr", "sqr", "person", "mandate", "pmc", "bps", "bpc", "frr",
		"asst", "thread", "msg", "run", "step", "batch", "vsfb", "upload", "chatcmpl", "cmpl", "resp", "conv", "ft", "ftjob", "ftckpt", "eval", "evalrun", "proj",
		"org", "user", "key", "invite", "cntr", "cfile", "video", "response", "rs", "fc",
		"msgbatch", "wrkspc", "apikey", "skill", "sess", "oauth", "whsec", "client":
		return true
	}
	return false
}

// isRandom reports whether s, of at least min characters, was made by a machine: it
// changes between small letters, capitals and digits more often than words do.
func isRandom(s string, min int) bool {
	if len(s) < min {
		return false
	}
	var lower, upper, digit, other, turns int
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digit++
		case isUpper(c):
			upper++
		case isLetter(c):
			lower++
		case c == '-' || c == '_':
			other++
		default:
			return false
		}
		if i > 0 && isDigit(s[i]) != isDigit(s[i-1]) {
			turns++
		}
	}
	// In words of three letters and more stands most of a name, and less than half of
	// what was drawn from 62 characters (a sixth, on average).
	wordy := 2*inWords(s) > lower+upper+digit
	switch {
	case other > 0 && len(s) < 16:
		return false
	case lower > 0 && upper > 0:
		return !wordy && (digit > 0 || len(s) >= 16)
	case digit == 0:
		return false
	case len(s) < 12:
		return !wordy
	case other > 0:
		// Slugs are in small letters with digits too: my-app-2-eu-west-1.
		return !wordy && digit >= 6 && turns >= 6
	}
	return digit >= 3 && turns >= 4 || !wordy && turns >= 3 || len(s) >= 32
}

// inWords counts the letters of s that stand in runs of three and more, as words do: one
// capital or none and then small letters, or capitals alone.
func inWords(s string) int {
	total := 0
	for i := 0; i < len(s); {
		start := i
		if isUpper(s[i]) {
			i++
			for i < len(s) && isUpper(s[i]) {
				i++
			}
			if n := i - start; n > 1 { // capitals alone; the last may begin a word
				if n > 2 {
					total += n
				}
				start = i
			}
		}
		for i < len(s) && isLetter(s[i]) && !isUpper(s[i]) {
			i++
		}
		if n := i - start; n >= 3 {
			total += n
		}
		if i == start || i < len(s) && !isLetter(s[i]) {
			i++
		}
	}
	return total
}
