# make demo    the demo collection, explored in your browser
# make test    every check and every test          (make test ARGS="-k map")
# make setup   .venv alone: the app, the tests, the benchmarks
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
PYTHON ?=
ARGS ?=
# two workers: one drives the browser, one does the rest
WORKERS ?= 2

.PHONY: help setup demo test lint format mutants bench screenshots clean

help:
	@sed -n 's/^# //p' $(firstword $(MAKEFILE_LIST)) | head -3
	@echo "make lint | format | mutants | bench | screenshots | clean"

setup: $(READY)

# The stamp is written last, so that an interrupted installation is taken up again.
$(READY): requirements.txt requirements-dev.txt
	@if ! { [ -x $(PY) ] && $(PY) -m pip --version >/dev/null 2>&1; }; then \
	  found=; \
	  for name in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    if command -v $$name >/dev/null && $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
	    then found=$$name; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "Python 3.11, 3.12 or 3.13 is needed, and none of them is on PATH (python3: $$(python3 --version 2>&1 || true))." >&2; \
	    echo "On Debian 12+ or Ubuntu 24.04+: apt-get install python3 python3-venv. Elsewhere: make setup PYTHON=/path/to/python3.12" >&2; \
	    exit 1; \
	  fi; \
	  if ! $$found -c 'import venv, ensurepip' 2>/dev/null; then \
	    echo "$$found cannot make a virtual environment: its venv module is not installed." >&2; \
	    echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	    exit 1; \
	  fi; \
	  echo "making $(VENV) with $$($$found --version)"; \
	  rm -rf $(VENV); \
	  $$found -m venv $(VENV); \
	fi
	@echo "installing what requirements.txt and requirements-dev.txt ask for (several GB with torch; once)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $@

demo: $(READY)
	@$(PY) -m explorer demo clipart --open

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-cache

test: lint
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(ARGS)

format: $(READY)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

mutants: $(READY)
	$(PY) -m tests.mutants $(ARGS)

bench: $(READY)
	$(PY) -m benchmarks $(ARGS)

screenshots: $(READY)
	$(PY) -m benchmarks.screenshots $(ARGS)

clean:
	rm -rf $(VENV) build .mutants .pytest_cache .mypy_cache .ruff_cache
