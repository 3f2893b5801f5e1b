# make test is what a change must pass; .ci/run calls it and nothing else.

GO       ?= go
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build test deps lint unit keychain test-vault cross race bench fuzz

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o agentvault .

test: deps lint unit keychain cross

deps:
	./.ci/deps

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "gofmt -w these files"; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./... ./.ci/sentinel
	$(GO) run $(STATICCHECK) ./... ./.ci/sentinel

# go test, and then a search for secrets in every byte that the tests have written.
unit:
	$(GO) run ./.ci/sentinel ./... ./.ci/sentinel

# The Secret Service is real here: gnome-keyring on a bus of its own.
keychain:
	./.ci/secret-service $(GO) run ./.ci/sentinel ./keyring/keychain
	./.ci/secret-service $(GO) run ./.ci/sentinel -run 'TestScripts/secret_keychain|TestSecretsPage' .

# Vault is real here. Not a part of test: a first build takes ten minutes or more, and 5 GB of
# Go's caches (.ci/vault-server).
test-vault:
	program=$$(./.ci/vault-server) && AGENTVAULT_TEST_VAULT=$$program $(GO) test -count=1 -run '^TestReal' ./keyring/vault

# What ships has no cgo and builds everywhere.
cross:
	@for p in $(PLATFORMS); do \
		echo "build $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./... || exit 1; \
	done

race:
	$(GO) test -race ./proxy/... ./keyring/... ./cmd/internal/session ./tui/...

# Both sides of every ratio run in turns; see docs/performance.md.
bench:
	$(GO) run ./bench

fuzz:
	@for t in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do \
		for f in $$(grep -oE '^func Fuzz[A-Za-z0-9_]+' $$t | cut -d' ' -f2); do \
			echo "$$f in $$(dirname $$t)"; $(GO) test -run='^$$' -fuzz="^$$f\$$" -fuzztime=$(or $(FUZZTIME),1m) $$(dirname $$t) || exit 1; \
		done; \
	done
