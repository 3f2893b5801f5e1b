// Package awssm gets secrets from AWS Secrets Manager, for refs `aws:ID[#JSON_KEY][@STAGE]`,
// where ID is a name or an ARN.
//
// Credentials and region come from where every AWS tool takes them: the environment, the
// profile (static keys, SSO, an assumed role, credential_process), a container's or an
// instance's role. Nothing of that is read before the first get, and a command is run once in
// the life of a Backend (process.go). The region in an ARN wins.
//
// Secrets that are asked for together come with one call (batch.go). A call is made once, and
// never repeated by itself.
package awssm

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/logging"

	"agentvault/keyring"
	"agentvault/keyring/internal/leasing"
)

// Config completes what the environment and the shared configuration files say. The zero
// Config is a good one.
type Config struct {
	// Region is for refs that are no ARN; that of the environment or the profile when empty.
	Region string
	// Profile is AWS_PROFILE, or the default one, when empty.
	Profile string
	// RootCAs are the system's when nil. Those in AWS_CA_BUNDLE are trusted besides.
	RootCAs *x509.CertPool
	// Proxy is http.ProxyFromEnvironment when nil. It is not asked about the metadata services
	// of this machine.
	Proxy func(*http.Request) (*url.URL, error)
}

// Backend answers refs with the scheme aws. It is safe for concurrent use.
type Backend struct {
	c    Config
	gate chan struct{} // holds a token for whoever loads, or looks at what follows
	loaded
	command *once // set where the credentials come from a command

	ctx    context.Context // ends with Close; shared calls hang on it
	cancel context.CancelFunc
	asks   leasing.Flights[*secretsmanager.GetSecretValueOutput]
	rounds rounds
}

// loaded is what the environment and the files gave.
type loaded struct {
	client      *secretsmanager.Client
	credentials aws.CredentialsProvider
	sso         string // the profile that signs in with SSO, if that is where the credentials come from
}

var _ keyring.Backend = (*Backend)(nil)

// New returns a backend that has read nothing.
func New(c Config) *Backend {
	if c.Proxy == nil {
		c.Proxy = http.ProxyFromEnvironment
	}
	b := &Backend{c: c, gate: make(chan struct{}, 1)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Close ends what is under way.
func (b *Backend) Close() error {
	b.cancel()
	return nil
}

// Get returns the secret that ref names: the value as a whole, or one key of it where the
// value is a JSON object.
func (b *Backend) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	// Two keys of one secret are one question.
	out, err := b.asks.Do(ctx, b.ctx, ref.Name+"@"+ref.Stage, func(ctx context.Context) (*secretsmanager.GetSecretValueOutput, error) {
		return b.ask(ctx, ref)
	})
	if err != nil {
		return keyring.Item{}, err
	}
	item, err := value(out, ref.Field)
	if err != nil {
		return keyring.Item{}, err
	}
	item.Version = aws.ToString(out.VersionId)
	item.Set = aws.ToTime(out.CreatedDate)
	return item, nil
}

// Identity returns who we are for AWS, and the region that we are in.
func (b *Backend) Identity(ctx context.Context) (aws.Credentials, string, error) {
	sdk, err := b.load(ctx, nil)
	if err != nil {
		return aws.Credentials{}, "", err
	}
	region := sdk.client.Options().Region
	if region == "" {
		return aws.Credentials{}, "", errNoRegion()
	}
	own, err := sdk.credentials.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, "", sdk.explain(ctx, err)
	}
	return own, region, nil
}

func errNoRegion() error {
	return keyring.WithHint(errors.New("no AWS region"), "set AWS_REGION, a region in the profile or in [aws], or write the secret's ARN")
}

// signed makes a call with credentials that were read, and once more with others where AWS
// does not take the first: somebody may have signed in again, or written new keys into the
// file. region is that of the environment when empty.
func (b *Backend) signed(ctx context.Context, region string, do func(*secretsmanager.Client, func(*secretsmanager.Options)) error) error {
	var refused *secretsmanager.Client
	for {
		sdk, err := b.load(ctx, refused)
		if err != nil {
			return err
		}
		at := cmp.Or(region, sdk.client.Options().Region)
		if at == "" {
			return errNoRegion()
		}
		// First and apart: their errors are about us and not about the secret. The SDK keeps them.
		own, err := sdk.credentials.Retrieve(ctx)
		if err != nil {
			return sdk.explain(ctx, err)
		}
		err = do(sdk.client, func(o *secretsmanager.Options) { o.Region = at })
		if err == nil {
			return nil
		}
		if err = explain(ctx, err, own); !errors.Is(err, errExpired) || refused != nil {
			return err
		}
		refused = sdk.client
	}
}

// one gets one secret by itself.
func (b *Backend) one(ctx context.Context, ref keyring.Ref) (out *secretsmanager.GetSecretValueOutput, err error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &ref.Name}
	if ref.Stage != "" {
		in.VersionStage = &ref.Stage
	}
	err = b.signed(ctx, regionOf(ref.Name), func(c *secretsmanager.Client, at func(*secretsmanager.Options)) (err error) {
		out, err = c.GetSecretValue(ctx, in, at)
		return err
	})
	if err == nil && out.ARN == nil { // a web page with status 200 has none
		return nil, fmt.Errorf("the answer is not a secret; is the endpoint right? %w", keyring.ErrUnavailable)
	}
	return out, err
}

// regionOf is the region in an ARN; "" where there is none.
func regionOf(id string) string {
	if p := strings.Split(id, ":"); len(p) > 3 {
		return p[3]
	}
	return ""
}

// load reads environment and files, unless that was done by a client other than refused.
func (b *Backend) load(ctx context.Context, refused *secretsmanager.Client) (loaded, error) {
	select {
	case b.gate <- struct{}{}:
	case <-ctx.Done():
		return loaded{}, ctx.Err()
	}
	defer func() { <-b.gate }()
	if b.client != nil && b.client != refused {
		return b.loaded, nil
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: b.c.RootCAs}
			t.Proxy = b.proxy
			t.MaxIdleConnsPerHost = 4
		})),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithLogger(logging.Nop{}), // otherwise stderr, where the child's screen is
	}
	if b.c.Region != "" {
		options = append(options, config.WithRegion(b.c.Region))
	}
	if b.c.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(b.c.Profile))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		if ctx.Err() != nil {
			return loaded{}, ctx.Err()
		}
		return loaded{}, fmt.Errorf("AWS configuration: %s", keyring.Excerpt(err.Error()))
	}
	if needsCommand(c.Credentials) {
		if b.command == nil {
			b.command = &once{provider: c.Credentials}
		}
		c.Credentials = b.command
	}
	client := secretsmanager.NewFromConfig(c)
	if to := client.Options().BaseEndpoint; to != nil {
		if err := checkEndpoint(*to); err != nil {
			return loaded{}, err
		}
	}
	b.loaded = loaded{client, c.Credentials, ssoProfile(c)}
	return b.loaded, nil
}

// proxy leaves the metadata services of this machine out, which the SDK would send through a
// proxy: it would get the role of whoever runs that.
func (b *Backend) proxy(r *http.Request) (*url.URL, error) {
	if ip := net.ParseIP(r.URL.Hostname()); ip != nil && (ip.IsLinkLocalUnicast() || ip.IsPrivate() && ip.To4() == nil) {
		return nil, nil // 169.254.169.254, 169.254.170.2, fd00:ec2::254
	}
	return b.c.Proxy(r)
}

// value takes a key, or everything, out of an answer.
func value(out *secretsmanager.GetSecretValueOutput, key string) (keyring.Item, error) {
	if out.SecretString == nil {
		if key != "" {
			return keyring.Item{}, fmt.Errorf("no key %q: the value is binary: %w", key, keyring.ErrNotFound)
		}
		return keyring.Received(out.SecretBinary)
	}
	text := *out.SecretString
	keys := object(text)
	switch {
	case key == "":
		item, err := keyring.Received([]byte(text))
		if err == nil && len(keys) > 0 && item.Note == "" {
			// A service account's file is JSON as well, and wanted whole.
			item.Note = fmt.Sprintf("the value is a JSON object, taken as a whole; #KEY takes one of: %s", names(keys))
		}
		return item, err
	case keys == nil:
		return keyring.Item{}, fmt.Errorf("no key %q: the value is no JSON object: %w", key, keyring.ErrNotFound)
	}
	raw, ok := keys[key]
	if !ok {
		return keyring.Item{}, fmt.Errorf("no key %q (one of: %s): %w", key, names(keys), keyring.ErrNotFound)
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil { // a number, a list: as they are written
		return keyring.Received(raw)
	}
	if s == nil { // null
		return keyring.Item{}, keyring.ErrEmpty
	}
	return keyring.Received([]byte(*s))
}

// object returns the keys of a JSON object; nil for anything else.
func object(text string) map[string]json.RawMessage {
	var keys map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &keys) != nil {
		return nil
	}
	return keys
}

func names(keys map[string]json.RawMessage) string {
	return keyring.Excerpt(strings.Join(slices.Sorted(maps.Keys(keys)), ", "))
}
