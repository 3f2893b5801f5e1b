package awssm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"

	"agentvault/keyring"
)

// Prepare runs the command of the profile (credential_process), where it has one, and does
// nothing else. The command runs once in the life of a Backend: whoever starts a program that
// could look into it, or put another one in its place, prepares first.
func (b *Backend) Prepare(ctx context.Context) error {
	sdk, err := b.load(ctx, nil)
	if err != nil {
		return err
	}
	if _, ok := sdk.credentials.(*once); !ok {
		return nil
	}
	if _, err := sdk.credentials.Retrieve(ctx); err != nil {
		return sdk.explain(ctx, err)
	}
	return nil
}

// once keeps what a command gave, alone or by way of a role that was assumed with it.
type once struct {
	mu       sync.Mutex
	provider aws.CredentialsProvider
	kept     aws.Credentials
}

// Retrieve implements aws.CredentialsProvider.
func (o *once) Retrieve(ctx context.Context) (aws.Credentials, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.kept.HasKeys() {
		got, err := o.provider.Retrieve(ctx)
		if err != nil {
			return aws.Credentials{}, err
		}
		o.kept = got
	}
	if o.kept.Expired() {
		return aws.Credentials{}, keyring.WithHint(fmt.Errorf("what credential_process gave ended at %s, and a command is not run beside the agent: %w: %w",
			o.kept.Expires.Format(time.RFC3339), errEnded, keyring.ErrDenied), "end the session and start it again")
	}
	return o.kept, nil
}

// errEnded says that the credentials of a command have come to their end.
var errEnded = errors.New("the AWS credentials have ended")

// needsCommand reports whether a command is among what the credentials come from: that of the
// profile, or of the one that it assumes its role with.
func needsCommand(p aws.CredentialsProvider) bool {
	s, ok := p.(aws.CredentialProviderSource)
	return ok && slices.Contains(s.ProviderSources(), aws.CredentialSourceProcess)
}

// explainProcess says why a command gave nothing. The SDK's text repeats what the command
// printed where that is not what it should be.
func explainProcess(err *processcreds.ProviderError) error {
	text := err.Error()
	if strings.Contains(text, "parse failed") {
		text = "its output is not the JSON that AWS describes"
	}
	return fmt.Errorf("AWS credentials: credential_process: %s: %w", keyring.Excerpt(text), keyring.ErrDenied)
}
