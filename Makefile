# Labelbridge. A bare Debian with Python 3.11 and make is enough: everything else is fetched, pinned by
# constraints.txt and deploy/azurite/package-lock.json. Stamps carry the hash of what they were made from.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
AZURITE := deploy/azurite
DATA ?=
PYTEST_ARGS ?= -n 3 --dist worksteal
BENCH_VENV := .venv-bench
BENCH_ARGS ?=
FUZZ_SECONDS ?= 300

hash = $(shell cat $(1) | sha256sum | cut -c1-16)
PYTHON_STAMP := $(VENV)/stamp-$(call hash,pyproject.toml constraints.txt)
AZURITE_STAMP := $(AZURITE)/node_modules/stamp-$(call hash,$(AZURITE)/package.json $(AZURITE)/package-lock.json)

.PHONY: help setup demo test lint dev bench fuzz clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: setup ## The whole story on the local Azure; DATA=DIR runs it on your documents and labels file
	@$(BIN)/python -m labelbridge.local.demo $(if $(DATA),--data "$(DATA)")

test: setup ## Run every test; PYTEST_ARGS are passed on
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(PYTHON_STAMP) ## Ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

dev: setup ## The local stack in the foreground, with its addresses and an env file
	@$(BIN)/labelbridge dev

bench: ## Speed and memory of the labels room beside other tools; BENCH_ARGS are passed on
	@PYTHON="$(PYTHON)" deploy/make-venv.sh $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@$(BENCH_VENV)/bin/python -m benchmarks.labels $(BENCH_ARGS)

fuzz: $(PYTHON_STAMP) ## Fuzz each reader for FUZZ_SECONDS (default 300)
	@for target in azureml language stored table tables_folder small; do \
	    mkdir -p .labelbridge/fuzz/$$target && \
	    $(BIN)/python -m tests.fuzz.run $$target -max_total_time=$(FUZZ_SECONDS) \
	        -artifact_prefix=.labelbridge/fuzz/ .labelbridge/fuzz/$$target || exit 1; \
	done

clean: ## Remove everything that make made: environment, Azurite, local state, caches
	rm -rf $(VENV) $(BENCH_VENV) $(AZURITE)/node_modules .labelbridge build dist ./*.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(PYTHON_STAMP) $(AZURITE_STAMP) ## Make the virtual environment and install Azurite

$(PYTHON_STAMP): | $(VENV)/pyvenv.cfg
	@echo "Installing Python packages (pinned by constraints.txt)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,dev]'
	@rm -f $(VENV)/stamp-* && touch $@

$(VENV)/pyvenv.cfg:
	@PYTHON="$(PYTHON)" deploy/make-venv.sh $(VENV)

$(AZURITE_STAMP): | $(PYTHON_STAMP)
	@echo "Installing Azurite (pinned by $(AZURITE)/package-lock.json)"
	@$(BIN)/python -c 'import sys; from pathlib import Path; from labelbridge.local.azurite import install; install(Path(sys.argv[1]))' $(AZURITE)
	@touch $@
