package session

import (
	"fmt"
	"maps"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// EnvConfig is what the child's environment is made of.
type EnvConfig struct {
	// Parent is the parent's environment as os.Environ gives it.
	Parent []string
	// Session is the session's id; the child and a run inside the child see it.
	Session string
	// Proxy is where clients are sent, with the session's token: http://agentvault:TOKEN@127.0.0.1:PORT.
	Proxy *url.URL
	// Files are what they are told to trust.
	Files *Files
	// NoProxy are hosts that clients reach without the proxy, beside the loopback names and
	// the parent's own.
	NoProxy []string
	// Placeholders are the stand-ins for credentials, by variable. They win over everything.
	Placeholders map[string]string
	// IsKey says of a value that it plainly is a provider's key; a variable that holds one is a
	// credential whatever its name says. Nil goes by the names alone.
	IsKey func(value string) bool
	// Pass readmits credentials by name; '*' stands for any text, '?' for one character.
	Pass []string
	// Withheld are never handed on, whatever their names look like and whoever asks: the
	// session reads secrets from them.
	Withheld []string
	// PassAll hands every credential of the parent on.
	PassAll bool
}

// Env is a child's environment, and what was done to the parent's to get there. The
// lists hold names only, sorted.
type Env struct {
	// Vars is for exec: KEY=value, each key once.
	Vars []string
	// Held are the credentials of the parent that the child does not get and could. One that
	// a placeholder replaces is not among them.
	Held []string
	// Withheld are those of EnvConfig.Withheld that the parent has and no placeholder replaces.
	Withheld []string
	// Seen are the credentials of the parent that it does get because of PassAll.
	Seen []string
	// Readmitted are those that it gets because of Pass.
	Readmitted []string
}

// Environ makes the child's environment. It reads nothing but its argument.
func Environ(c EnvConfig) Env {
	// Windows does not tell PATH from Path, and a block with both is undefined.
	return environ(c, runtime.GOOS == "windows")
}

func environ(c EnvConfig, fold bool) Env {
	e := newVariables(c.Parent, fold)
	env := Env{}
	parentNoProxy := append(splitList(e.get("no_proxy")), splitList(e.get("NO_PROXY"))...)

	for _, name := range e.names() {
		value := e.get(name)
		credential := value != "" && (isCredential(name) || c.IsKey != nil && c.IsKey(value))
		switch {
		case strings.HasPrefix(e.key(name), e.key(ownSecrets)):
			e.remove(name)
		case matchAny(removed, strings.ToUpper(name)):
			e.remove(name)
		case slices.ContainsFunc(c.Withheld, func(w string) bool { return e.key(w) == e.key(name) }):
			e.remove(name)
			env.Withheld = append(env.Withheld, name)
		case !credential:
		case matchPass(c.Pass, name, fold):
			env.Readmitted = append(env.Readmitted, name)
		case c.PassAll:
			env.Seen = append(env.Seen, name)
		default:
			e.remove(name)
			env.Held = append(env.Held, name)
		}
	}

	noProxy := mergeNoProxy(c.NoProxy, parentNoProxy)
	for _, v := range settings(c, noProxy) {
		e.set(v.name, v.value)
	}
	appendOptions(e, c, noProxy)
	appendGit(e, c)
	standIns := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Placeholders)) {
		e.set(name, c.Placeholders[name])
		standIns[e.key(name)] = true
	}

	replaced := func(name string) bool { return standIns[e.key(name)] }
	env.Held = slices.DeleteFunc(env.Held, replaced)
	env.Withheld = slices.DeleteFunc(env.Withheld, replaced)
	env.Seen = slices.DeleteFunc(env.Seen, replaced)
	env.Readmitted = slices.DeleteFunc(env.Readmitted, replaced)
	slices.Sort(env.Held)
	slices.Sort(env.Withheld)
	slices.Sort(env.Seen)
	slices.Sort(env.Readmitted)
	env.Vars = e.list()
	return env
}

// appendOptions extends the variables that carry command lines: the parent's own options
// stay, except those that would fight with ours.
func appendOptions(e *variables, c EnvConfig, noProxy []string) {
	// Which of these the JVM reads, and in what order, depends on how it is started; the
	// later ones beat JAVA_TOOL_OPTIONS, so ours must not stand against an old one there.
	for _, name := range []string{"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"} {
		if kept := dropWords(e.get(name), ownJavaOption); kept != "" {
			e.set(name, kept)
		} else {
			e.remove(name)
		}
	}
	e.append("JAVA_TOOL_OPTIONS", javaOptions(c, noProxy))

	if old := e.get("NODE_OPTIONS"); old != "" {
		// A run inside a run: the outer session's shim goes, ours does the same.
		e.set("NODE_OPTIONS", dropWords(old, func(w string) bool {
			return strings.HasPrefix(w, "--require=") && strings.HasSuffix(strings.TrimSuffix(w, `"`), shimName)
		}))
	}
	shim := quoteOption(c.Files.NodeShim)
	if shim != c.Files.NodeShim {
		shim = strings.ReplaceAll(shim, `\`, `\\`) // between quotes, and only there, Node knows escapes
	}
	e.append("NODE_OPTIONS", "--require="+shim)
}

// appendGit adds configuration that beats ~/.gitconfig after what the parent gives the
// same way. The last of two equal keys counts.
func appendGit(e *variables, c EnvConfig) {
	n, err := strconv.Atoi(e.get("GIT_CONFIG_COUNT"))
	if err != nil || n < 0 {
		n = 0 // git refuses such a count: the parent's git did not work either
	}
	for _, v := range []variable{
		{"http.proxy", c.Proxy.String()},
		{"http.sslCAInfo", c.Files.Bundle},
	} {
		e.set(fmt.Sprintf("GIT_CONFIG_KEY_%d", n), v.name)
		e.set(fmt.Sprintf("GIT_CONFIG_VALUE_%d", n), v.value)
		n++
	}
	e.set("GIT_CONFIG_COUNT", strconv.Itoa(n))
}

// javaOptions are the JVM's proxy and trust store. It has no way to send the token: the
// kernel vouches for its sockets.
func javaOptions(c EnvConfig, noProxy []string) string {
	host, port := c.Proxy.Hostname(), c.Proxy.Port()
	var words []string
	for _, v := range []variable{
		{"http.proxyHost", host},
		{"http.proxyPort", port},
		{"https.proxyHost", host},
		{"https.proxyPort", port},
		{"http.nonProxyHosts", javaNoProxy(noProxy)}, // for https as well
		{"javax.net.ssl.trustStore", c.Files.Truststore},
		{"javax.net.ssl.trustStorePassword", c.Files.TruststorePassword},
		{"javax.net.ssl.trustStoreType", "PKCS12"},
	} {
		words = append(words, quoteOption("-D"+v.name+"="+v.value))
	}
	return strings.Join(words, " ")
}

// ownJavaOption says whether a word of the parent's options speaks of proxies or trust.
func ownJavaOption(word string) bool {
	name, ok := strings.CutPrefix(strings.Trim(word, `"'`), "-D")
	if !ok {
		return false
	}
	name, _, _ = strings.Cut(name, "=")
	return name == "java.net.useSystemProxies" ||
		strings.HasPrefix(name, "javax.net.ssl.trustStore") ||
		strings.HasPrefix(name, "http.proxy") || strings.HasPrefix(name, "https.proxy") ||
		strings.HasPrefix(name, "socksProxy") || name == "http.nonProxyHosts"
}

// quoteOption makes one word of a value for JAVA_TOOL_OPTIONS and NODE_OPTIONS, which both
// split at white space and know double quotes.
func quoteOption(word string) string {
	if strings.ContainsAny(word, " \t") {
		return `"` + word + `"`
	}
	return word
}

// dropWords removes words, keeping quoted white space together.
func dropWords(options string, drop func(string) bool) string {
	var quote rune
	words := strings.FieldsFunc(options, func(r rune) bool {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		}
		return quote == 0 && (r == ' ' || r == '\t' || r == '\n' || r == '\r')
	})
	return strings.Join(slices.DeleteFunc(words, drop), " ")
}
