package session

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// settings are the variables that the child is given, whatever the parent had there. Each
// row says who reads it; all were tried with the client named.
func settings(c EnvConfig, noProxy []string) []variable {
	proxy, direct := c.Proxy.String(), strings.Join(noProxy, ",")
	bundle, extra := c.Files.Bundle, c.Files.Extra
	return []variable{
		{"AGENTVAULT", "1"}, // a run inside a run can tell
		{"AGENTVAULT_SESSION", c.Session},

		// Where to go. Both spellings: wget, aria2 and curl (for http://) read lower case
		// only, many others upper case only.
		{"HTTPS_PROXY", proxy}, {"https_proxy", proxy},
		{"HTTP_PROXY", proxy}, {"http_proxy", proxy},
		{"ALL_PROXY", proxy}, {"all_proxy", proxy},
		{"NO_PROXY", direct}, {"no_proxy", direct},
		{"NODE_USE_ENV_PROXY", "1"},            // Node 22.21 and later, 24 and later: fetch, http(s), WebSocket
		{"GIT_HTTP_PROXY_AUTHMETHOD", "basic"}, // git sends the token at once and not only after a 407
		{"OPENCLAW_PROXY_URL", proxy},
		{"PERL_LWP_ENV_PROXY", "1"}, // LWP reads the proxy variables when it is told to

		// Whom to trust, for clients that add to the roots they have.
		{"NODE_EXTRA_CA_CERTS", extra}, // node, npm, bun, gemini, opencode, claude
		{"DENO_CERT", extra},
		{"DENO_TLS_CA_STORE", "mozilla,system"},

		// Whom to trust, for clients that replace them: the file must hold all roots.
		{"SSL_CERT_FILE", bundle},        // OpenSSL, Go, Rust, ruby
		{"REQUESTS_CA_BUNDLE", bundle},   // Python's requests, botocore
		{"CURL_CA_BUNDLE", bundle},       // curl
		{"GIT_SSL_CAINFO", bundle},       // git
		{"PIP_CERT", bundle},             // pip
		{"HTTPLIB2_CA_CERTS", bundle},    // Google's older Python clients
		{"CARGO_HTTP_CAINFO", bundle},    // cargo
		{"NPM_CONFIG_CAFILE", bundle},    // npm, pnpm
		{"NIX_SSL_CERT_FILE", bundle},    // nix, and what it built
		{"BUNDLE_SSL_CA_CERT", bundle},   // bundler
		{"COMPOSER_CAFILE", bundle},      // composer
		{"PERL_LWP_SSL_CA_FILE", bundle}, // LWP, which else takes Mozilla::CA or the system's
		{"CODEX_CA_CERTIFICATE", bundle}, // codex
		{"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", bundle},
		{"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", bundle}, // gcloud

		// Clients that read a file of settings and no variable.
		{"WGETRC", c.Files.Wgetrc},
		{"PHP_INI_SCAN_DIR", c.phpScan()},
	}
}

// phpScan keeps the folders that PHP reads anyway: an empty element stands for the one it
// was built with.
func (c EnvConfig) phpScan() string {
	old := newVariables(c.Parent, false).get("PHP_INI_SCAN_DIR")
	return old + string(filepath.ListSeparator) + c.Files.PHP
}

// ownSecrets begins the names of agentvault's own variables that open a store. Nothing
// readmits them.
const ownSecrets = "AGENTVAULT_PASSPHRASE"

// removed are inherited variables that would lead a client around the proxy, past its CA,
// or out of verifying at all. In upper case; every case of a name is removed.
var removed = []string{
	// Any spelling: of https_proxy and Https_Proxy some client reads each.
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY",
	"NPM_CONFIG_*PROXY*", // npm and pnpm put it before HTTPS_PROXY
	"NPM_CONFIG_CAFILE",  // in lower case inside `npm run`, and then before ours
	"CARGO_HTTP_PROXY",
	"PIP_PROXY",
	"AWS_CA_BUNDLE",  // breaks rclone when set; botocore falls back to REQUESTS_CA_BUNDLE
	"SSL_CERT_DIR",   // Go reads it beside SSL_CERT_FILE: the roots are in the bundle already
	"GIT_SSL_CAPATH", // beats GIT_SSL_CAINFO
	"GIT_SSL_NO_VERIFY",
	"NODE_TLS_REJECT_UNAUTHORIZED",
}

func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if wildcard(p, name) {
			return true
		}
	}
	return false
}

// Own reports whether a variable, in any case of its name, is one that the session sets or
// takes away so that its child finds the proxy and trusts it.
func Own(name string) bool {
	name = strings.ToUpper(name)
	if strings.HasPrefix(name, ownSecrets) || strings.HasPrefix(name, "GIT_CONFIG_") || matchAny(removed, name) {
		return true
	}
	switch name {
	case "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS":
		return true
	}
	return slices.ContainsFunc(settings(EnvConfig{Proxy: new(url.URL), Files: new(Files)}, nil), func(v variable) bool { return strings.ToUpper(v.name) == name })
}
