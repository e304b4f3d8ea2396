# make lab     set up, start JupyterLab on the first notebook (ARGS=--headless: run it and print)
# make test    set up, then every test
# The rest is for contributors: see CONTRIBUTING.md.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ARGS   ?=

export CRLAB_DISPLAY ?=
export PYTHONDONTWRITEBYTECODE ?=
export JUPYTER_PLATFORM_DIRS := 1

.DEFAULT_GOAL := help
.PHONY: help lab test check fix notebooks bench soak docs binder screenshots

help:  ## show this menu
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "crlab needs Python 3.11 or newer; say PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

lab: $(READY)  ## JupyterLab on the first notebook, embedded server included
	$(BIN)/python -m crlab lab $(ARGS)

test: check  ## every test, the notebooks under nbval included
	$(BIN)/python -m pytest tests
	CRLAB_DISPLAY=html $(BIN)/python -m pytest -p no:randomly --nbval notebooks \
	  --nbval-sanitize-with tests/notebooks/sanitize.cfg --nbval-cell-timeout 60 --timeout 300

check: $(READY)  ## format, lint, types, import contracts
	$(BIN)/ruff format --check crlab tests docs
	$(BIN)/ruff check crlab tests docs
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(READY)  ## format and mend what can be mended
	$(BIN)/ruff format crlab tests docs
	$(BIN)/ruff check --fix crlab tests docs

notebooks: $(READY)  ## execute the notebooks and store their outputs
	CRLAB_DISPLAY=html $(BIN)/python tests/notebooks/regenerate.py $(ARGS)

bench: $(READY)  ## measure: ratios side by side in one run
	$(BIN)/python -m pytest tests/bench -q -s -m bench --timeout 1200 $(ARGS)

soak: $(READY)  ## twenty minutes of random faults
	$(BIN)/python tests/faults/soak.py $(ARGS)

docs: $(READY)  ## render docs/ and the notebooks to site/
	$(BIN)/python docs/build.py

binder: $(READY)  ## install binder/ into a fresh environment and run notebook 00 there
	PYTHON=$(PYTHON) tests/notebooks/binder_job.sh

screenshots: $(READY)  ## take the pictures of docs/ in a real browser
	$(BIN)/python tests/browser/screenshots.py
