package inject

import (
	"net/http"
	"slices"
	"strings"
)

// handsOutCredentials knows operations by their name. AWS compares these exactly; who does
// not must not be a way around.
func handsOutCredentials(operation string) bool {
	for _, known := range [...]string{
		// sts
		"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "GetSessionToken", "GetFederationToken",
		"GetWebIdentityToken", "GetDelegatedAccessToken",
		// iam; the second line sets what the child then knows, or adds a key of its own
		"CreateAccessKey", "CreateServiceSpecificCredential", "ResetServiceSpecificCredential", "CreateVirtualMFADevice",
		"CreateLoginProfile", "UpdateLoginProfile", "ChangePassword", "UploadSSHPublicKey", "UploadSigningCertificate",
		// sso, sso-oidc, license-manager, ssm
		"GetRoleCredentials", "CreateToken", "CreateTokenWithIAM", "GetAccessToken", "CreateActivation",
		// ecr, ecr-public, codeartifact
		"GetAuthorizationToken",
		// cognito-identity, cognito-idp
		"GetCredentialsForIdentity", "GetOpenIdToken", "GetOpenIdTokenForDeveloperIdentity",
		"InitiateAuth", "AdminInitiateAuth", "RespondToAuthChallenge", "AdminRespondToAuthChallenge", "GetTokensFromRefreshToken",
		// secretsmanager, acm
		"GetSecretValue", "BatchGetSecretValue", "ExportCertificate",
		// redshift, redshift-serverless, elasticmapreduce, lakeformation
		"GetClusterCredentials", "GetClusterCredentialsWithIAM", "GetIdentityCenterAuthToken", "GetCredentials", "GetClusterSessionCredentials",
		"GetTemporaryGlueTableCredentials", "GetTemporaryGluePartitionCredentials", "GetTemporaryDataLocationCredentials", "AssumeDecoratedRoleWithSAML",
		// ec2, ec2-instance-connect, lightsail
		"CreateKeyPair", "GetPasswordData", "SendSSHPublicKey", "SendSerialConsoleSSHPublicKey",
		"GetInstanceAccessDetails", "GetRelationalDatabaseMasterUserPassword", "DownloadDefaultKeyPair", "CreateBucketAccessKey",
		"CreateContainerServiceRegistryLogin",
		// codepipeline, gamelift, cloud9, workmail, iotsecuretunneling, sagemaker
		"PollForJobs", "PollForThirdPartyJobs", "GetJobDetails", "GetThirdPartyJobDetails",
		"RequestUploadCredentials", "GetInstanceAccess", "GetComputeAccess", "GetComputeAuthToken",
		"CreateEnvironmentToken", "AssumeImpersonationRole", "OpenTunnel", "RotateTunnelAccessToken",
		"CreatePresignedDomainUrl", "CreatePresignedNotebookInstanceUrl", "CreatePresignedMlflowTrackingServerUrl",
	} {
		if strings.EqualFold(operation, known) {
			return true
		}
	}
	return false
}

// credentialPath knows the operations of REST services, which have no name on the wire. It
// returns the operation's name, or "".
func credentialPath(req *http.Request, service string) string {
	query := req.URL.Query()
	if strings.HasPrefix(service, "s3") && query.Has("session") {
		return "CreateSession"
	}
	path := strings.Split(strings.ToLower(strings.Trim(req.URL.Path, "/")), "/")
	for _, known := range [...]struct{ service, path, name string }{
		{"*", "federation/credentials", "GetRoleCredentials"},
		{"sso*", "token", "CreateToken"},
		{"signin", "v1/token", "CreateOAuth2Token"},
		{"s3*", "v20180820/accessgrantsinstance/dataaccess", "GetDataAccess"},
		{"codeartifact", "authorization-token", "GetAuthorizationToken"},
		{"eks-auth", "clusters/*/assume-role-for-pod-identity", "AssumeRoleForPodIdentity"},
		{"rolesanywhere", "sessions", "CreateSession"},
		{"emr-containers", "endpoints/*/credentials", "GetManagedEndpointSessionCredentials"},
		{"datazone", "environments/*/credentials", "GetEnvironmentCredentials"},
		{"finspace*", "credentials/programmatic", "GetProgrammaticAccessCredentials"},
		{"mediapackage", "channels/*/credentials", "RotateChannelCredentials"},
		{"mediapackage", "ingest_endpoints/*/credentials", "RotateIngestEndpointCredentials"},
		{"deadline", "read-roles", "AssumeFleetRoleForRead"},
		{"deadline", "user-roles", "AssumeQueueRoleForUser"},
		{"deadline", "fleet-roles", "AssumeFleetRoleForWorker"},
		{"deadline", "queue-roles", "AssumeQueueRoleForWorker"},
		{"connect", "user/federate/*", "GetFederationToken"},
		{"airflow", "clitoken/*", "CreateCliToken"},
		{"airflow", "webtoken/*", "CreateWebLoginToken"},
		{"grafana", "workspaces/*/apikeys", "CreateWorkspaceApiKey"},
		{"grafana", "serviceaccounts/*/tokens", "CreateWorkspaceServiceAccountToken"},
		{"appsync", "apis/*/apikeys", "CreateApiKey"},
		{"apigateway", "usageplans/*/keys", "GetUsagePlanKeys"},
		{"apigateway", "usageplans/*/keys/*", "GetUsagePlanKey"},
		{"geo", "metadata/v0/keys", "CreateKey"},
		{"geo", "metadata/v0/keys/*", "DescribeKey"},
		{"iot", "keys-and-certificate", "CreateKeysAndCertificate"},
		{"iot", "provisioning-templates/*/provisioning-claim", "CreateProvisioningClaim"},
		{"bedrock-agentcore", "identities/getworkloadaccesstoken", "GetWorkloadAccessToken"},
		{"bedrock-agentcore", "identities/getworkloadaccesstokenforjwt", "GetWorkloadAccessTokenForJWT"},
		{"bedrock-agentcore", "identities/getworkloadaccesstokenforuserid", "GetWorkloadAccessTokenForUserId"},
		{"bedrock-agentcore", "identities/oauth2/token", "GetResourceOauth2Token"},
		{"bedrock-agentcore", "identities/api-key", "GetResourceApiKey"},
	} {
		prefix, wide := strings.CutSuffix(known.service, "*")
		if (service == prefix || wide && strings.HasPrefix(service, prefix)) && endsIn(path, known.path) {
			// An object of S3 may have any name.
			if known.service != "*" || !strings.HasPrefix(service, "s3") {
				return known.name
			}
		}
	}
	if service == "apigateway" && slices.Contains(path, "apikeys") &&
		(req.Method == http.MethodPost || query.Has("includeValue") || query.Has("includeValues")) {
		return "CreateApiKey"
	}
	return ""
}

// endsIn says that the last segments of a path are those of a pattern, where * stands for
// any one.
func endsIn(path []string, pattern string) bool {
	want := strings.Split(pattern, "/")
	if len(path) < len(want) {
		return false
	}
	for i, segment := range path[len(path)-len(want):] {
		if want[i] != "*" && want[i] != segment {
			return false
		}
	}
	return true
}
