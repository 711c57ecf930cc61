# make demo   a gateway with sample mail, on this machine alone
# make test   everything that must be green
# make check  the inner loop, under 3 minutes

GO       ?= go
LINT     := .cache/golangci-lint
# Counted, not timed: a fuzzer that is stopped by the clock sometimes calls that a failure.
FUZZTIME ?= 5000x
PACKAGES := ./...
# Vet has its own target, and no test is looked at with a debugger: half the time of linking.
TEST     := $(GO) test -vet=off -ldflags=-w
export CGO_ENABLED = 0
# The program is built so: with the same flag the tests need not compile everything once more.
export GOFLAGS := $(sort $(GOFLAGS) -trimpath)

.PHONY: demo test check build lint vet unit race conformance e2e ledger nodes fuzz bench campaign install generate clean

build:
	$(GO) build -trimpath -o bin/postern ./cmd/postern

install:
	@deploy/install-needs.sh $(NEEDS)

demo: NEEDS = go clamav
demo: install build
	bin/postern demo $(if $(ONCE),--once)

check: vet lint unit

test: NEEDS = go gcc clamav redis postfix dovecot swaks python3 strace dpkg nft ip chromium
test: install vet lint unit race conformance e2e ledger nodes fuzz
	@echo "all green"

vet:
	$(GO) vet $(PACKAGES)
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }

# The linter lives in a module of its own, so that its hundreds of modules stay out of ours.
$(LINT): tools/go.mod tools/go.sum
	cd tools && $(GO) build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

lint: $(LINT)
	$(LINT) run $(PACKAGES)
	POSTERN_OPENAPI=$(CURDIR)/.cache/openapi.json $(GO) test -count 1 -run TestAnswersAreAsDescribed ./cmd/postern/access
	cd tools/openapi && $(GO) run . <$(CURDIR)/.cache/openapi.json

unit:
	$(TEST) -timeout 20m $$($(GO) list ./... | grep -v '^postern/test/')
	$(TEST) -timeout 20m ./test/house ./test/sentences

# Rooms in which one goroutine does everything: the race detector has nothing to see there.
# test/house holds them to that.
ALONE := abuse/calendar abuse/cases/dossier abuse/cases/figures abuse/cases/flow abuse/cases/seek abuse/complaint/arf abuse/complaint/claim \
  abuse/complaint/decipher abuse/complaint/inner abuse/complaint/letter abuse/complaint/pasted abuse/complaint/redact abuse/external/order \
  abuse/external/published abuse/external/wording abuse/guarantee abuse/notice abuse/notice/edition abuse/notice/letter abuse/notice/snippet \
  abuse/service/exclusion abuse/service/month abuse/service/paper abuse/signal cmd/postern/access/scope cmd/postern/access/summary internal/address \
  internal/archive/kind internal/backup/plan internal/backup/secret internal/canon internal/config internal/desk/cases/view internal/desk/chart \
  internal/desk/digest internal/desk/held/search internal/desk/links internal/desk/views internal/desk/words internal/diff \
  internal/entity internal/entity/refile internal/mime/charset internal/mime/decode internal/mime/filename internal/mime/header internal/mime/lines \
  internal/mime/oddity internal/mime/param internal/mime/style internal/mime/transfer internal/mime/view internal/relay/client/dots internal/relay/client/reply \
  internal/report/inert internal/smtpd/command internal/smtpd/framing internal/smtpd/input internal/smtpd/mech internal/smtpd/received \
  internal/store/local/guard internal/store/local/sqlite internal/store/redis/pack internal/store/redis/sealed internal/strict rules/expr

# In memory where there is room: most of these tests wait for the disk otherwise.
race:
	CGO_ENABLED=1 GOTMPDIR=$${GOTMPDIR:-/tmp} TMPDIR=$$(test -w /dev/shm && echo /dev/shm || echo $${TMPDIR:-/tmp}) $(TEST) -race -short -timeout 40m $$($(GO) list ./... | grep -v '^postern/test' | grep -vx $(ALONE:%=-e postern/%))

# The suites run inside the unit tests of their rooms; without the data they skip, and this
# says so.
conformance:
	@deploy/suites-there.sh

e2e: build
	$(TEST) -timeout 25m -count 1 -p 1 ./test/world/... ./test/conformance/... ./test/golden/... ./test/e2e/... ./test/scenarios/... ./test/desk/... ./test/packaging/...

# Thousands of messages through kills, faults and full disks, in the short form. The load
# wants the machine to itself: one package after the other.
ledger: build
	$(TEST) -timeout 20m -count 1 -p 1 ./test/rig/... ./test/ledger/... ./test/flood/...

# Several nodes on one Redis of each kind, killed, cut off and made to forget; both homes with
# random operations and many holds.
nodes: build
	$(TEST) -timeout 20m -count 1 -p 1 ./test/nodes/... ./test/stores/...

fuzz:
	@deploy/fuzz.sh $(FUZZTIME)

# The long runs: thousands of messages, kill -9 in a loop, every fault under load.
campaign: NEEDS = go gcc clamav redis postfix dovecot swaks python3 strace nft ip
campaign: install build
	POSTERN_COSTS=1 $(TEST) -count 1 -v -run Costs ./abuse/complaint
	POSTERN_CAMPAIGN=1 $(TEST) -timeout 180m -count 1 -p 1 -v ./test/ledger/... ./test/nodes/... ./test/stores/... ./internal/store/dump/... ./test/flood/... ./test/campaign/...

bench: NEEDS = go clamav postfix rspamd redis python3
bench: install build
	deploy/bench/run.sh $(BENCHFLAGS)

generate: build
	bin/postern rules document > docs/checks.md
	bin/postern config schema > docs/postern.schema.json
	bin/postern config limits --markdown > docs/limits.md

clean:
	rm -rf bin .cache
