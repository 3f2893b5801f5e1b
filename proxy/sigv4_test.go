package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"agentvault/keyring"
	"agentvault/proxy/event"
	"agentvault/proxy/inject"
)

// awsSession has a service that signs for AWS, and counts what reaches the upstream.
func awsSession(t *testing.T, allow bool) (*session, *atomic.Int32) {
	hits := new(atomic.Int32)
	return start(t, options{
		change: func(s *Service) {
			s.Inject = inject.SigV4{AllowCredentialOperations: allow}
			s.Others = []keyring.Ref{s.Secret} // the id is the same fake value
		},
		handler: func(w http.ResponseWriter, r *http.Request) {
			hits.Add(1)
			_, _ = io.WriteString(w, r.Header.Get("Authorization"))
		},
	}), hits
}

const (
	formType = "Content-Type: application/x-www-form-urlencoded"
	jsonType = "Content-Type: application/x-amz-json-1.1"
)

// awsCall is a request as one of AWS's protocols spells it.
type awsCall struct{ name, service, request, header, body string }

// send makes the call as a child does, signed with a dummy key.
func (c awsCall) send(s *session, protocol int) (*http.Response, string) {
	method, target, _ := strings.Cut(c.request, " ")
	header := []string{"Authorization", "AWS4-HMAC-SHA256 Credential=" + placeholder + "/20261122/eu-west-1/" + c.service + "/aws4_request, SignedHeaders=host, Signature=0"}
	for line := range strings.SplitSeq(c.header, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			header = append(header, name, value)
		}
	}
	var body io.Reader
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	return s.do(s.client(protocol), method, s.upstream.URL+target, body, header...)
}

// An operation that AWS answers with a credential, or in which the child sets one that it
// knows, is not signed, however it is spelled.
func TestSigV4CredentialOperations(t *testing.T) {
	calls := []awsCall{
		{"sts, form", "sts", "POST /", formType, "Action=AssumeRole&Version=2011-06-15&RoleArn=a"},
		{"sts, form, escaped", "sts", "POST /", formType, "%41ction=Assume%52ole"},
		{"sts, form, with a charset", "sts", "POST /", formType + "; charset=utf-8", "Version=2011-06-15&Action=GetFederationToken&Name=x"},
		{"sts, form of another type", "sts", "POST /", "Content-Type: text/plain", "Action=GetSessionToken"},
		{"sts, form without a type", "sts", "POST /", "", "Action=AssumeRoleWithWebIdentity"},
		{"sts, query", "sts", "GET /?Action=GetSessionToken&Version=2011-06-15", "", ""},
		{"sts, query and form", "sts", "POST /?Action=GetCallerIdentity", formType, "Action=AssumeRoleWithSAML"},
		{"sts, form twice", "sts", "POST /", formType, "Action=GetCallerIdentity&Action=AssumeRoot"},
		{"sts, json", "sts", "POST /", jsonType + "\nX-Amz-Target: AWSSecurityTokenServiceV20110615.GetSessionToken", "{}"},
		{"sts, new", "sts", "GET /?Action=GetDelegatedAccessToken", "", ""},
		{"sts, unknown", "sts", "POST /", jsonType, "{}"},
		{"iam access key", "iam", "POST /", formType, "Action=CreateAccessKey&UserName=u"},
		{"iam access key, query", "iam", "GET /?Action=CreateAccessKey&Version=2010-05-08", "", ""},
		{"iam access key, rpc", "iam", "POST /service/IAM/operation/CreateAccessKey", "Content-Type: application/cbor\nSmithy-Protocol: rpc-v2-cbor", "\xa0"},
		{"iam, unreadable form", "iam", "POST /", formType, "Action=%zz"},
		{"iam, packed form", "iam", "POST /", formType + "\nContent-Encoding: gzip", "\x1f\x8b\x08"},
		{"iam service password", "iam", "POST /", formType, "Action=CreateServiceSpecificCredential&ServiceName=codecommit.amazonaws.com"},
		{"iam login", "iam", "POST /", formType, "Action=CreateLoginProfile&Password=p"},
		{"iam login, changed", "iam", "POST /", formType, "Action=UpdateLoginProfile&Password=p"},
		{"iam signing certificate", "iam", "POST /", formType, "Action=UploadSigningCertificate"},
		{"cognito", "cognito-identity", "POST /", jsonType + "\nX-Amz-Target: AWSCognitoIdentityService.GetCredentialsForIdentity", `{"IdentityId":"i"}`},
		{"cognito, form", "cognito-identity", "POST /", formType, "Action=GetCredentialsForIdentity&IdentityId=i"},
		{"cognito, query", "cognito-identity", "GET /?Action=GetCredentialsForIdentity", "", ""},
		{"cognito, rpc", "cognito-identity", "POST /service/AWSCognitoIdentityService/operation/GetCredentialsForIdentity", "", "\xa0"},
		{"cognito, target in the query", "cognito-identity", "POST /?X-Amz-Target=AWSCognitoIdentityService.GetCredentialsForIdentity", jsonType, "{}"},
		{"cognito, two targets", "cognito-identity", "POST /", "X-Amz-Target: AWSCognitoIdentityService.GetId\nX-Amz-Target: AWSCognitoIdentityService.GetOpenIdToken", "{}"},
		{"cognito developer token", "cognito-identity", "POST /", "X-Amz-Target: AWSCognitoIdentityService.GetOpenIdTokenForDeveloperIdentity", "{}"},
		{"cognito user", "cognito-idp", "POST /", "X-Amz-Target: AWSCognitoIdentityProviderService.AdminInitiateAuth", "{}"},
		{"sso", "awsssoportal", "GET /federation/credentials?role_name=r&account_id=1", "", ""},
		{"sso, other letters", "sso", "GET /federation/Credentials/?role_name=r", "", ""},
		{"sso token", "sso-oauth", "POST /token?aws_iam=t", "Content-Type: application/json", "{}"},
		{"login token", "signin", "POST /v1/token", "Content-Type: application/json", "{}"},
		{"ecr", "ecr", "POST /", jsonType + "\nX-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", "{}"},
		{"ecr public", "ecr-public", "POST /", "X-Amz-Target: SpencerFrontendService.GetAuthorizationToken", "{}"},
		{"ecr, other letters", "ecr", "POST /", "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.getauthorizationtoken", "{}"},
		{"codeartifact", "codeartifact", "POST /v1/authorization-token?domain=d", "", ""},
		{"redshift", "redshift", "POST /", formType, "Action=GetClusterCredentials&DbUser=u"},
		{"redshift by iam", "redshift", "GET /?Action=GetClusterCredentialsWithIAM", "", ""},
		{"redshift serverless", "redshift-serverless", "POST /", "X-Amz-Target: RedshiftServerless.GetCredentials", "{}"},
		{"s3 express", "s3express", "GET /?session", "", ""},
		{"s3 access grants", "s3", "GET /v20180820/accessgrantsinstance/dataaccess?permission=READ", "", ""},
		{"eks", "eks-auth", "POST /clusters/c/assume-role-for-pod-identity", "", "{}"},
		{"emr", "elasticmapreduce", "POST /", "X-Amz-Target: ElasticMapReduce.GetClusterSessionCredentials", "{}"},
		{"emr on eks", "emr-containers", "POST /virtualclusters/v/endpoints/e/credentials", "", "{}"},
		{"lake formation", "lakeformation", "POST /GetTemporaryGlueTableCredentials", "", "{}"},
		{"agent identity", "bedrock-agentcore", "POST /identities/api-key", "", "{}"},
		{"secret", "secretsmanager", "POST /", "X-Amz-Target: secretsmanager.GetSecretValue", `{"SecretId":"s"}`},
		{"secrets", "secretsmanager", "POST /", "X-Amz-Target: secretsmanager.BatchGetSecretValue", `{}`},
		{"parameter", "ssm", "POST /", "X-Amz-Target: AmazonSSM.GetParameter", `{"Name":"n","WithDecryption":true}`},
		{"parameter, escaped", "ssm", "POST /", "X-Amz-Target: AmazonSSM.GetParametersByPath", `{"With\u0044ecryption":true,"WithDecryption":false}`},
		{"parameter, cbor", "ssm", "POST /service/AmazonSSM/operation/GetParameter", "", "\xa1\x6eWithDecryption\xf5"},
		{"private key", "ec2", "POST /", formType, "Action=CreateKeyPair&KeyName=k"},
		{"exported certificate", "acm", "POST /", "X-Amz-Target: CertificateManager.ExportCertificate", "{}"},
		{"pipeline", "codepipeline", "POST /", "X-Amz-Target: CodePipeline_20150709.PollForJobs", "{}"},
		{"api key", "apigateway", "GET /apikeys?includeValues=true", "", ""},
		{"device", "iot", "POST /keys-and-certificate?setAsActive=true", "", ""},
	}
	refuses, hits := awsSession(t, false)
	allows, passed := awsSession(t, true)
	for _, call := range calls {
		t.Run(call.name, func(t *testing.T) {
			for protocol := 1; protocol <= 2; protocol++ {
				resp, body := call.send(refuses, protocol)
				got := code(t, resp, body)
				unreadable := strings.HasPrefix(call.name, "iam, ") // refused before anybody knows what it is
				if got != CodeOperation && !unreadable || got == "" {
					t.Errorf("h%d: got %s %q", protocol, resp.Status, body)
				}
				if e := refuses.last(); hits.Load() != 0 || !unreadable && (resp.StatusCode != 403 || e.Verdict != event.Denied) {
					t.Fatalf("h%d: %d requests reached AWS, event %+v", protocol, hits.Load(), e)
				}
				if unreadable {
					continue
				}
				before := passed.Load()
				if resp, body := call.send(allows, protocol); resp.StatusCode != 200 || passed.Load() != before+1 || !strings.HasPrefix(body, "AWS4-HMAC-SHA256 Credential=") {
					t.Errorf("h%d: allowed: got %s %q", protocol, resp.Status, body)
				}
			}
		})
	}
}

// What has a similar name, or stands beside, is signed.
func TestSigV4OtherOperations(t *testing.T) {
	s, hits := awsSession(t, false)
	for i, call := range []awsCall{
		{"who am I", "sts", "POST /", formType, "Action=GetCallerIdentity&Version=2011-06-15"},
		{"who am I, query", "sts", "GET /?Action=GetCallerIdentity", "", ""},
		{"who am I, rpc", "sts", "POST /service/STS/operation/GetCallerIdentity", "", "\xa0"},
		{"users", "iam", "POST /", formType, "Action=ListUsers"},
		{"cognito id", "cognito-identity", "POST /", "X-Amz-Target: AWSCognitoIdentityService.GetId", "{}"},
		{"repositories", "ecr", "POST /", "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", "{}"},
		{"secrets' names", "secretsmanager", "POST /", "X-Amz-Target: secretsmanager.ListSecrets", "{}"},
		{"plain parameter", "ssm", "POST /", "X-Amz-Target: AmazonSSM.GetParameter", `{"Name":"WithDecryption","WithDecryption": false}`},
		{"an object with such a name", "s3", "GET /bucket/federation/GetSessionToken", "", ""},
		{"an object that is a form", "s3", "PUT /bucket/key", formType, "Action=AssumeRole"},
		{"an object of forms, long", "s3", "PUT /bucket/key", formType + "\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD", strings.Repeat("x", 2<<20)},
		{"glue session", "glue", "POST /", "X-Amz-Target: AWSGlue.CreateSession", "{}"},
		{"an API of one's own", "execute-api", "POST /prod/CreateToken/token", "Content-Type: application/json", "{}"},
		{"keys' names", "apigateway", "GET /apikeys", "", ""},
		{"instances", "ec2", "GET /?Action=DescribeInstances&Version=2016-11-15", "", ""},
	} {
		t.Run(call.name, func(t *testing.T) {
			if resp, body := call.send(s, 1+i%2); resp.StatusCode != 200 || !strings.Contains(body, "/eu-west-1/"+call.service+"/aws4_request") {
				t.Errorf("got %s %q", resp.Status, body)
			}
			if int(hits.Load()) != i+1 {
				t.Errorf("%d of %d requests reached AWS", hits.Load(), i+1)
			}
		})
	}
}
