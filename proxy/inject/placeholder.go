package inject

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	// defaultShape is for services whose keys have no known shape.
	defaultShape = "avp_{a-z0-9:32}"
	// minPlaceholderBits makes a placeholder impossible to guess and a chance match in
	// a request out of the question; it is what a random session token has as well.
	minPlaceholderBits = 96
	// maxPlaceholder bounds a typing error such as {a-z:100000}. The longest keys that
	// providers hand out are around 200 characters.
	maxPlaceholder = 1024
)

// NewPlaceholder makes a stand-in of the given shape: literal text with random groups
// `{CLASS:COUNT}`, where CLASS is written as inside a regular expression's brackets, so
// "ghp_{A-Za-z0-9:36}" or "sk-ant-api03-{A-Za-z0-9_-:93}AA". An empty shape means
// "avp_{a-z0-9:32}". Every shape must yield at least 96 random bits. The text is
// visible ASCII and safe inside a JSON string, a header and a shell word.
func NewPlaceholder(rand io.Reader, shape string) (string, error) {
	if shape == "" {
		shape = defaultShape
	}
	bad := func(format string, a ...any) (string, error) {
		return "", fmt.Errorf("placeholder shape %q: %s", shape, fmt.Sprintf(format, a...))
	}
	var out strings.Builder
	bits := 0.0
	for rest := shape; rest != ""; {
		literal, after, group := strings.Cut(rest, "{")
		if i := strings.IndexFunc(literal, func(c rune) bool { return !placeholderChar(c) }); i >= 0 {
			return bad("%q cannot stand in a key", literal[i:i+1])
		}
		out.WriteString(literal)
		if !group {
			break
		}
		body, tail, closed := strings.Cut(after, "}")
		if !closed {
			return bad("a { without }")
		}
		class, count, err := parseGroup(body)
		if err != nil {
			return bad("%v", err)
		}
		if out.Len()+count > maxPlaceholder {
			return bad("longer than %d characters", maxPlaceholder)
		}
		if err := randomChars(&out, rand, class, count); err != nil {
			return "", fmt.Errorf("placeholder: %w", err)
		}
		bits += float64(count) * math.Log2(float64(len(class)))
		rest = tail
	}
	if bits < minPlaceholderBits {
		return bad("%d random bits, want at least %d (such as %s)", int(bits), minPlaceholderBits, defaultShape)
	}
	return out.String(), nil
}

// parseGroup reads `A-Za-z0-9_-:93`.
func parseGroup(body string) (class []byte, count int, err error) {
	i := strings.LastIndexByte(body, ':')
	if i <= 0 {
		return nil, 0, fmt.Errorf("group {%s}: want {CLASS:COUNT}", body)
	}
	count, err = strconv.Atoi(body[i+1:])
	if err != nil || count < 1 {
		return nil, 0, fmt.Errorf("group {%s}: the count is not a number above 0", body)
	}
	var seen [128]bool
	spec := body[:i]
	for j := 0; j < len(spec); j++ {
		lo, hi := spec[j], spec[j]
		if j+2 < len(spec) && spec[j+1] == '-' {
			hi = spec[j+2]
			j += 2
		}
		if hi < lo {
			return nil, 0, fmt.Errorf("group {%s}: the range %c-%c runs backwards", body, lo, hi)
		}
		for c := int(lo); c <= int(hi); c++ {
			if !placeholderChar(rune(c)) {
				return nil, 0, fmt.Errorf("group {%s}: %q cannot stand in a key", body, rune(c))
			}
			if !seen[c] {
				seen[c] = true
				class = append(class, byte(c))
			}
		}
	}
	return class, count, nil
}

// placeholderChar leaves out what would need an escape in JSON, in a cookie or in a
// shell, and the braces of the grammar.
func placeholderChar(c rune) bool {
	return c > 0x20 && c < 0x7f && !strings.ContainsRune("\"'\\`{}<>&;,%$", c)
}

// randomChars picks evenly: bytes beyond the largest multiple of the class are thrown
// away, because a remainder alone would prefer the first characters.
func randomChars(out *strings.Builder, rand io.Reader, class []byte, count int) error {
	limit := 256 - 256%len(class)
	buf := make([]byte, count+count/2)
	for count > 0 {
		if _, err := io.ReadFull(rand, buf); err != nil {
			return err
		}
		for _, b := range buf {
			if int(b) < limit && count > 0 {
				out.WriteByte(class[int(b)%len(class)])
				count--
			}
		}
	}
	return nil
}
