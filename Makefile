# mmbox's build. The targets that people use have a line of help; the rest are steps of those.
TAGS    := seccomp netgo osusergo runc_nocriu
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -linkmode external -extldflags -static -X main.version=$(VERSION)
PREFIX  ?= /usr/local
export GOFLAGS := -buildvcs=false
export CGO_ENABLED := 1

.PHONY: help demo build test e2e vm bench lint fuzz cover install tools

help: ## show this
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | column -t -s "$$(printf '\t')"

build: bin/mmbox ## build bin/mmbox, statically linked

bin/mmbox: tools
	go build -tags "$(TAGS)" -ldflags "$(LDFLAGS)" -o $@ ./cmd/mmbox

tools:
	@test/install build

install: build ## install the binary below PREFIX
	install -D -m 755 bin/mmbox $(DESTDIR)$(PREFIX)/bin/mmbox
