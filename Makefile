# Weir. `make` alone lists the targets; each brings what it needs (deploy/setup.sh).
SHELL := /bin/bash
CARGO ?= cargo
# Cases per property for `make fuzz`.
CASES ?= 20000
# Of one trial of `make bench`, of one target of `make fuzz`; a release takes 600 for the latter.
bench: SECONDS ?= 8
fuzz: SECONDS ?= 60
# Of `make bench`: of a crowd, trials of each server.
VIEWERS ?= 300
PAIRS ?= 3
# Requests per operation that `make contract` makes at random.
EXAMPLES ?= 200
# Of `make soak`; `weir-soak help` lists them, and `weir-soak events --help` (or `ladder`, `dash`, `srt`) the rooms of
# one: SCENARIO="events kill", SCENARIO="ladder switches", SCENARIO="srt table --seconds 20".
SCENARIO ?= all
# Of `make failover`: trials of each room that has some; rooms and what else they take (`weir-soak failover --help`).
TRIALS ?= 100
# Of each row of `make matrix`.
LOOK ?= 30
ROOMS ?=

ifneq ($(shell command -v cargo-nextest 2>/dev/null),)
TEST := $(CARGO) nextest run --locked $(if $(CI),--profile ci)
else
TEST := $(CARGO) test --locked $(if $(CI),--no-fail-fast)
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo run fmt check check-deploy test contract bench fuzz soak failover matrix dist install docker

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what building, testing and the demo need (Debian or Ubuntu; sudo where not root)
	@deploy/setup.sh test

demo: ## Live programme in your browser: builds, starts the server, pushes a picture and a tone (DEMO_EXIT=1: check it and stop)
	@deploy/demo.sh

run: ## Run the server from this checkout, data in ./data
	@deploy/setup.sh demo
	$(CARGO) build --release --locked --bin weir --bin weir-transcoder
	$(CARGO) run --release --locked --bin weir -- serve

fmt: ## Format the sources
	$(CARGO) fmt --all

check: check-deploy ## Formatting, lints, layers, dependency policy, files of deploy/
	@deploy/setup.sh demo
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path crates/testkit/fuzz/Cargo.toml --check
	@cd .ci && python3 -B -m unittest -q
	@python3 -B .ci/layers.py
	@python3 -B .ci/deps.py
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

check-deploy: ## Files of deploy/ and the Dockerfile, each by its own linter
	@deploy/setup.sh deploy
	@python3 -B .ci/deploy.py
	@deploy/check.sh

test: ## Every test, real encoders and browsers included
	@deploy/setup.sh test
	cd crates/server/web && node --test
	$(TEST) --workspace

contract: ## The REST API held to its description (schemathesis), EXAMPLES requests per operation
	@deploy/setup.sh test
	CONTRACT_EXAMPLES=$(EXAMPLES) $(TEST) -p server --test it contract

bench: ## Benchmarks beside peers, a quarter of an hour; writes docs/performance.md (SECONDS, VIEWERS, PAIRS; see bench/)
	@deploy/setup.sh demo
	@deploy/setup.sh bench
	$(CARGO) bench --locked -p hub --bench fanout
	$(CARGO) build --release --locked --bin weir --bin weir-transcoder --bin weir-load
	python3 -B bench/cost.py
	python3 -B bench/run.py --seconds $(SECONDS) --viewers $(VIEWERS) --pairs $(PAIRS)
	python3 -B bench/srt.py --pairs $(PAIRS)
	python3 -B bench/ladder.py --pairs $(PAIRS)

fuzz: ## Property tests of the pure crates and the hub, CASES each; then the fuzz targets, SECONDS each
	@deploy/setup.sh demo
	PROPTEST_CASES=$(CASES) $(TEST) --release -p media -p container -p packager -p hub
	crates/testkit/fuzz/run.sh $(SECONDS)

soak: ## The long scenarios (over an hour), or one of them: make soak SCENARIO=absence, SCENARIO="events hooks"
	@deploy/setup.sh test
	$(CARGO) build --release --locked --bin weir --bin weir-transcoder --bin weir-soak --bin weir-srt
	$(CARGO) run --release --locked --bin weir-soak -- $(SCENARIO)

matrix: ## Every sender, transport and codec, all outputs read at once by other programs, LOOK seconds each (20 minutes)
	@deploy/setup.sh test
	$(CARGO) build --release --locked --bin weir --bin weir-soak
	$(CARGO) run --release --locked --bin weir-soak -- matrix --seconds $(LOOK)

failover: ## Inputs fail in every way that inputs do, TRIALS each (hours), or some: make failover ROOMS="kill stop" TRIALS=10; root
	@deploy/setup.sh test
	$(CARGO) build --release --locked --bin weir --bin weir-transcoder --bin weir-soak
	$(CARGO) run --release --locked --bin weir-soak -- failover --trials $(TRIALS) $(ROOMS)

dist: ## Build the binaries that are installed: optimised as a whole, stripped
	@deploy/setup.sh demo
	$(CARGO) build --locked --profile dist --bin weir --bin weir-transcoder

install: ## Install what `make dist` built, with manual, completions and systemd units (PREFIX, DESTDIR)
	@deploy/install.sh

docker: ## Build the container image `weir`
	docker build -t weir .
