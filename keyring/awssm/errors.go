package awssm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/smithy-go"

	"agentvault/keyring"
)

// errExpired says that AWS did not take the credentials themselves.
var errExpired = errors.New("the AWS credentials were refused")

const signIn = "sign in: aws sso login, aws configure, or AWS_PROFILE"

// explain turns the SDK's error into ours, without the credentials of the request.
func explain(ctx context.Context, err error, own aws.Credentials) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	secrets := []keyring.Secret{keyring.NewSecret([]byte(own.SecretAccessKey)), keyring.NewSecret([]byte(own.SessionToken))}
	defer func() { secrets[0].Wipe(); secrets[1].Wipe() }()
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%s: %w", cause(err, secrets), keyring.ErrUnavailable)
	}
	said := keyring.Excerpt(api.ErrorCode()+"\n"+api.ErrorMessage(), secrets...)
	var resp *awshttp.ResponseError
	status := 0
	if errors.As(err, &resp) {
		status = resp.HTTPStatusCode()
	}
	switch api.ErrorCode() {
	case "ResourceNotFoundException":
		return fmt.Errorf("%s: %w", said, keyring.ErrNotFound)
	case "InvalidRequestException": // marked for deletion, or without a value yet
		return fmt.Errorf("%s: %w", said, keyring.ErrNotFound)
	case "AccessDeniedException", "DecryptionFailure":
		return keyring.WithHint(fmt.Errorf("%s: %w", said, keyring.ErrDenied),
			"the role needs secretsmanager:GetSecretValue, and kms:Decrypt for a key of your own")
	case "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException",
		"MissingAuthenticationTokenException", "MissingAuthenticationToken", "IncompleteSignature":
		return keyring.WithHint(fmt.Errorf("%s: %w: %w", said, errExpired, keyring.ErrDenied), signIn)
	case "ThrottlingException", "TooManyRequestsException", "Throttling", "RequestLimitExceeded", "InternalServiceError", "ServiceUnavailable":
		return fmt.Errorf("%s: %w", said, keyring.ErrUnavailable)
	}
	switch {
	case status == http.StatusTooManyRequests, status >= 500:
		return fmt.Errorf("status %d (%s): %w", status, said, keyring.ErrUnavailable)
	case status == http.StatusForbidden:
		return fmt.Errorf("status %d (%s): %w", status, said, keyring.ErrDenied)
	}
	return fmt.Errorf("status %d (%s)", status, said)
}

// explain says why we are nobody. The last in the SDK's chain is the instance's role: its
// failure means that there was nothing anywhere.
func (l loaded) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var (
		call    *smithy.OperationError
		api     smithy.APIError
		answer  *awshttp.ResponseError
		wire    *net.OpError
		process *processcreds.ProviderError
	)
	said := keyring.Excerpt(err.Error())
	if errors.As(err, &api) { // the whole repeats itself, and names requests
		said = keyring.Excerpt(api.ErrorCode() + "\n" + api.ErrorMessage())
	}
	switch {
	case errors.Is(err, errEnded):
		return err
	case errors.As(err, &process):
		return explainProcess(process)
	case errors.As(err, &wire):
		return fmt.Errorf("AWS credentials: %s: %w", cause(err, nil), keyring.ErrUnavailable)
	case errors.As(err, &answer) && (answer.HTTPStatusCode() == http.StatusTooManyRequests || answer.HTTPStatusCode() >= 500):
		return fmt.Errorf("AWS credentials: status %d (%s): %w", answer.HTTPStatusCode(), said, keyring.ErrUnavailable)
	case l.sso != "" && isSSO(err):
		return keyring.WithHint(fmt.Errorf("the AWS SSO session of the profile %q has ended, or there is none (%s): %w", l.sso, said, keyring.ErrDenied),
			"sign in again: aws sso login --profile "+l.sso)
	case errors.As(err, &call) && call.Service() == "ec2imds":
		return keyring.WithHint(fmt.Errorf("no AWS credentials: %w", keyring.ErrDenied), signIn)
	}
	return keyring.WithHint(fmt.Errorf("AWS credentials: %s: %w", said, keyring.ErrDenied), signIn)
}

// isSSO tells the failure of an SSO session from that of the role that is assumed with it.
func isSSO(err error) bool {
	var call *smithy.OperationError
	return !errors.As(err, &call) || call.Service() == "SSO" || call.Service() == "SSO OIDC"
}

// ssoProfile is the profile that signs in with SSO; "" where the credentials come from
// elsewhere.
func ssoProfile(c aws.Config) string {
	source, ok := c.Credentials.(aws.CredentialProviderSource)
	if !ok || !slices.ContainsFunc(source.ProviderSources(), func(s aws.CredentialSource) bool {
		return s == aws.CredentialSourceSSO || s == aws.CredentialSourceSSOLegacy
	}) {
		return ""
	}
	for _, s := range c.ConfigSources {
		shared, ok := s.(config.SharedConfig)
		if !ok {
			continue
		}
		for p := &shared; p != nil; p = p.Source {
			if p.SSOAccountID != "" {
				return p.Profile
			}
		}
	}
	return ""
}

// cause is the end of a chain of wrappings, each of which repeats the one before.
func cause(err error, secrets []keyring.Secret) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return keyring.Excerpt(err.Error(), secrets...)
}

// checkEndpoint refuses an endpoint (AWS_ENDPOINT_URL, a profile) at which values would cross
// a network in the clear.
func checkEndpoint(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return errors.New("AWS endpoint: want https://HOST")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("AWS endpoint %q: want https", u.Redacted())
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
