# Everything a newcomer needs. `make help` lists it; no target needs any preparation.

SHELL := /bin/sh
.DEFAULT_GOAL := help
pomona := .venv/bin/pomona
python := .venv/bin/python
# Two processes, each with servers of its own and whole files to do: tests wait more than they work.
two-at-once := -n 2 --dist loadfile --no-loadscope-reorder
sources := benchmarks shared/pomona console/pomona_console $(foreach s,$(wildcard services/*),$(wildcard $(s)/$(notdir $(s))))

.PHONY: help
help: ## list every command
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: servers ## play one trading day of a three-store chain and show what came of it
	@$(pomona) demo

.PHONY: up
up: servers ## start PostgreSQL, RabbitMQ and all services; leave them running
	@$(pomona) up

.PHONY: down
down: venv ## stop everything that `make up` started
	@$(pomona) down

.PHONY: status
status: venv ## show what runs where, and how far behind it is
	@$(pomona) status

.PHONY: replay
replay: venv ## play a real sales record: make replay ARGS="SALES.csv --products PRODUCTS.csv"
	@$(pomona) replay $(ARGS)

.PHONY: rebuild
rebuild: venv ## rebuild the figures of head office from the archived events
	@$(pomona) rebuild

.PHONY: bench
bench: servers ## measure Pomona beside what it is made of: make bench CELL=P2 ARGS=--full
	@$(python) -m benchmarks $(if $(CELL),--cell $(CELL)) $(ARGS)

.PHONY: test
test: lint types imports servers checkers ## check everything: style, types, imports, unit, contract and integration tests
	@$(python) -m pytest $(two-at-once) --cov --cov-report=term:skip-covered

.PHONY: test-fast
test-fast: lint types imports ## check everything that needs no server, in under a minute
	@$(python) -m pytest -m "not integration" -n auto

.PHONY: faults
faults: servers clocks ## break it on purpose: make faults [ONLY=F4,F13] [SCALE=0.1] [SEED=7 MINUTES=5]
	@ONLY="$(ONLY)" SCALE="$(SCALE)" SEED="$(SEED)" MINUTES="$(MINUTES)" $(python) -W ignore -m tests.faults

.PHONY: lint
lint: venv ## check formatting and style
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/ruff check --quiet

.PHONY: types
types: venv ## check types, strictly
	@$(python) -m mypy $(sources)

.PHONY: imports
imports: venv ## check who may import whom
	@.venv/bin/lint-imports

.PHONY: features
features: venv ## write docs/features.md from the tests that show each feature
	@$(python) -m pomona_console.features

.PHONY: docs
docs: features compat ## write docs/events.md, asyncapi.yaml, contracts.lock and reporting.md from the code
	@$(python) -m pomona_console.catalogue
	@$(python) -m analytics.reporting > docs/reporting.md

.PHONY: compat
compat: venv ## say what a change of the contracts would break, and for whom
	@$(python) -m pomona_console.compatibility

.PHONY: lock
lock: venv ## resolve requirements.lock anew (needs uv)
	@scripts/lock

.PHONY: clean
clean: ## stop and remove everything that was made here, but for what is committed
	@scripts/clean

.PHONY: venv
venv:
	@scripts/bootstrap venv

.PHONY: checkers
checkers:
	@scripts/bootstrap checkers

.PHONY: clocks
clocks:
	@scripts/bootstrap clocks

.PHONY: servers
servers:
	@scripts/bootstrap venv servers
