package session

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// nodeShim teaches a Node without NODE_USE_ENV_PROXY to use the proxy; see the file itself.
//
//go:embed node-proxy.cjs
var nodeShim []byte

const shimName = "node-proxy.cjs"

// wgetrcOurs are the settings of a wgetrc that beat the environment and would lead wget
// around the proxy or away from its CA. Wget ignores case, '-' and '_' in names.
var wgetrcOurs = map[string]bool{
	"httpproxy": true, "httpsproxy": true, "ftpproxy": true, "useproxy": true,
	"proxyuser": true, "proxypassword": true, "proxypasswd": true,
	"cacertificate": true, "cadirectory": true, "checkcertificate": true,
}

// wgetrc is the user's own file, since WGETRC replaces it, with our bundle at the end.
func wgetrc(env func(string) string, bundle string) []byte {
	path := env("WGETRC")
	if path == "" && env("HOME") != "" {
		path = filepath.Join(env("HOME"), ".wgetrc")
	}
	var b strings.Builder
	if data, err := os.ReadFile(path); err == nil {
		for line := range strings.Lines(string(data)) {
			name, _, _ := strings.Cut(line, "=")
			name = strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(strings.TrimSpace(name)))
			if !wgetrcOurs[name] {
				b.WriteString(strings.TrimRight(line, "\r\n") + "\n")
			}
		}
	}
	fmt.Fprintf(&b, "ca_certificate = %s\n", bundle)
	return []byte(b.String())
}

// phpINI tells PHP's curl and its streams the roots.
func phpINI(bundle string) []byte {
	return fmt.Appendf(nil, "curl.cainfo=%q\nopenssl.cafile=%q\n", bundle, bundle)
}
