# The interface: everything that can be done here is a target, and `make` lists them.
#   make VENV=...     another environment        make PYTHON=...   another interpreter
#   make test ARGS="-k lease"    more arguments for pytest; it runs on all cores, -n 0 on one

VENV ?= .venv
PYTHON ?=
ARGS ?=
BIN := $(VENV)/bin
# By their hashes, from wherever this machine's pip is set up to look. Twice quiet: errors only.
PIP_INSTALL = $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
# What the installed package's metadata is made of.
METADATA := pyproject.toml alertd/__init__.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-systemd sim torture check lint format types imports demo bench dist deb man lock clean

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name what; \
	  do printf 'make %-12s %s\n' "$$name" "$$what"; done

run: $(VENV)/.run ## set up what is needed and start the daemon on config/
	@exec $(BIN)/alertd run --config config

test: $(VENV)/.dev ## set up what is needed and run the tests
	@sh tools/get-postgres $(VENV)
	@sh tools/get-systemd
	@sh tools/get-chromium
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

test-systemd: deb ## boot Debian 12 and 13, install the package there, and do what the pages say; as root
	@sh tools/get-systemd boot
	@$(BIN)/python -m pytest -s tests/systemd/on_debian.py $(ARGS)

sim: $(VENV)/.dev ## simulate: SEEDS=5000 in all, or PROFILE=name SEED=number for one
	@$(BIN)/python -m tests.sim --seeds '$(or $(SEEDS),500)' --profile '$(PROFILE)' $(if $(SEED),--seed '$(SEED)')

torture: $(VENV)/.dev ## kill, stall, fill and cut off the real thing; ONLY=name ROUNDS=n SEED=text KEEP=folder
	@sh tools/get-postgres $(VENV)
	@$(BIN)/python -m tests.torture --only '$(ONLY)' --rounds '$(or $(ROUNDS),0)' --seed '$(or $(SEED),2026)' --keep '$(KEEP)' $(ARGS)

check: lint types imports ## everything that reads the code without running it

lint: $(VENV)/.dev ## ruff: the rules and the format
	@$(BIN)/ruff check --output-format concise
	@$(BIN)/ruff format --check

format: $(VENV)/.dev ## ruff: put the format right, and what it can of the rules
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy

imports: $(VENV)/.dev ## import-linter: arrows point down only, the core is pure
	@$(BIN)/lint-imports

demo: $(VENV)/.run ## see what would be sent, with nothing to configure and sent to nobody
	@exec $(BIN)/alertd demo $(ARGS)

bench: $(VENV)/.dev ## what it costs, side by side
	@$(BIN)/python -m bench $(ARGS)

dist: $(VENV)/.dev ## build the wheel and the source archive into dist/
	@$(BIN)/python -m build --no-isolation

deb: $(VENV)/.dev ## build the Debian package into dist/; RELEASES='bookworm trixie' are those that can be had
	@for release in $(or $(RELEASES),bookworm trixie); do sh tools/build-deb $(VENV) $$release || exit 1; done

man: $(VENV)/.dev ## make the man pages out of docs/reference, into build/man/
	@$(BIN)/python tools/man-pages build/man

lock: $(VENV)-lock/.uv ## resolve the locks again; ARGS=--upgrade takes the newest of everything
	@$(LOCK) $(ARGS) --group dev --extra apprise --extra holidays --extra postgres --output-file requirements-dev.lock
	@$(LOCK) $(ARGS) --group build --extra holidays --extra postgres --constraint requirements-dev.lock --output-file requirements-full.lock
	@$(LOCK_ONLY) $(ARGS) --group postgres-server --constraint requirements-dev.lock --output-file requirements-postgres-server.lock
	@$(LOCK) --group build --constraint requirements-dev.lock --output-file requirements.lock
	@if grep -nE '^-|://' requirements*.lock; then \
	  echo 'an address or an option of pip stands in a lock' >&2; exit 1; fi

clean: ## remove the environments, the caches and what was built
	@rm -rf $(VENV) $(VENV)-lock build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up -----------------------------------------------------------------------------------------------
# One environment. `make run` puts the runtime lock into it, everything else the development lock, which pins the
# same versions and so settles both. Nothing is installed that a lock does not name by its hash.

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
