# The commands for working on alertd. Every command is a target, and `make` lists the targets.
#   make VENV=...                use another virtual environment
#   make PYTHON=...              make the virtual environment with another interpreter
#   make test ARGS="-k lease"    pass arguments to pytest, which uses all cores; -n 0 uses one
#   make quick ARGS=-x           the same for the tests that need no server: no PostgreSQL, browser or daemon

VENV ?= .venv
PYTHON ?=
ARGS ?=
BIN := $(VENV)/bin
# Pip checks the hashes of packages, and uses the index that the machine configures. Quiet twice means errors only.
PIP_INSTALL = $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
# The package's metadata depends on these files.
METADATA := pyproject.toml alertd/__init__.py

# What `make quick` runs. tests/offline.py fails a test of it that uses a server.
QUICK := -m 'not server and not long' tests/core tests/definitions tests/engine tests/system tests/contract

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test quick test-systemd sim torture attack check lint format types imports demo bench dist deb man lock clean

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name what; \
	  do printf 'make %-12s %s\n' "$$name" "$$what"; done

run: $(VENV)/.run ## set up the environment and start the daemon on config/
	@exec $(BIN)/alertd run --config config

test: $(VENV)/.dev ## set up the environment and run the tests
	@sh tools/get-postgres $(VENV)
	@sh tools/get-systemd
	@sh tools/get-chromium
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

quick: $(VENV)/.dev ## run the tests that need no server, for the inner loop: under a minute on two cores
	@ALERTD_EXAMPLES=10 $(BIN)/python -m pytest -p tests.offline -n logical --dist worksteal -q $(QUICK) $(ARGS)

test-systemd: deb ## boot Debian 12 and 13, install the package and follow the docs; needs root
	@sh tools/get-systemd boot
	@$(BIN)/python -m pytest -s tests/systemd/on_debian.py $(ARGS)

sim: $(VENV)/.dev ## run the simulator and random searches: SEEDS=5000 EXAMPLES=2000, or PROFILE=name SEED=number
	@$(BIN)/python -m tests.sim --seeds '$(or $(SEEDS),500)' --profile '$(PROFILE)' $(if $(SEED),--seed '$(SEED)')
	@$(if $(SEED)$(PROFILE),,ALERTD_EXAMPLES=$(or $(EXAMPLES),500) $(BIN)/python -m pytest -n auto --dist worksteal -q -m hypothesis)

torture: $(VENV)/.dev ## kill, stall, fill and cut off real processes; ONLY=name ROUNDS=n SEED=text KEEP=folder
	@sh tools/get-postgres $(VENV)
	@$(BIN)/python -m tests.torture --only '$(ONLY)' --rounds '$(or $(ROUNDS),0)' --seed '$(or $(SEED),2026)' --keep '$(KEEP)' $(ARGS)

attack: $(VENV)/.dev ## attack a real daemon, run the tests that show what holds, and write docs/security.md; ONLY=name
	@$(BIN)/python -m tests.attack --only '$(ONLY)' $(ARGS)

check: lint types imports ## run all checks that read the code without running it

lint: $(VENV)/.dev ## check rules and format with ruff
	@$(BIN)/ruff check --output-format concise
	@$(BIN)/ruff format --check

format: $(VENV)/.dev ## format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

types: $(VENV)/.dev ## check types with mypy, strictly
	@$(BIN)/mypy

imports: $(VENV)/.dev ## check with import-linter that imports follow the layers
	@$(BIN)/lint-imports

demo: $(VENV)/.run ## run the demo, which needs no configuration and sends only to this machine
	@exec $(BIN)/alertd demo $(ARGS)

bench: $(VENV)/.dev ## run the benchmarks
	@$(BIN)/python -m bench $(ARGS)

dist: $(VENV)/.dev ## build the wheel and the source archive into dist/
	@$(BIN)/python -m build --no-isolation

deb: $(VENV)/.dev ## build the Debian packages into dist/; RELEASES='bookworm trixie' names the releases
	@for release in $(or $(RELEASES),bookworm trixie); do sh tools/build-deb $(VENV) $$release || exit 1; done

man: $(VENV)/.dev ## make the man pages from docs/ in build/man/
	@$(BIN)/python tools/man-pages build/man

lock: $(VENV)-lock/.uv ## resolve the lock files again; ARGS=--upgrade upgrades every package
	@$(LOCK) $(ARGS) --group dev --extra apprise --extra fast --extra holidays --extra postgres --output-file requirements-dev.lock
	@$(LOCK) $(ARGS) --group build --extra fast --extra holidays --extra postgres --constraint requirements-dev.lock --output-file requirements-full.lock
	@$(LOCK_ONLY) $(ARGS) --group postgres-server --constraint requirements-dev.lock --output-file requirements-postgres-server.lock
	@$(LOCK) --group build --constraint requirements-dev.lock --output-file requirements.lock
	@if grep -nE '^-|://' requirements*.lock; then \
	  echo 'an address or an option of pip stands in a lock' >&2; exit 1; fi

clean: ## remove the environments, the caches and the build results
	@rm -rf $(VENV) $(VENV)-lock build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up -----------------------------------------------------------------------------------------------
# All targets use one environment. `make run` installs the runtime lock, and the other targets install the development
# lock, which contains the same versions. Pip installs only packages whose hashes are in a lock.

define install
@sh tools/make-venv $(VENV)
@echo 'setting up: $(1)'
@$(PIP_INSTALL) --require-hashes -r $(1)
@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
@problems=$$($(BIN)/python -m pip check --disable-pip-version-check) || \
  { echo "$$problems"; echo 'the locks do not fit pyproject.toml: make lock'; exit 1; } >&2
endef

export PYTHON

$(VENV)/.run: requirements.lock $(METADATA) tools/make-venv
	$(call install,requirements.lock)
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(METADATA) tools/make-venv
	$(call install,requirements-dev.lock)
	@touch $(VENV)/.run $@

LOCK_ONLY = $(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
LOCK = $(LOCK_ONLY) pyproject.toml

$(VENV)-lock/.uv: tools/make-venv
	@sh tools/make-venv $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip install --quiet --quiet --disable-pip-version-check 'uv>=0.9'
	@touch $@
