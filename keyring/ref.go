package keyring

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Ref names a secret: `keychain:github`, `infisical:KEY?project=p&env=dev`. The zero
// Ref names none. Two refs are the same secret when their String is the same.
type Ref struct {
	Scheme string     // one of Schemes
	Name   string     // what stands before '#', '@' and '?'; the whole command line for exec
	Field  string     // after '#': a field of a structured secret
	Stage  string     // after '@': a version label (aws)
	Params url.Values // after '?'
	raw    string
}

// grammar says which parts a scheme's refs may have.
type grammar struct {
	shape                string // for messages
	field, stage, params bool
	plainName            bool                     // [A-Za-z0-9._-]+ only
	check                func(name string) string // says what is wrong with a name; "" when nothing is
}

var grammars = map[string]grammar{
	"keychain":  {shape: "keychain:NAME", plainName: true},
	"file":      {shape: "file:NAME", plainName: true},
	"env":       {shape: "env:NAME", plainName: true},
	"exec":      {shape: "exec:COMMAND ARGS"},
	"infisical": {shape: "infisical:KEY?project=ID&env=SLUG&path=/FOLDER", plainName: true, field: true, params: true},
	"vault":     {shape: "vault:MOUNT/PATH#FIELD", field: true, check: vaultPath},
	"aws":       {shape: "aws:NAME-OR-ARN#JSON_KEY@STAGE", field: true, stage: true, check: awsID},
}

// stages are the version labels that AWS moves by itself in a rotation.
var stages = []string{"AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"}

// Schemes lists the legal schemes in the order in which messages show them.
func Schemes() []string {
	return []string{"keychain", "file", "infisical", "vault", "aws", "env", "exec"}
}

// ParseRef parses a ref. Its errors quote the input, which is a name and no secret:
// a value pasted where a ref belongs has no known scheme, and is not quoted.
func ParseRef(s string) (Ref, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	g, known := grammars[scheme]
	if !ok || !known {
		if ok && isPlain(scheme) && len(scheme) <= 12 {
			return Ref{}, fmt.Errorf("unknown secret scheme %q (one of: %s)", scheme, strings.Join(Schemes(), ", "))
		}
		return Ref{}, fmt.Errorf("not a secret ref: want SCHEME:NAME, such as keychain:github (schemes: %s)", strings.Join(Schemes(), ", "))
	}
	r := Ref{Scheme: scheme, Name: rest, raw: s}
	bad := func(problem string) (Ref, error) {
		return Ref{}, fmt.Errorf("secret ref %q: %s (want %s)", s, problem, g.shape)
	}
	if strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f }) {
		return bad("control character")
	}
	if g.params {
		name, query, has := strings.Cut(r.Name, "?")
		if has {
			v, err := url.ParseQuery(query)
			if err != nil {
				return bad("unreadable parameters")
			}
			if len(v) > 0 {
				r.Params = v
			}
		}
		r.Name = name
	}
	if g.stage {
		// Names may hold an @ of their own (db/alice@acme.test): only what looks like one of
		// AWS's labels is a stage.
		i := strings.LastIndexByte(r.Name, '@')
		switch after := r.Name[i+1:]; {
		case i < 0:
		case after == "":
			return bad("nothing after @")
		case strings.HasPrefix(after, "AWS"):
			if !slices.Contains(stages, after) {
				return bad(fmt.Sprintf("unknown stage %q (one of: %s)", after, strings.Join(stages, ", ")))
			}
			r.Name, r.Stage = r.Name[:i], after
		}
	}
	if g.field {
		name, field, has := strings.Cut(r.Name, "#")
		if has && field == "" {
			return bad("nothing after #")
		}
		r.Name, r.Field = name, field
	}
	switch {
	case strings.TrimSpace(r.Name) == "":
		return bad("no name")
	case scheme == "infisical" && r.Name == Folder && r.Field == "": // the service says which key
	case g.plainName && !isPlain(r.Name):
		return bad("a name may hold letters, digits, '.', '_' and '-' only")
	}
	if g.check != nil {
		if problem := g.check(r.Name); problem != "" {
			return bad(problem)
		}
	}
	return r, nil
}

// vaultPath keeps a name to the path that it shows: a client cleans "a/../b" away, and what
// follows a '?' would be a query.
func vaultPath(name string) string {
	if !strings.Contains(name, "/") {
		return "no path below the mount"
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return "an empty segment, or one of dots, in the path"
		}
	}
	if strings.ContainsAny(name, `?\`) {
		return "a path may hold no '?' and no '\\'"
	}
	return ""
}

// awsID takes what Secrets Manager allows in a name, and ARNs.
func awsID(name string) string {
	for _, c := range []byte(name) {
		if !isPlain(string(c)) && !strings.ContainsRune("/+=@:", rune(c)) {
			return "a name may hold letters, digits and /_+=.@- only"
		}
	}
	if !strings.Contains(name, ":") {
		return ""
	}
	// arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME
	p := strings.Split(name, ":")
	if len(p) != 7 || p[0] != "arn" || p[2] != "secretsmanager" || p[3] == "" || p[5] != "secret" || p[6] == "" {
		return "not the ARN of a secret"
	}
	if strings.Trim(p[3], "abcdefghijklmnopqrstuvwxyz0123456789-") != "" { // it becomes a part of the server's name
		return "not the name of a region in the ARN"
	}
	return ""
}

// String is the ref as it was written; for a Ref that was put together by hand, as it
// would be written.
func (r Ref) String() string {
	if r.raw != "" || r.Scheme == "" {
		return r.raw
	}
	s := r.Scheme + ":" + r.Name
	if r.Field != "" {
		s += "#" + r.Field
	}
	if r.Stage != "" {
		s += "@" + r.Stage
	}
	if len(r.Params) > 0 {
		s += "?" + r.Params.Encode()
	}
	return s
}

// IsZero reports whether r names no secret.
func (r Ref) IsZero() bool { return r.Scheme == "" }

// MarshalText implements encoding.TextMarshaler.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// maxName bounds a name so that `NAME.age` and the temporary file beside it fit the
// 255 bytes that common filesystems allow for one.
const maxName = 128

// CheckName says whether name may be stored: letters, digits, '.', '_' and '-'.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("secret name: empty")
	case len(name) > maxName:
		return fmt.Errorf("secret name %.20q...: longer than %d bytes", name, maxName)
	case !isPlain(name):
		return fmt.Errorf("secret name %q: a name may hold letters, digits, '.', '_' and '-' only", name)
	}
	return nil
}

func isPlain(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != ""
}

// Folder in place of a name means a whole folder of Infisical, of which something else says
// the key: see Ref.Key.
const Folder = "*"

// Whole reports whether r names a folder and not a secret.
func (r Ref) Whole() bool { return r.Scheme == "infisical" && r.Name == Folder }

// Key returns the ref of one key of the folder that r names.
func (r Ref) Key(name string) (Ref, error) {
	if !r.Whole() {
		return Ref{}, fmt.Errorf("secret ref %q: not a whole folder", r)
	}
	if err := CheckName(name); err != nil {
		return Ref{}, err
	}
	return ParseRef(strings.Replace(r.String(), Folder, name, 1))
}

// Stored reports whether the ref names an item of a Store, which keeps a binding with
// every value: one without hosts may be sent nowhere.
func (r Ref) Stored() bool { return r.Scheme == "keychain" || r.Scheme == "file" }
