// Package awssm gets secrets from AWS Secrets Manager, for refs `aws:ID[#JSON_KEY][@STAGE]`,
// where ID is a name or an ARN.
//
// Credentials and region come from where every AWS tool takes them: the environment, the
// profile (static keys, SSO, an assumed role, credential_process), a container's or an
// instance's role. Nothing of that is read before the first get. The region in an ARN wins.
//
// A call is made once, never repeated by itself, and ends with its context.
package awssm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/logging"

	"agentvault/keyring"
)

// Config completes what the environment and the shared configuration files say. The zero
// Config is a good one.
type Config struct {
	// Region is for refs that are no ARN; that of the environment or the profile when empty.
	Region string
	// Profile is AWS_PROFILE, or the default one, when empty.
	Profile string
	// RootCAs are the system's, or those in AWS_CA_BUNDLE, when nil.
	RootCAs *x509.CertPool
}

// Backend answers refs with the scheme aws. It is safe for concurrent use.
type Backend struct {
	c    Config
	gate chan struct{} // holds a token for whoever loads, or looks at loaded
	loaded
}

// loaded is what the environment and the files gave.
type loaded struct {
	client      *secretsmanager.Client
	credentials aws.CredentialsProvider
}

var _ keyring.Backend = (*Backend)(nil)

// New returns a backend that has read nothing.
func New(c Config) *Backend { return &Backend{c: c, gate: make(chan struct{}, 1)} }

// Get returns the secret that ref names: the value as a whole, or one key of it where the
// value is a JSON object.
func (b *Backend) Get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	sdk, err := b.load(ctx, nil)
	if err != nil {
		return keyring.Item{}, err
	}
	item, err := sdk.get(ctx, ref)
	if errors.Is(err, errExpired) {
		// Somebody may have signed in again, or written new keys into the file. Once.
		if sdk, err = b.load(ctx, sdk.client); err != nil {
			return keyring.Item{}, err
		}
		item, err = sdk.get(ctx, ref)
	}
	return item, err
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
	client := secretsmanager.NewFromConfig(c)
	if to := client.Options().BaseEndpoint; to != nil {
		if err := checkEndpoint(*to); err != nil {
			return loaded{}, err
		}
	}
	b.loaded = loaded{client, c.Credentials}
	return b.loaded, nil
}

func (l loaded) get(ctx context.Context, ref keyring.Ref) (keyring.Item, error) {
	region := l.client.Options().Region
	if p := strings.Split(ref.Name, ":"); len(p) > 3 {
		region = p[3]
	}
	if region == "" {
		return keyring.Item{}, keyring.WithHint(errors.New("no AWS region"),
			"set AWS_REGION or a region in the profile, or write the secret's ARN")
	}
	// First and apart: their errors are about us and not about the secret. The SDK keeps them.
	own, err := l.credentials.Retrieve(ctx)
	if err != nil {
		return keyring.Item{}, explainCredentials(ctx, err)
	}
	in := &secretsmanager.GetSecretValueInput{SecretId: &ref.Name}
	if ref.Stage != "" {
		in.VersionStage = &ref.Stage
	}
	out, err := l.client.GetSecretValue(ctx, in, func(o *secretsmanager.Options) { o.Region = region })
	if err != nil {
		return keyring.Item{}, explain(ctx, err, own)
	}
	if out.ARN == nil { // a web page with status 200 has none
		return keyring.Item{}, fmt.Errorf("the answer is not a secret; is the endpoint right? %w", keyring.ErrUnavailable)
	}
	item, err := value(out, ref.Field)
	if err != nil {
		return keyring.Item{}, err
	}
	item.Version = aws.ToString(out.VersionId)
	item.Set = aws.ToTime(out.CreatedDate)
	return item, nil
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
