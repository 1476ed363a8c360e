# Every verb is one plain command; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
export REQUIRE_SERVICES ?= 1

.PHONY: help run setup test lint race e2e js kill evidence fuzz bench docs image

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start the chat on this machine
	go run ./cmd/portcullis

setup: ## install what the tests need (Debian as root), or say what is missing
	@e2e/install-deps.sh
	@npm ci --prefix web --no-audit --no-fund --silent
	@npm ci --prefix e2e --no-audit --no-fund --silent

test: CHECK = -check
test: setup lint evidence js race kill ## everything that a change must pass: CI runs exactly this

lint: ## gofmt, vet, staticcheck, modernizers, module checks
	@test -z "$$(gofmt -l $$(git ls-files '*.go' | xargs ls 2>/dev/null) | tee /dev/stderr)" || { echo "run gofmt -w on these files"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	go fix -diff ./...
	go mod tidy -diff
	go mod verify

race: ## all Go tests with real PostgreSQL, Redis and Chromium, under the race detector
	go test -race -count=1 -parallel 4 -timeout 30m ./...

e2e: ## only the attacks on the real binary and the browser journeys
	go test -race -count=1 -parallel 4 -timeout 30m ./e2e/...

js: ## types and unit tests of the browser code
	npm test --prefix web

kill: ## take out each control and see its tests fail; writes docs/evidence/kill-matrix.*
	go run ./internal/kill $(CHECK)

evidence: ## write docs/evidence from the source
	go run ./internal/evidence $(CHECK)

fuzz: ## fuzz every target for FUZZTIME (default 30s) each
	@e2e/fuzz.sh $${FUZZTIME:-30s}

bench: ## benchmarks of the hot paths
	go test -run '^$$' -bench . -benchmem ./internal/socket ./internal/wire ./internal/guard/... ./internal/postgres

docs: ## regenerate docs/config.md, the tables in docs/controls and the lists of the AsyncAPI document
	go run ./cmd/portcullis config doc > docs/config.md
	go test -count=1 -run TestDocs_factsAreThoseOfTheSource ./internal/arch -update
	go test -count=1 -run TestAsyncAPI_listsEveryTypeInItsChannels ./internal/wire -update

image: ## build the container image
	docker build -t portcullis:dev .
