package session

import "strings"

// A credentialRule says of names that match (in upper case) whether their values are
// credentials. The first rule that matches a name decides.
type credentialRule struct {
	credential bool
	names      []string
}

var credentialRules = []credentialRule{
	// Exceptions: the name says secret, the value is where one is kept or how one is asked
	// for. A path hides nothing, since the child could open the file without being told; a
	// program that needs it and lacks it fails for no gain.
	{false, []string{
		"*_FILE", "*_PATH", "*_DIR", "*_SOCK", "*_ASKPASS", "*_COMMAND", "*_HELPER",
		"PASSWORD_STORE_*",        // pass: folders and options
		"GPG_KEY", "*_PUBLIC_KEY", // fingerprints, and what everybody may have
		"AWS_SECRETSMANAGER_*", "*_SECRETS_MANAGER_*",
		"*_PASSWORD_PROMPT*", "*_TTL_MS", "*_ENABLED", "*_DISABLED",
	}},
	// Families by the habits of naming.
	{true, []string{
		"*_TOKEN", "TOKEN", "*_AUTHTOKEN", "*_ACCESSTOKEN", // not *_TOKENS: CLAUDE_CODE_MAX_OUTPUT_TOKENS
		"*_SECRET*", "SECRET", "SECRET_*", "SECRETS",
		"*_API_KEY", "*_API_KEYS", "*APIKEY", "API_KEY", "*_API_KEY_*",
		"*PASSWORD*", "*PASSWD*", "*PASSPHRASE*", "*_PASS", "*_PASSCODE",
		"*_CREDENTIALS", "*_CREDENTIAL", "CREDENTIALS",
		"*_PRIVATE_KEY*", "*_SSH_KEY", "*_SIGNING_KEY", "*_ENCRYPTION_KEY", "*_MASTER_KEY",
		"*_ACCESS_KEY", "*_ACCESS_KEY_ID", "*_ACCOUNT_KEY", "*_SERVICE_KEY", "*_AUTH_KEY", "*_ADMIN_KEY", "*_APP_KEY",
		"*_KEY", "*_SK", "*_AUTH", "*_DSN", "DATABASE_URL", "*_DATABASE_URL", "MONGO_URI", "MONGODB_URI", "REDIS_URL",
		"*_PAT", "*_JWT", "*_COOKIE", "*_WEBHOOK_URL", "*_CONNECTION_STRING",
	}},
	// Names that follow no habit.
	{true, []string{
		"AWS_BEARER_TOKEN_*", // Bedrock
		"AWS_SECURITY_TOKEN", // the older name of AWS_SESSION_TOKEN
		"GOOGLE_API_KEY*", "GCLOUD_SERVICE_KEY*", "*_SERVICE_ACCOUNT_JSON",
		"NPM_CONFIG_*_AUTH", // npm_config__auth, and with a registry in front
		"COMPOSER_AUTH", "DOCKER_AUTH_CONFIG", "REDISCLI_AUTH", "CARGO_REGISTRIES_*_TOKEN",
		"OP_SESSION_*", "BW_SESSION", // open password managers
		"MYSQL_PWD", "SSHPASS", "VAULT_SECRET_ID", "KUBE_TOKEN*",
	}},
}

// isCredential says whether a variable's value is one, by its name.
func isCredential(name string) bool {
	name = strings.ToUpper(name)
	for _, rule := range credentialRules {
		if matchAny(rule.names, name) {
			return rule.credential
		}
	}
	return false
}

// matchPass says whether the user readmits a name.
func matchPass(pass []string, name string, fold bool) bool {
	for _, p := range pass {
		if fold {
			p, name = strings.ToUpper(p), strings.ToUpper(name)
		}
		if wildcard(p, name) {
			return true
		}
	}
	return false
}
