package infisical

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/infisical/go-sdk"
	api "github.com/infisical/go-sdk/packages/api/auth"

	"agentvault/keyring"
)

// AWSIdentity are the AWS credentials that say who we are, and the region in which that is
// asked.
type AWSIdentity struct {
	Credentials aws.Credentials
	Region      string
}

// whoAmI is a call of AWS STS. We sign it and Infisical makes it, and so learns who signed;
// the signature is good for that call alone and for a quarter of an hour.
const whoAmI = "Action=GetCallerIdentity&Version=2011-06-15"

// loginAWS does what the SDK's own function for it does, which would look for the credentials
// by itself: without a context, and with complaints on stderr.
func (c client) loginAWS(ctx context.Context, id Identity) (sdk.MachineIdentityCredential, error) {
	var none sdk.MachineIdentityCredential
	if id.AWS == nil {
		return none, fmt.Errorf("AWS credentials for Infisical: %w", keyring.ErrNotFound)
	}
	who, err := id.AWS(ctx)
	if err != nil {
		return none, err
	}
	host := "sts." + who.Region + ".amazonaws.com"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+host+"/", strings.NewReader(whoAmI))
	if err != nil {
		return none, err
	}
	now := time.Now()
	hash := sha256.Sum256([]byte(whoAmI))
	if err := v4.NewSigner().SignHTTP(ctx, who.Credentials, r, hex.EncodeToString(hash[:]), "sts", who.Region, now); err != nil {
		return none, fmt.Errorf("sign for AWS: %w", err)
	}
	headers := map[string]string{"Host": host, "Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Content-Length": strconv.Itoa(len(whoAmI))}
	for name := range r.Header {
		if name != "Content-Length" {
			headers[name] = r.Header.Get(name)
		}
	}
	text, err := json.Marshal(headers)
	if err != nil {
		return none, err
	}
	got, err := api.CallAWSIamAuthLogin(c.inner, api.AwsIamAuthLoginRequest{
		HTTPRequestMethod: r.Method, IamRequestBody: base64.StdEncoding.EncodeToString([]byte(whoAmI)),
		IamRequestHeaders: base64.StdEncoding.EncodeToString(text), IdentityId: id.ID,
	})
	return got, c.refused(err, "role or user in AWS", keyring.NewSecret([]byte(who.Credentials.SessionToken)))
}
