# All targets run in a virtual environment, which is created on first use and updated when
# pyproject.toml changes. This requires python3 with venv.

PYTHON ?= python3
VENV ?= .venv

export PIP_DISABLE_PIP_VERSION_CHECK = 1

RUN = $(VENV)/bin/python

.PHONY: help demo test test-fast test-next browser screenshots lint docs examples bench bench-short clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Run a small application against a local collector
	@$(RUN) examples/demo.py

test: $(VENV)/.installed-dev ## Run all tests
	$(RUN) -W error -m tests --rerun

test-fast: $(VENV)/.installed-dev ## Run the tests that start no process and no server
	$(RUN) -W error -m tests --fast

test-next: $(VENV)-next/.installed ## Run the tests that need no threads on Python 3.14 and 3.15
	@node tests/next/run.mjs "$(VENV)-next" python-3.14 python-3.15

browser: $(VENV)-browser/.installed ## Install what the tests in a browser need, except for Chromium

screenshots: $(VENV)/.installed-dev $(VENV)-browser/.installed ## Take the screenshots in the documentation
	$(RUN) -m tests.browser.screenshots docs/images

lint: $(VENV)/.installed-dev ## Check style and types
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy --strict
	$(RUN) -W error -m tests.typing.check

docs: $(VENV)/.installed-docs ## Build the documentation into build/docs
	$(RUN) -m sphinx -q -W --keep-going --fresh-env docs build/docs

examples: $(VENV)/.installed-dev ## Run every example against a local collector
	$(RUN) -W error -m tests xample

bench: $(VENV)-bench/.installed ## Run all benchmarks, in about fifteen minutes
	@$(VENV)-bench/bin/python -m benchmarks

bench-short: $(VENV)-bench/.installed ## Run short benchmarks, in two minutes; fails on gross misses
	@$(VENV)-bench/bin/python -m benchmarks --short

clean: ## Remove the virtual environments and all generated files
	rm -rf "$(VENV)" "$(VENV)-bench" "$(VENV)-next" "$(VENV)-browser" build dist .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `--group` requires pip 25.1, and editable installs without setup.py require pip 21.3. The pip that
# venv installs may be older.
$(VENV)/.installed: pyproject.toml
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv "$(VENV)"
	@$(RUN) -m pip install --quiet --upgrade "pip>=25.1"
	@$(RUN) -m pip install --quiet --editable .
	@$(RUN) -m compileall -q segment_logging
	@touch "$@"

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(RUN) -m pip install --quiet --group dev
	@for group in pytest-7 pytest-8; do \
		$(RUN) -m pip install --quiet --upgrade --target "$(VENV)/$$group" --group $$group; done
	@$(RUN) -m pip install --quiet --group uwsgi || echo "cannot build uWSGI: its tests are skipped"
	@touch "$@"

$(VENV)/.installed-docs: $(VENV)/.installed
	@$(RUN) -m pip install --quiet --group docs
	@touch "$@"

# These versions of Python are compiled for browsers and installed as npm packages. Of the packages
# that the tests need, they can only import those that are pure Python.
$(VENV)-next/.installed: $(VENV)/.installed $(wildcard tests/next/package*.json tests/next/*.txt)
	@command -v npm >/dev/null || { echo "make test-next requires Node.js and npm" >&2; exit 1; }
	@echo "Setting up $(VENV)-next ..."
	@rm -rf "$(VENV)-next" && mkdir "$(VENV)-next"
	@cp tests/next/package.json tests/next/package-lock.json "$(VENV)-next"
	@cd "$(VENV)-next" && npm ci --silent --no-audit --no-fund
	@$(RUN) -m pip install --quiet --target "$(VENV)-next/wheels" --no-deps --only-binary :all: \
		--platform any --implementation py --abi none --python-version 3.14 \
		--requirement tests/next/requirements.txt
	@touch "$@"

$(VENV)-browser/.installed: $(wildcard tests/browser/package*.json)
	@command -v npm >/dev/null || { echo "make browser requires Node.js and npm" >&2; exit 1; }
	@rm -rf "$(VENV)-browser" && mkdir "$(VENV)-browser"
	@cp tests/browser/package.json tests/browser/package-lock.json "$(VENV)-browser"
	@cd "$(VENV)-browser" && npm ci --silent --no-audit --no-fund
	@touch "$@"

# Pinned versions of the clients to compare with, in a separate environment from the tests.
$(VENV)-bench/.installed: pyproject.toml benchmarks/requirements.txt
	@echo "Setting up $(VENV)-bench ..."
	@$(PYTHON) -m venv "$(VENV)-bench"
	@$(VENV)-bench/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(VENV)-bench/bin/python -m pip install --quiet --requirement benchmarks/requirements.txt
	@$(VENV)-bench/bin/python -m pip install --quiet --editable .
	@$(VENV)-bench/bin/python -m compileall -q segment_logging
	@touch "$@"
