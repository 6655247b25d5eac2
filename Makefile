# `make help` lists the targets. Each installs what it needs itself; Python >= 3.11 and make are enough
# to begin (building the cluster needs Go: `make cluster-up` says what is missing).
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
NAME ?= breakwater
SIZE ?= node
PROVIDER ?= local
FAKE_NODES ?= 0
WORKERS ?= 2
PROCESS_WORKERS ?= 1
SHARE ?= 1

# uv comes from the same package registry as everything else, into the venv.
$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed, $(PYTHON) is $$($(PYTHON) --version); set PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "Python's venv module is needed (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.ready: $(UV) requirements/dev.txt pyproject.toml
	$(UV) pip sync --quiet --require-hashes requirements/dev.txt requirements/uv.txt --python $(BIN)/python
	$(UV) pip install --quiet --no-deps --no-build-isolation --editable . --python $(BIN)/python
	@touch $@

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(VENV)/.ready ## Install everything the project needs into .venv

.PHONY: demo
demo: venv ## Bring up a real cluster, install Breakwater, apply an McpServer and call its tools
	$(BIN)/python -m dev.demo up

.PHONY: demo-down
demo-down: venv ## Take the demo's cluster down and leave nothing behind
	$(BIN)/python -m dev.demo down

.PHONY: test
test: fast ## Everything a change must not break: fast, the runtime as its image has it, real clusters (minutes)
	$(MAKE) --jobs=3 test-clusters test-nodes test-processes

.PHONY: test-clusters test-nodes test-processes
# Those on clusters wait more than they work: both of them and one worker of the others keep two
# cores busy. Each brings up clusters of its own.
NODE_TESTS := $(wildcard tests/cluster/test_dev_cluster*.py)
test-clusters: venv
	$(BIN)/pytest tests/cluster $(NODE_TESTS:%=--ignore %) -m "not prove" --durations 10
test-nodes: venv
	$(BIN)/pytest tests/e2e $(NODE_TESTS) -m "not prove" --durations 10
test-processes: venv
	$(BIN)/pytest tests/unit -m "process and not prove" --ignore tests/unit/runtime --ignore tests/unit/hostile -n $(PROCESS_WORKERS) --quiet
	PYTHONPATH="$$($(BIN)/python -m dev.compiled):$(CURDIR)" $(BIN)/pytest tests/unit/runtime tests/unit/hostile -m "not prove" -n $(PROCESS_WORKERS) --quiet

.PHONY: fast
fast: format-check lint types imports generated unit ## Format, lint, types, imports, generated files, unit tests (seconds)

.PHONY: format
format: venv ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

.PHONY: format-check lint types imports generated unit
format-check: venv
	$(BIN)/ruff format --check --quiet .
lint: venv
	$(BIN)/ruff check --quiet .
	$(BIN)/python -m dev.requirements --check
types: venv
	$(BIN)/mypy contract operator runtime dev tests bench
imports: venv
	$(BIN)/lint-imports
generated: venv
	$(BIN)/python -m dev.generate --check
unit: venv
	$(BIN)/pytest tests/unit tests/contract tests/golden -m "not prove and not process" -n $(WORKERS) --quiet

.PHONY: coverage
coverage: venv ## Measure which lines and branches the unit tests reach
	$(BIN)/pytest tests/unit tests/contract tests/golden -m "not prove" -n $(WORKERS) --quiet --cov --cov-report=term:skip-covered

.PHONY: prove
prove: venv ## The long proofs (sweeps, many inputs, soak); results under docs/proofs/: SHARE=1
	$(BIN)/pytest tests -m prove --share $(SHARE)
	$(BIN)/python -m bench linear --servers $(shell awk 'BEGIN { print int(5000 * $(SHARE)) }')

.PHONY: bench
bench: venv ## Measure what must be fast; figures under docs/reference/{benchmarks,scale}.md
	$(BIN)/python -m bench

.PHONY: generate
generate: venv ## Rewrite what is generated: CRD, reference, golden files
	$(BIN)/python -m dev.generate

.PHONY: images
images: venv ## Build the container images
	$(BIN)/python -m dev.images build

.PHONY: push
push: venv ## Push the images: make push REGISTRY=registry.example/team
	@[ -n "$(REGISTRY)" ] || { echo "say where to: make push REGISTRY=registry.example/team" >&2; exit 2; }
	$(BIN)/python -m dev.images push "$(REGISTRY)"

.PHONY: cluster-up
cluster-up: venv ## Bring a cluster up: NAME=breakwater SIZE=node|control-plane PROVIDER=local|kind|existing FAKE_NODES=0
	$(BIN)/python -m dev.cluster up --name $(NAME) --size $(SIZE) --provider $(PROVIDER) --fake-nodes $(FAKE_NODES)

.PHONY: cluster-down
cluster-down: venv ## Take it down: NAME=breakwater
	$(BIN)/python -m dev.cluster down --name $(NAME)

.PHONY: requirements
requirements: venv ## Print every requirement with the tests that prove it
	$(BIN)/python -m dev.requirements

.PHONY: audit
audit: venv ## Ask which locked dependencies have known weaknesses (reaches the database of advisories)
	$(BIN)/python -m dev.audit

.PHONY: lock
lock: venv ## Rewrite the exact locks from pyproject.toml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m dev.lock
