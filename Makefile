# Works on a fresh machine with Python 3.11 or later (with venv), make and git. `make help` lists what there is.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
SOURCES := packager targets runtime tests benchmarks docs/demo.py
# -n: one worker a core. TESTS and ARGS narrow a run: make test TESTS=tests/house ARGS=-x
TESTS  ?= tests
ARGS   ?=
# Code that runs in server processes and containers is not counted.
FLOOR  := 79

export UV_PYTHON_DOWNLOADS := never
export UV_COMPILE_BYTECODE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV

PYTEST := $(BIN)/python -m pytest -q -n auto --dist loadgroup --durations 10 $(if $(CI),-rs)
COVER  := --cov --cov-report=term:skip-covered --cov-fail-under=$(FLOOR)

.PHONY: help setup packages parts demo test test-all lint format bench constraints schema clean
.DEFAULT_GOAL := help

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.ready  ## Make .venv with pinned, hash-checked dependencies; nothing to do when nothing changed

$(VENV)/.ready: constraints.txt pyproject.toml runtime/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is not Python 3.11 or later; name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "make: $(PYTHON) has no venv; install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "setting up $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' constraints.txt > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r $(VENV)/uv.txt
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r constraints.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e runtime -e .
	@touch $@

packages: setup  ## Fetch the pinned packages that the tests' own index serves, into the cache outside the tree
	@$(BIN)/python -m tests.index.wheelhouse fetch

parts: packages  ## Install the node packages that the client tests use too (needs npm); on Debian, other Pythons
	@$(BIN)/python -m tests.real_parts install

demo: setup  ## Scaffold a tool, build it, deploy it here, call it with a real client, remove it
	@$(BIN)/python docs/demo.py

test: packages  ## Run the tests; a real part that is missing here is skipped by name (CI=true: fails)
	@$(PYTEST) $(if $(CI),$(COVER)) $(ARGS) $(TESTS)

test-all: lint packages  ## Lint, then all tests, long matrices whole, with the coverage floor
	@MCP_PACK_TEST_ALL=1 $(PYTEST) $(COVER) $(ARGS) $(TESTS)

lint: setup  ## ruff, mypy strict, the walls between the layers
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "lint: run make format" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary $(SOURCES)
	@$(BIN)/lint-imports --no-logo > $(VENV)/imports.txt 2>&1 || { cat $(VENV)/imports.txt; exit 1; }
	@echo "lint: ruff, mypy and import-linter are content"

format: setup  ## Let ruff format and mend what it can
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

bench: setup  ## Print the figures side by side (a few minutes; ARGS=--quick for a short run)
	@$(BIN)/python -m benchmarks $(ARGS)

constraints: setup  ## Renew the pinned, hashed dependencies
	@$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-package mcp-tool-runtime pyproject.toml runtime/pyproject.toml --all-extras --group dev -o constraints.txt
	@$(BIN)/python -m tests.index.wheelhouse pin

schema: setup  ## Write the manifest's JSON Schema into docs/ anew
	@$(BIN)/mcp-pack schema > docs/mcp-tool.schema.json

clean:  ## Remove what make made in the tree
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage .hypothesis
