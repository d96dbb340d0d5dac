# make demo    the main job, end to end, in a temporary folder
# make test    the whole suite: unit, whole-program and client tests, a short bench, seconds of fuzzing
# make check   format, vet, lint, known vulnerabilities, architecture
# make chaos   200 kills under load in each mode, and the ledgers of what arrived: half an hour
# make soak    an hour of load and faults in both modes (SOAK=10m: ten minutes), the ledgers, and what the processes took up
# make growth  a million lines in one batch, a million finished jobs, pages over a million callbacks, four workers at one batch: tables, in both modes
# make bench   the full bench; its table stands in the README
# make fuzz    each fuzz target for FUZZTIME (default 1m)

GOLANGCI  = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOFUMPT   = mvdan.cc/gofumpt@v0.12.0
VULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.1.4
FUZZTIME ?= 1m

.PHONY: demo chaos soak growth test needs clock unit e2e beside race clients fuzz fuzz-short check format lint vulnerabilities bench build

build:
	go build -o bin/ringback ./cmd/ringback

demo:
	go run ./cmd/ringback demo

# The tests of whole programs wait more than they work: what only works goes on beside them, behind them in the queue for the
# cores.
test: needs clock
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target e2e beside

beside:
	@nice -n 19 $(MAKE) --no-print-directory unit race fuzz-short clients

# What the tests need beside Go and a C compiler. As root on Debian it is installed; elsewhere this stops and names it.
needs:
	@scripts/needs redis-server:redis-server 'initdb|/usr/lib/postgresql/*/bin/initdb:postgresql' python3:python3 node:nodejs curl:curl 'chromium|chromium-browser|google-chrome|google-chrome-stable:chromium'

clock: # what other tests beside it would disturb
	@scripts/unraced

unit:
	go vet ./...
	go test . ./bench/... ./cmd/... ./examples/... ./metrics/... ./rawjson/... ./telemetry/... ./testservers/... ./web/...

e2e: # it builds the program itself, which the test cache does not see
	go test -count=1 -timeout 20m ./e2e/...

# The packages that share memory between goroutines run with the race detector.
race:
	go test -race -timeout 20m ./callbacks/... ./history/... ./jobs/... ./providers/... ./store/...

clients: # they build the program too
	cd clients && go vet ./... && go test -count=1 ./...

fuzz-short:
	@scripts/fuzz 2s

fuzz:
	@scripts/fuzz $(FUZZTIME)

check: format lint vulnerabilities
	go test .

format:
	@files=$$(go run $(GOFUMPT) -l . ); if [ -n "$$files" ]; then echo "not formatted (run gofumpt -w): $$files"; exit 1; fi

lint:
	go vet ./...
	go run $(GOLANGCI) run ./...
	cd clients && go vet ./... && go run $(GOLANGCI) run --config ../.golangci.yml ./...

vulnerabilities:
	@scripts/vulnerabilities $(VULNCHECK)

bench:
	go run ./bench

# Kills processes under load, 200 times in each mode (KILLS=20: 20 times), and prints what arrived, and how often.
KILLS ?= 200
chaos: needs
	RINGBACK_LONG=1 RINGBACK_CHAOS_KILLS=$(KILLS) go test -count=1 -timeout 3h -parallel 1 -v ./e2e -run 'TestChaosLosesNothing|TestKilledBatchGoesOnWhereItWas|TestDeadAndFrozenWorkersAreTakenOver|TestOutages'

SOAK ?= 1h
soak: needs
	RINGBACK_SOAK=$(SOAK) go test -count=1 -timeout 0 -v ./e2e -run TestSoak

# It takes minutes, a quiet machine and some 10 GB of disk in TMPDIR.
growth: needs
	RINGBACK_GROWTH=full RINGBACK_SCALING_LINES=12000 go test -count=1 -timeout 2h -v ./e2e -run 'TestGrowth|TestPages|TestMoreWorkersFinishABatchSooner'
