# Three commands do everything: `make run`, `make start` and `make test`. All set up what they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AUDIT := .venv-audit
DATA ?=
WAIT ?= 1
SEED ?= 0
USE_CASE ?=
BEGIN ?=
ARGS ?=
JOBS ?= 2
PORT ?= 5000
export UV_LINK_MODE := copy
# Compiled bytecode halves the import time of every task: a shell that forbids it must not slow the stack down.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: add-source audit backup bench-collection bench-generality bench-monitoring bench-science bench-service bench-sizing check-deployment down restore secrets up upgrade help licences mlflow setup setup-dev run start test test-deployment engine check format reference requirements sbom schema clean

help: ## Show the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(VENV)/.runtime ## Install what `make run` needs, from the hash-pinned requirements

setup-dev: $(VENV)/.dev ## Install what `make test` and development need

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), f"Python 3.11 to 3.13 is needed, this is {sys.version}; set PYTHON="'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

$(VENV)/.runtime: requirements.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --python $(BIN)/python -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --python $(BIN)/python -r requirements-dev.txt
	@touch $@ $(VENV)/.runtime

$(VENV)/.bench: requirements-bench.txt $(VENV)/.dev
	$(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --python $(BIN)/python -r requirements-bench.txt
	@touch $@

$(AUDIT)/.ready: requirements-audit.txt | $(BIN)/uv
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(AUDIT)
	$(BIN)/uv pip install --quiet --require-hashes --python $(AUDIT)/bin/python -r requirements-audit.txt
	@touch $@

run: export KREISLAUF_RUN_STARTED := $(shell date +%s)
run: setup ## Run the whole loop: USE_CASE=machine_failure or all, DATA=folder replays real data, WAIT=0 stops at the end, SEED=n another world
	@exec $(BIN)/python -m include.kreislauf run $(addprefix --use-case ,$(USE_CASE)) --data "$(DATA)" --wait $(WAIT) --seed $(SEED) $(ARGS)

start: setup ## Run your own use cases until Ctrl-C: BEGIN=name begins one at once, USE_CASE=name takes only this one, DATA=folder is {data}
	@exec $(BIN)/python -m include.kreislauf start $(addprefix --use-case ,$(USE_CASE)) $(addprefix --begin ,$(BEGIN)) --data "$(DATA)" $(ARGS)

test: setup-dev ## Run all tests, in JOBS processes; ARGS goes to pytest
	$(BIN)/python -m pytest $(if $(filter-out 1,$(JOBS)),-n $(JOBS) --dist loadfile --no-loadscope-reorder) $(ARGS)

test-deployment: engine ## Start the whole stack in Docker and break it on purpose; writes benchmarks/results/deployment.json
	KREISLAUF_WRITE_RESULTS=1 $(BIN)/python -m pytest tests/production -m deployment -x $(ARGS)

engine: setup-dev
	$(BIN)/python -m tests.production.engine

check: setup-dev ## Lint, types, import directions, contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m include.kreislauf contract check

format: setup-dev ## Format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

requirements: | $(BIN)/uv ## Resolve the hash-pinned requirements anew
	$(BIN)/uv pip compile $(COMPILE) --extra airflow --group dev -o requirements-dev.txt
	$(BIN)/uv pip compile $(COMPILE) --extra airflow -c requirements-dev.txt -o requirements.txt
	$(BIN)/uv pip compile --group bench $(RESOLVE) -c requirements-dev.txt -o requirements-bench.txt
	$(BIN)/uv pip compile $(COMPILE) -c requirements-dev.txt -o requirements-service.txt
	$(BIN)/uv pip compile --group audit $(RESOLVE) -o requirements-audit.txt
RESOLVE := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
COMPILE := pyproject.toml $(RESOLVE)

TRACKED = $(CURDIR)/$(dir $(firstword $(shell ls -t var/mlflow.db var/run/mlflow.db 2>/dev/null) var/mlflow.db))
mlflow: export MLFLOW_DISABLE_TELEMETRY := true
mlflow: export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false
mlflow: setup ## Show the tracked trainings in a browser, those of `make run` or of `make start`, whichever trained last: PORT=5000
	@exec $(BIN)/python -m mlflow ui --host 127.0.0.1 --port $(PORT) --workers 1 \
		--backend-store-uri "sqlite:///$(TRACKED)mlflow.db" --default-artifact-root "$(TRACKED)mlflow-artefacts"

schema: setup-dev ## Write the JSON Schemas of contracts and catalogues for editors
	$(BIN)/python -m include.kreislauf contract schema > include/use_cases/contract.schema.json
	$(BIN)/python -m include.kreislauf contract catalogue-schema > include/use_cases/technologies.schema.json

reference: setup-dev ## Write docs/reference from the models and the command line
	$(BIN)/python -m include.kreislauf.reference

add-source: setup-dev ## Write the skeleton of a source kind: NAME=package_downloads
	$(BIN)/python -m include.kreislauf add-source "$(NAME)"

STACK = @$(PYTHON) -m deploy.stack $(if $(MIN_FREE_GB),--min-free-gb $(MIN_FREE_GB)) \
	$(if $(filter 1,$(PUBLISH)),--file docker-compose.yaml $(addprefix --file ,$(wildcard docker-compose.override.yaml)) --file deploy/publish.yaml)
STARTING = $(if $(filter 0,$(BUILD)),--no-build) $(if $(filter 0,$(CANARY)),--no-canary) $(if $(WORKERS),--workers $(WORKERS))

secrets: ## Deployment: write .env, with a fresh value for each secret that has none
	$(STACK) secrets

check-deployment: ## Deployment: find all that would keep `make up` from working; changes nothing
	$(STACK) check

up: ## Deployment: check, build, start, and prove it by the canary: WORKERS=n, PUBLISH=1, BUILD=0, CANARY=0, MIN_FREE_GB=10
	$(STACK) up $(STARTING)

down: ## Deployment: stop, keep all data; VOLUMES=1 CONFIRM=name deletes them
	$(STACK) down $(if $(filter 1,$(VOLUMES)),--volumes) $(if $(CONFIRM),--confirm "$(CONFIRM)")

backup: ## Deployment: save databases and files while everything runs: TO=folder, KEEP=n, ENCRYPT="age -r ..."
	$(STACK) backup --to "$(or $(TO),backups)" $(if $(KEEP),--keep $(KEEP)) $(if $(ENCRYPT),--encrypt '$(ENCRYPT)')

restore: ## Deployment: bring a backup into empty volumes: FROM=folder, DECRYPT="age -d -i ..."
	$(STACK) restore --from "$(or $(FROM),backups)" $(if $(DECRYPT),--decrypt '$(DECRYPT)')

upgrade: ## Deployment: go on with this code: build, back up into TO, migrate, start, prove
	$(STACK) upgrade --to "$(or $(TO),backups)" $(STARTING)

bench-collection: $(VENV)/.bench ## Measure the reading of GitHub events against gzip alone and other engines
	$(BIN)/python -m benchmarks.collection

bench-generality: setup-dev ## Measure new tables, a hundred use cases, and reuse: ARGS="--only tables"
	$(BIN)/python -m benchmarks.generality $(ARGS)

bench-science: setup-dev ## Measure candidates, intervals, search and pipeline on the recorded panel (../shared/data)
	$(BIN)/python -m benchmarks.science

bench-monitoring: setup-dev ## Measure verdicts, diagnosis, loops and replays: ARGS="--quick", ARGS="--only detector"
	$(BIN)/python -m benchmarks.monitoring $(ARGS)

bench-service: setup-dev ## Measure the service beside MLflow, BentoML and LitServe, and releases that change under load
	$(BIN)/python -m benchmarks.service $(ARGS)

bench-sizing: setup-dev ## Measure what grows with rows, requests and history, in CPU seconds and bytes: ARGS="--only log"
	$(BIN)/python -m benchmarks.sizing $(ARGS)

sbom: $(VENV)/.runtime $(AUDIT)/.ready ## Write the bills of materials (CycloneDX) of both images to var/sbom, checked against their schema
	$(BIN)/python -m deploy.supply_chain sbom requirements.txt --name kreislauf-airflow --output var/sbom/airflow.cdx.json
	$(BIN)/python -m deploy.supply_chain sbom requirements-service.txt --name kreislauf-service --output var/sbom/service.cdx.json
	$(AUDIT)/bin/python deploy/supply_chain/validate.py var/sbom/airflow.cdx.json var/sbom/service.cdx.json

licences: setup ## Write docs/reference/licences.md from what is installed
	$(BIN)/python -m deploy.supply_chain licences --output docs/reference/licences.md

audit: sbom ## Look for faults in code, images, manifests and the supply chain, without asking the network
	bash deploy/supply_chain/audit.sh

clean: ## Remove what runs wrote (not the environment)
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
