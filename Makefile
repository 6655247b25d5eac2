.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
EXTRAS := operator runtime dev

# uv comes from the same package registry as everything else, into the venv, so that a machine with
# nothing but Python is enough.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt

$(VENV)/.ready: $(UV) requirements/dev.txt pyproject.toml
	$(UV) pip sync --quiet --require-hashes requirements/dev.txt requirements/uv.txt --python $(BIN)/python
	$(UV) pip install --quiet --no-deps --no-build-isolation --editable . --python $(BIN)/python
	@touch $@

.PHONY: venv
venv: $(VENV)/.ready ## Install everything the project needs into .venv

.PHONY: lock
lock: $(UV) ## Rewrite the exact locks from pyproject.toml
	$(BIN)/python -m dev.lock
