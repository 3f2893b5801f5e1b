package cmd

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"agentvault/cmd/internal/config"
	"agentvault/cmd/internal/session"
	"agentvault/proxy"
	"agentvault/proxy/rule"
)

// configOptions says where the files are; path is that of --config, "" for none.
func (e Env) configOptions(path string) config.Options {
	return config.Options{Path: path, Dir: e.Dir, UserDir: e.configDir(), Home: e.home(), Own: session.Own}
}

// loadConfig reads, checks and compiles the files. A project's file is used only after
// approve has said so: it came with a clone.
func loadConfig(env Env, path string, approve func(config.Source) error) (*config.Compiled, error) {
	f, err := config.Load(env.configOptions(path))
	if err != nil {
		return nil, &configError{err}
	}
	for _, src := range f.Sources {
		if src.Kind != config.Project || approve == nil {
			continue
		}
		if err := approve(src); err != nil {
			return nil, err
		}
	}
	c, err := f.Compile()
	if err != nil {
		return nil, &configError{err}
	}
	return c, nil
}

// checkGone refuses to start where an approved file of this project has disappeared:
// without its services the environment's own credentials would be handed on as at a first
// try, and whoever wants them only had to remove the file.
func checkGone(env Env, named string) error {
	if named != "" {
		return nil
	}
	paths, err := config.NewTrust(env.stateDir()).Paths()
	if err != nil {
		return err
	}
	for _, path := range paths {
		rel, err := filepath.Rel(filepath.Dir(path), realPath(env.Dir))
		above := err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
		if _, err := os.Stat(path); above && errors.Is(err, fs.ErrNotExist) {
			return &configError{withHint(fmt.Errorf("%s: was approved for this project and is gone", path),
				"restore it, or forget it: agentvault trust --revoke %s", shellWord(path))}
		}
	}
	return nil
}

func realPath(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}

// parentUpstream is how agentvault itself reaches the world: the proxy and the
// authorities of the environment that it was started in.
func parentUpstream(env Env) (proxy.Upstream, error) {
	choose, err := proxy.ParentProxy(env.get)
	if err != nil {
		return proxy.Upstream{}, &configError{err}
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for _, name := range []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"} {
		if file := env.get(name); file != "" {
			pem, err := os.ReadFile(file)
			if err != nil {
				continue // the session's files say so, once
			}
			roots.AppendCertsFromPEM(pem)
		}
	}
	return proxy.Upstream{Roots: roots, Proxy: choose}, nil
}

func parseOps(texts ...string) ([]rule.Op, error) {
	var ops []rule.Op
	for _, t := range texts {
		op, err := rule.ParseOp(t)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}
