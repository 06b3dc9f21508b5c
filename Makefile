# mmbox's build. The targets that people use have a line of help; the others are steps of those.
TAGS    := seccomp netgo osusergo runc_nocriu urfave_cli_no_docs
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -linkmode external -extldflags -static -X main.version=$(VERSION)
PREFIX  ?= /usr/local
# Tiers of the tests to leave out, or to run alone, separated by commas: make test SKIP=vm
SKIP ?=
ONLY ?=

export GOFLAGS := -buildvcs=false
export CGO_ENABLED := 1

.PHONY: help demo build test e2e vm bench lint fuzz cover install tools tools-test tools-bench models

help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: build ## build, install two models and see them answer from inside a sandbox
	@test/demo

build: tools ## build bin/mmbox, statically linked
	@go build -tags "$(TAGS)" -ldflags "$(LDFLAGS)" -o bin/mmbox ./cmd/mmbox

test: tools-test build models ## run all tests: make test SKIP=vm leaves a tier out
	@go run -tags "$(TAGS)" ./test/run --skip "$(SKIP)" --only "$(ONLY)"

e2e: ## run the end-to-end tests on this host
	@$(MAKE) test ONLY=scripts,e2e

vm: ## run the end-to-end tests on a cgroup v2 kernel in a virtual machine
	@$(MAKE) test ONLY=vm

bench: tools-bench build ## measure starts beside plain exec, bwrap, crun and runc
	@go run -tags "$(TAGS)" ./test/bench --mmbox bin/mmbox

lint: tools ## gofmt, go vet, staticcheck
	@go run -tags "$(TAGS)" ./test/run --only lint

fuzz: tools ## run each fuzz target for FUZZTIME, 30s by default
	@test/fuzz "$(TAGS)" "$${FUZZTIME:-30s}"

cover: tools ## show how much of the code the unit tests run
	@go test -tags "$(TAGS)" -coverprofile=bin/cover.out ./models/... ./rootfs/... ./seccomp ./cgroups ./isolation ./runtime
	@go tool cover -func=bin/cover.out | tail -n 1

install: build ## install the binary below PREFIX, /usr/local by default
	install -D -m 755 bin/mmbox $(DESTDIR)$(PREFIX)/bin/mmbox

tools:
	@test/install build

tools-test:
	@test/install test

tools-bench:
	@test/install bench

models:
	@models/examples/fetch --debs all
