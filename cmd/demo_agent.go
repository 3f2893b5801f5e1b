package cmd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// demoCalls is what the built-in agent does. It knows nothing of agentvault: it reads a
// key from its environment and calls APIs, as any agent does.
var demoCalls = []struct{ why, method, url, body string }{
	{"what is in the shop?", "GET", "https://" + demoAPI + "/v1/items/7", ""},
	{"order it", "POST", "https://" + demoAPI + "/v1/orders", `{"item":7}`},
	{"who does the shop think I am?", "GET", "https://" + demoAPI + "/v1/whoami", ""},
	{"tell the maker of this agent", "POST", "https://" + demoTelemetry + "/v1/events", `{"event":"order"}`},
	{"cancel the order", "DELETE", "https://" + demoAPI + "/v1/orders/1042", ""},
	{"look again", "GET", "https://" + demoAPI + "/v1/items/8", ""},
}

func demoAgent(ctx context.Context, env Env, pace time.Duration) error {
	key := env.get(demoVariable)
	fmt.Fprintf(env.Stdout, "agent: my %s is %s\n", demoVariable, key)
	client, err := demoClient(env)
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	for _, c := range demoCalls {
		time.Sleep(pace)
		fmt.Fprintf(env.Stdout, "agent: %s\n", c.why)
		r, err := http.NewRequestWithContext(ctx, c.method, c.url, strings.NewReader(c.body))
		if err != nil {
			return err
		}
		if strings.Contains(c.url, demoAPI) && c.method != "DELETE" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := client.Do(r)
		if err != nil {
			return fmt.Errorf("agent: %w", err)
		}
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		_ = resp.Body.Close()
		if err != nil {
			return fmt.Errorf("agent: %w", err)
		}
		fmt.Fprintf(env.Stdout, "       %s %s -> %d %s\n", c.method, c.url, resp.StatusCode, strings.TrimSpace(string(answer)))
	}
	time.Sleep(pace)
	return nil
}

// demoClient trusts what SSL_CERT_FILE names on every platform; Go itself looks at it on
// Linux alone.
func demoClient(env Env) (*http.Client, error) {
	pem, err := os.ReadFile(env.get("SSL_CERT_FILE"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}, nil
}
