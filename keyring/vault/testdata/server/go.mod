// A real Vault for `make test-vault`, and nothing else: its licence (BUSL) and its size keep it
// out of agentvault's own module. Only what matters stands here: .ci/vault-server completes a
// copy of this file. Never `go mod tidy`: it would fetch what only Vault's own tests need.
module vaultserver

go 1.26.8

require (
	github.com/hashicorp/vault v1.21.4
	github.com/hashicorp/vault-plugin-auth-jwt v0.25.0
	github.com/hashicorp/vault-plugin-secrets-kv v0.25.0
	github.com/hashicorp/vault/sdk v0.20.0
)

replace (
	// Vault's own go.mod names a folder of its repository.
	github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.20.0

	// As in Vault's go.mod, whose replacements count only where it is the main module.
	github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3
	github.com/ma314smith/signedxml v1.1.1 => github.com/moov-io/signedxml v1.1.1
)
