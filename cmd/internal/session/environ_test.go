package session

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func environConfig(parent ...string) EnvConfig {
	return EnvConfig{
		Parent: parent, Session: "7f3a",
		Proxy: &url.URL{Scheme: "http", User: url.UserPassword("agentvault", "tok"), Host: "127.0.0.1:4711"},
		Files: &Files{CA: "/s/ca.pem", Extra: "/s/extra.pem", Bundle: "/s/bundle.pem", Truststore: "/s/t.p12",
			TruststorePassword: "changeit", Wgetrc: "/s/wgetrc", PHP: "/s/php", NodeShim: "/s/node-proxy.cjs"},
	}
}

// lookup returns a variable's values: more than one is a defect.
func lookup(vars []string, name string) []string {
	var values []string
	for _, kv := range vars {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			values = append(values, value)
		}
	}
	return values
}

func TestEnviron(t *testing.T) {
	const proxy = "http://agentvault:tok@127.0.0.1:4711"
	const java = "-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=4711 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=4711 " +
		"-Dhttp.nonProxyHosts=localhost|*.localhost|127.0.0.1|[::1] -Djavax.net.ssl.trustStore=/s/t.p12 " +
		"-Djavax.net.ssl.trustStorePassword=changeit -Djavax.net.ssl.trustStoreType=PKCS12"
	tests := []struct {
		name   string
		parent []string
		change func(*EnvConfig)
		want   map[string]string // "-" means absent
	}{
		{"from nothing", nil, nil, map[string]string{
			"HTTPS_PROXY": proxy, "https_proxy": proxy, "HTTP_PROXY": proxy, "http_proxy": proxy, "ALL_PROXY": proxy,
			"NO_PROXY": "localhost,127.0.0.1,::1", "no_proxy": "localhost,127.0.0.1,::1",
			"SSL_CERT_FILE": "/s/bundle.pem", "NODE_EXTRA_CA_CERTS": "/s/extra.pem", "NODE_USE_ENV_PROXY": "1",
			"JAVA_TOOL_OPTIONS": java, "NODE_OPTIONS": "--require=/s/node-proxy.cjs",
			"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "http.proxy", "GIT_CONFIG_VALUE_0": proxy,
			"GIT_CONFIG_KEY_1": "http.sslCAInfo", "GIT_CONFIG_VALUE_1": "/s/bundle.pem",
			"AGENTVAULT": "1", "AGENTVAULT_SESSION": "7f3a", "PHP_INI_SCAN_DIR": ":/s/php", "WGETRC": "/s/wgetrc",
		}},
		{"the parent's is replaced, not doubled",
			[]string{"https_proxy=http://dead", "HTTPS_PROXY=http://dead", "Https_Proxy=http://dead", "SSL_CERT_FILE=/old", "PATH=/bin", "PATH=/usr/bin"}, nil,
			map[string]string{"https_proxy": proxy, "HTTPS_PROXY": proxy, "Https_Proxy": "-", "SSL_CERT_FILE": "/s/bundle.pem", "PATH": "/usr/bin"}},
		{"removed when inherited",
			[]string{"AWS_CA_BUNDLE=/x", "SSL_CERT_DIR=/x", "npm_config_https_proxy=x", "NPM_CONFIG_NOPROXY=x", "npm_config_cafile=/x",
				"CARGO_HTTP_PROXY=x", "GIT_SSL_CAPATH=/x", "GIT_SSL_NO_VERIFY=1", "NODE_TLS_REJECT_UNAUTHORIZED=0", "PIP_PROXY=x"}, nil,
			map[string]string{"AWS_CA_BUNDLE": "-", "SSL_CERT_DIR": "-", "npm_config_https_proxy": "-", "NPM_CONFIG_NOPROXY": "-", "npm_config_cafile": "-",
				"NPM_CONFIG_CAFILE": "/s/bundle.pem", "CARGO_HTTP_PROXY": "-", "GIT_SSL_CAPATH": "-", "GIT_SSL_NO_VERIFY": "-",
				"NODE_TLS_REJECT_UNAUTHORIZED": "-", "PIP_PROXY": "-"}},
		{"no_proxy is merged",
			[]string{"NO_PROXY=.corp.example, 10.0.0.0/8,localhost", "no_proxy=*,169.254.169.254,169.254.0.0/16,metadata.google.internal,db.example:5432"},
			func(c *EnvConfig) { c.NoProxy = []string{"*.internal"} },
			map[string]string{"no_proxy": "localhost,127.0.0.1,::1,*.internal,db.example:5432,.corp.example,10.0.0.0/8"}},
		{"java options are appended",
			[]string{`JAVA_TOOL_OPTIONS=-Xmx1g "-Dname=two words" -Dhttps.proxyHost=dead -Djavax.net.ssl.trustStore=/old -Dhttp.nonProxyHosts=x`,
				"JDK_JAVA_OPTIONS=-Dhttp.proxyPort=1 -ea", "_JAVA_OPTIONS=-Djavax.net.ssl.trustStoreType=JKS"}, nil,
			map[string]string{"JAVA_TOOL_OPTIONS": `-Xmx1g "-Dname=two words" ` + java, "JDK_JAVA_OPTIONS": "-ea", "_JAVA_OPTIONS": "-"}},
		{"node options are appended",
			[]string{"NODE_OPTIONS=--max-old-space-size=4096 --require=/outer/node-proxy.cjs --require ./mine.js"}, nil,
			map[string]string{"NODE_OPTIONS": "--max-old-space-size=4096 --require ./mine.js --require=/s/node-proxy.cjs"}},
		{"paths with blanks", nil, func(c *EnvConfig) {
			c.Files.NodeShim, c.Files.Truststore = `C:\a b\node-proxy.cjs`, "/a b/t.p12"
		}, map[string]string{
			"NODE_OPTIONS":      `--require="C:\\a b\\node-proxy.cjs"`,
			"JAVA_TOOL_OPTIONS": strings.Replace(java, "-Djavax.net.ssl.trustStore=/s/t.p12", `"-Djavax.net.ssl.trustStore=/a b/t.p12"`, 1)}},
		{"git configuration follows the parent's",
			[]string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=user.name", "GIT_CONFIG_VALUE_0=A"}, nil,
			map[string]string{"GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_KEY_1": "http.proxy", "GIT_CONFIG_KEY_2": "http.sslCAInfo"}},
		{"a git count that is none", []string{"GIT_CONFIG_COUNT=x"}, nil, map[string]string{"GIT_CONFIG_COUNT": "2"}},
		{"placeholders win", []string{"GITHUB_TOKEN=real"},
			func(c *EnvConfig) {
				c.Placeholders = map[string]string{"GITHUB_TOKEN": "ghp_stand-in", "SSL_CERT_FILE": "even here"}
				c.Pass = []string{"*"}
			},
			map[string]string{"GITHUB_TOKEN": "ghp_stand-in", "SSL_CERT_FILE": "even here"}},
		{"php keeps its folders", []string{"PHP_INI_SCAN_DIR=/etc/php"}, nil, map[string]string{"PHP_INI_SCAN_DIR": "/etc/php:/s/php"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := environConfig(tt.parent...)
			if tt.change != nil {
				tt.change(&c)
			}
			vars := environ(c, false).Vars
			for name, want := range tt.want {
				got := lookup(vars, name)
				if want == "-" && len(got) > 0 || want != "-" && !slices.Equal(got, []string{want}) {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestEnvironCredentials(t *testing.T) {
	parent := []string{"GH_TOKEN=a", "OPENAI_API_KEY=b", "PGPASSWORD=c", "EMPTY_TOKEN=", "AGENTVAULT_PASSPHRASE=p", "AGENTVAULT_PASSPHRASE_FD=3", "TERM=xterm"}
	tests := []struct {
		name                 string
		change               func(*EnvConfig)
		held, withheld, seen []string
	}{
		{"held back", nil, []string{"GH_TOKEN", "OPENAI_API_KEY", "PGPASSWORD"}, nil, nil},
		{"readmitted by name and by pattern", func(c *EnvConfig) { c.Pass = []string{"GH_TOKEN", "PG*"} }, []string{"OPENAI_API_KEY"}, nil, nil},
		{"replaced is not held", func(c *EnvConfig) { c.Placeholders = map[string]string{"GH_TOKEN": "x"} }, []string{"OPENAI_API_KEY", "PGPASSWORD"}, nil, nil},
		{"a key under another name", func(c *EnvConfig) { c.IsKey = func(v string) bool { return v == "xterm" || v == "" } }, []string{"GH_TOKEN", "OPENAI_API_KEY", "PGPASSWORD", "TERM"}, nil, nil},
		{"a key under another name, readmitted", func(c *EnvConfig) {
			c.IsKey, c.Pass = func(v string) bool { return v == "xterm" }, []string{"TERM"}
		}, []string{"GH_TOKEN", "OPENAI_API_KEY", "PGPASSWORD"}, nil, nil},
		{"a key where a path belongs", func(c *EnvConfig) {
			c.Parent, c.IsKey = []string{"X_FILE=key", "Y_FILE=/run/key", "TERM=xterm", "EMPTY_TOKEN="}, func(v string) bool { return v == "key" }
		}, []string{"X_FILE"}, nil, nil},
		{"read from, and replaced", func(c *EnvConfig) {
			c.Withheld, c.PassAll = []string{"PGPASSWORD", "GH_TOKEN"}, true
			c.Placeholders = map[string]string{"GH_TOKEN": "x"}
		}, nil, []string{"PGPASSWORD"}, []string{"OPENAI_API_KEY"}},
		{"all pass", func(c *EnvConfig) { c.PassAll = true }, nil, nil, []string{"GH_TOKEN", "OPENAI_API_KEY", "PGPASSWORD"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := environConfig(parent...)
			if tt.change != nil {
				tt.change(&c)
			}
			env := environ(c, false)
			if !slices.Equal(env.Held, tt.held) || !slices.Equal(env.Withheld, tt.withheld) || !slices.Equal(env.Seen, tt.seen) {
				t.Errorf("held %q, withheld %q, seen %q, want %q, %q and %q", env.Held, env.Withheld, env.Seen, tt.held, tt.withheld, tt.seen)
			}
			for _, name := range append(tt.held, tt.withheld...) {
				if got := lookup(env.Vars, name); got != nil {
					t.Errorf("%s is held back and there: %q", name, got)
				}
			}
			for _, name := range append(tt.seen, "TERM", "EMPTY_TOKEN") {
				if !slices.Contains(tt.held, name) && len(lookup(env.Vars, name)) != 1 {
					t.Errorf("%s is missing", name)
				}
			}
			if strings.Contains(strings.Join(env.Vars, "\n"), "AGENTVAULT_PASSPHRASE") {
				t.Error("the store's passphrase was handed on")
			}
		})
	}
}

func TestIsCredential(t *testing.T) {
	for name, want := range map[string]bool{
		"GITHUB_TOKEN": true, "github_token": true, "GH_TOKEN": true, "ANTHROPIC_AUTH_TOKEN": true,
		"STRIPE_SECRET_KEY": true, "AZURE_CLIENT_SECRET": true, "SECRET_KEY_BASE": true,
		"OPENAI_API_KEY": true, "MYAPIKEY": true, "PGPASSWORD": true, "DB_PASSWD": true,
		"GOOGLE_APPLICATION_CREDENTIALS": true, "DEPLOY_PRIVATE_KEY": true,
		"AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true, "AWS_SESSION_TOKEN": true, "AWS_BEARER_TOKEN_BEDROCK": true,
		"NPM_CONFIG_//REGISTRY.EXAMPLE/:_AUTHTOKEN": true, "npm_config__auth": true, "AZURE_DEVOPS_EXT_PAT": true,
		"SLACK_WEBHOOK_URL": true, "MYSQL_PWD": true, "OP_SESSION_my": true, "AWS_CONTAINER_AUTHORIZATION_TOKEN": true,

		"SSH_AUTH_SOCK": false, "AWS_WEB_IDENTITY_TOKEN_FILE": false, "PGPASSFILE": false, "RESTIC_PASSWORD_COMMAND": false,
		"CLAUDE_CODE_MAX_OUTPUT_TOKENS": false, "TOKENIZERS_PARALLELISM": false, "GPG_KEY": false, "AWS_PROFILE": false,
		"PASSWORD_STORE_DIR": false, "GIT_ASKPASS": false, "PWD": false, "OLDPWD": false, "PATH": false, "SECRETARY": false,
		"CLAUDE_CODE_API_KEY_HELPER_TTL_MS": false, "KEYBOARD": false,
	} {
		if got := isCredential(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestEnvironFolded is Windows, where names differ only by more than case.
func TestEnvironFolded(t *testing.T) {
	c := environConfig("Path=C:\\x", "=C:=C:\\work", "https_proxy=dead", "Gh_Token=a", "agentvault_passphrase=p")
	c.Placeholders = map[string]string{"GH_TOKEN": "stand-in"}
	env := environ(c, true)
	seen := map[string]bool{}
	for _, kv := range env.Vars {
		name := strings.ToUpper(kv[:strings.Index(kv[1:], "=")+1])
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
	}
	for _, name := range []string{"PATH", "=C:", "HTTPS_PROXY", "GH_TOKEN"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if seen["AGENTVAULT_PASSPHRASE"] || len(env.Held) != 0 {
		t.Errorf("passphrase handed on, or held %q", env.Held)
	}
}

func TestJavaNoProxy(t *testing.T) {
	got := javaNoProxy([]string{"localhost", "127.0.0.1", "::1", ".corp.example", "*.internal", "10.0.0.0/8", "db.example:5432"})
	if want := "localhost|*.localhost|127.0.0.1|[::1]|*.corp.example|*.internal"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWildcard(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"A", "A", true}, {"A", "AB", false}, {"*", "", true}, {"*_T", "X_T", true}, {"*_T", "_T", true}, {"*_T", "T", false},
		{"A*B", "AB", true}, {"A*B", "AXB", true}, {"A*B", "A", false}, {"A*A", "A", false}, {"*B*", "ABC", true}, {"A*B*C", "AxBxC", true},
		{"A*B*C", "AxC", false}, {"N*P*", "NaP", true},
		{"A?C", "ABC", true}, {"A?C", "AC", false}, {"?", "", false}, {"*?", "X", true}, {"KEY_?", "KEY_10", false}, {"*_?_*", "A_1_", true},
	} {
		if got := wildcard(tt.pattern, tt.name); got != tt.want {
			t.Errorf("wildcard(%q, %q) is %v", tt.pattern, tt.name, got)
		}
	}
}

// What leads a child to the proxy can be named by no service, in any case.
func TestOwn(t *testing.T) {
	for name, want := range map[string]bool{
		"HTTPS_PROXY": true, "https_proxy": true, "All_Proxy": true, "NO_PROXY": true, "NODE_EXTRA_CA_CERTS": true, "SSL_CERT_FILE": true,
		"NODE_OPTIONS": true, "GIT_CONFIG_COUNT": true, "AGENTVAULT": true, "AGENTVAULT_PASSPHRASE": true, "NODE_TLS_REJECT_UNAUTHORIZED": true,
		"GITHUB_TOKEN": false, "PROXY_TOKEN": false, "AGENTVAULT_DEMO": false, "": false,
	} {
		if Own(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}
