# `make` lists what can be done here. Settings such as PORT=9000 go behind the target: make up PORT=9000

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
RUNTIME := $(VENV)/.installed-runtime
DEVELOPMENT := $(VENV)/.installed-dev
PACKAGES := $(VENV)/.installed-system-packages
BENCH_PEERS := .venv-bench/.installed

# Whatever stands behind `make test` and its like goes on to the program: make test ARGS="-k routing"
ARGS ?=
TEST_PROCESSES ?= 2
OUTAGE_SECONDS ?= 60
CHAOS_MINUTES ?= 15
CHAOS_SEED ?= 20261120
SOAK_MINUTES ?= 60
DEMO_FLAG := $(if $(filter-out 0 no false,$(DEMO)),--demo)

.DEFAULT_GOAL := help
.PHONY: help install install-dev up test check check-style check-types check-imports check-migrations check-gates
.PHONY: bench bench-install chaos soak crash-points model mutations screenshots lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(RUNTIME) ## Make .venv with everything Switchboard needs to run

install-dev: $(DEVELOPMENT) $(PACKAGES) ## Add what tests and checks need, a browser and Debian's PostgreSQL included

up: $(RUNTIME) ## Run Switchboard here (PORT=8000, DEMO=1 for a filled workspace); Ctrl-C stops it
	@exec $(VENV)/bin/switchboard up $(DEMO_FLAG) $(ARGS)

test: install-dev ## Run the whole test suite
	@$(VENV_PYTHON) -m pytest -n $(TEST_PROCESSES) --dist loadfile $(ARGS)

check: check-style check-types check-imports check-migrations check-gates ## Run every check that is not a test

check-style: $(DEVELOPMENT)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

check-types: $(DEVELOPMENT)
	$(VENV)/bin/mypy

check-imports: $(DEVELOPMENT)
	$(VENV)/bin/lint-imports

check-migrations: $(DEVELOPMENT)
	$(VENV)/bin/squawk switchboard/migrations/*.up.sql

check-gates: $(DEVELOPMENT)
	$(VENV_PYTHON) -m tools.gates

bench: install-dev bench-install ## Measure everything for about half an hour, write the guide's page (ARGS="intake --json" for one)
	@$(VENV_PYTHON) -m bench $(or $(ARGS),all)

bench-install: $(BENCH_PEERS) ## Install the systems that benchmarks compare with, apart from everything else

chaos: install-dev ## Break everything by seed under load, take Postgres and Redis away, and count what was lost
	@OUTAGE_SECONDS=$(OUTAGE_SECONDS) $(VENV_PYTHON) -m pytest -n 0 -m chaos tests/chaos -s \
		--chaos-minutes $(CHAOS_MINUTES) --chaos-seed $(CHAOS_SEED) $(ARGS)

soak: install-dev ## Work for an hour at half load, and see that nothing grows
	@$(VENV_PYTHON) -m pytest -n 0 -m chaos tests/soak -s --soak-minutes $(SOAK_MINUTES) $(ARGS)

crash-points: install-dev ## Break every call of one story in every way, and see that nothing is lost or doubled
	@$(VENV_PYTHON) -m pytest -n $(TEST_PROCESSES) -m crash tests/crash_points $(ARGS)

model: install-dev ## Drive the product and a small model of it side by side through many lives
	@$(VENV_PYTHON) -m pytest -n 0 -m model tests/model $(ARGS)

mutations: install-dev ## Break every promise on purpose, in copies, and see that its tests turn red
	@$(VENV_PYTHON) -m pytest -n $(TEST_PROCESSES) -m "" tests/mutations $(ARGS)

screenshots: install-dev ## Drive the pages in a browser and keep the pictures in artefacts/
	@$(VENV_PYTHON) -m pytest -n 0 -m journey tests/journeys $(ARGS)

lock: $(DEVELOPMENT) ## Resolve the dependencies anew and pin them with hashes
	$(VENV)/bin/uv pip compile pyproject.toml --group build --universal --python-version 3.11 \
		--generate-hashes --no-header -q -o requirements/runtime.txt
	$(VENV)/bin/uv pip compile pyproject.toml --group build --group dev -c requirements/runtime.txt --universal \
		--python-version 3.11 --generate-hashes --no-header -q -o requirements/dev.txt
	$(VENV)/bin/uv pip compile --group bench --universal --python-version 3.11 \
		--generate-hashes --no-header -q -o requirements/bench.txt

clean: ## Remove what make has made; data/ stays
	rm -rf $(VENV) .venv-bench bench/peers/node_modules .mypy_cache .ruff_cache .import_linter_cache .hypothesis artefacts dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements/runtime.txt pyproject.toml tools/install.sh
	@tools/install.sh runtime
	@touch $@

$(DEVELOPMENT): requirements/dev.txt pyproject.toml tools/install.sh
	@tools/install.sh dev
	@touch $@ $(RUNTIME)

$(PACKAGES): tools/system_packages.sh | $(DEVELOPMENT)
	@tools/system_packages.sh && touch $@

$(BENCH_PEERS): requirements/bench.txt bench/peers/package-lock.json tools/bench_install.sh | $(RUNTIME)
	@tools/bench_install.sh
