package inject

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxForm is how much of a form is read to learn its Action. STS takes 2,048 characters
// of policy; no query-protocol request comes near it.
const maxForm = 1 << 20

// refuseCredentialOperation stops calls that AWS answers with a credential: the child
// would hold a secret after all, and one that no proxy sees used. The name of the
// operation is looked for in every place where one of AWS's protocols puts it.
//
// STS is held to a list of what is harmless, because its purpose is to hand out
// credentials. Elsewhere the operations are named; a service that invents a new one is
// not covered until it is added here, which the documentation must say.
func refuseCredentialOperation(req *http.Request, service string) error {
	names, err := operationNames(req, service)
	if err != nil {
		return err
	}
	for _, name := range names {
		if handsOutCredentials(name) {
			return refusedOperation(name)
		}
	}
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	if service == "sts" || strings.HasPrefix(host, "sts.") || strings.HasPrefix(host, "sts-fips.") {
		harmless := func(n string) bool {
			return n == "GetCallerIdentity" || n == "DecodeAuthorizationMessage" || n == "GetAccessKeyInfo"
		}
		if len(names) == 0 || !slices.ContainsFunc(names, harmless) || slices.ContainsFunc(names, func(n string) bool { return !harmless(n) }) {
			return refusedOperation("sts")
		}
	}
	return refuseByPath(req, service)
}

// refuseByPath knows the operations of REST services, which have no name on the wire.
func refuseByPath(req *http.Request, service string) error {
	path, query := strings.TrimSuffix(req.URL.Path, "/"), req.URL.Query()
	switch {
	case strings.HasPrefix(service, "s3") && query.Has("session"):
		return refusedOperation("CreateSession")
	case strings.HasSuffix(path, "/federation/credentials"):
		return refusedOperation("GetRoleCredentials")
	case strings.HasPrefix(service, "sso") && strings.HasSuffix(path, "/token"):
		return refusedOperation("CreateToken")
	case service == "codeartifact" && strings.HasSuffix(path, "/authorization-token"):
		return refusedOperation("GetAuthorizationToken")
	}
	return nil
}

func handsOutCredentials(operation string) bool {
	switch operation {
	case "GetSessionToken", "AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "GetFederationToken",
		"GetWebIdentityToken", "GetDelegatedAccessToken", // sts
		"GetAuthorizationToken",                                   // ecr, ecr-public, codeartifact
		"GetRoleCredentials", "CreateToken", "CreateTokenWithIAM", // sso, sso-oidc
		"GetCredentialsForIdentity", "GetOpenIdToken", "GetOpenIdTokenForDeveloperIdentity", // cognito-identity
		"CreateAccessKey", "CreateServiceSpecificCredential", "ResetServiceSpecificCredential", "CreateLoginProfile", // iam
		"GetClusterCredentials", "GetClusterCredentialsWithIAM", // redshift
		"CreateSession": // s3
		return true
	}
	return false
}

// operationNames collects X-Amz-Target's last word, every Action of query and form, and
// the operation in the path of the RPC protocols. Services of the query protocol get
// their body read as a form whatever its type says: so may they.
func operationNames(req *http.Request, service string) ([]string, error) {
	var names []string
	for key, lines := range req.Header {
		if sameSlot(key, "X-Amz-Target") {
			for _, line := range lines {
				names = append(names, lastWord(line))
			}
		}
	}
	names = append(names, actions(req.URL.Query())...)
	if _, after, ok := strings.Cut(req.URL.Path, "/operation/"); ok {
		names = append(names, strings.Trim(after, "/"))
	}
	query := service == "sts" || service == "iam" || service == "redshift"
	if !query && !isForm(req) {
		return names, nil
	}
	body, err := bufferBody(req, maxForm)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &problem{"sigv4: the form cannot be read, so its action is not known", ""}
	}
	return append(names, actions(form)...), nil
}

func actions(values url.Values) (names []string) {
	for key, all := range values {
		if strings.EqualFold(key, "Action") || strings.EqualFold(key, "Operation") {
			names = append(names, all...)
		}
	}
	return names
}

func refusedOperation(name string) error {
	return &problem{"sigv4: " + slotName(name) + " is answered with a credential, which the child must not hold",
		"the human can set allow_credential_operations = true on the service"}
}
