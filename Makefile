# Every target sets up .venv by itself; a stamp file says when that has to be done again.
# Another interpreter: make PYTHON=python3.12 ...

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

is_new := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach name,python3 python python3.14 python3.13 python3.12 python3.11,\
	$(shell $(name) -c '$(is_new)' >/dev/null 2>&1 && echo $(name))))

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install -qq --constraint constraints.txt
# One thread a process: two test processes share the machine, and small tensors gain nothing.
# Compiled code is kept, whatever the machine's habit: the tests start Glial some hundred times.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest
WORKERS ?= 2
# Shapes that annotations promise are checked in the fast tests of networks: that adds half to a
# training's time, and where users' data comes in it would hide what is not refused without it.
SHAPES := --jaxtyping-packages=glial.functional,glial.models,glial.nn,glial.objectives,beartype.beartype
FAST := $(PYTEST) $(SHAPES) -m "not slow" -n $(WORKERS) --dist worksteal
SLOW := $(PYTEST) -m slow -n $(WORKERS) --dist worksteal
DATA := breast-cancer

.PHONY: help demo dev quick test check format docs names clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Glial needs Python 3.11 or newer. Do: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make a virtual environment with $(PYTHON). Do: install its venv module (on Debian: python3-venv)" >&2; rm -rf $(VENV); exit 2; }

# The build tool is installed from the same constraints, not freshly chosen by every build.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Glial into $(VENV) (torch is large: some minutes the first time)" >&2
	@$(INSTALL) hatchling editables
	@$(INSTALL) --no-build-isolation --editable '.[vision]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.demo
	@echo "installing the tools for development into $(VENV)" >&2
	@$(INSTALL) hatchling editables
	@$(INSTALL) --no-build-isolation --editable '.[dev]'
	@touch $(VENV)/.demo $@

# Tests of pages open them in a Chromium; where none can be had they are skipped, and say so.
$(VENV)/.browser: tools/install_browser.py | $(VENV)/.dev
	@$(BIN)/python tools/install_browser.py && touch $@ || true

demo: $(VENV)/.demo ## train on real data and show the result beside the trivial baseline
	@$(BIN)/glial train $(DATA)

dev: $(VENV)/.dev ## set up everything that development needs
	@echo "ready. Next: make check test" >&2

quick: $(VENV)/.dev ## the fast tests, under a minute
	@$(FAST) --hypothesis-profile=quick

test: $(VENV)/.dev $(VENV)/.browser ## the whole suite: tests, doctests, and every block of the documents
	@failed=0; $(FAST) || failed=$$?; $(SLOW) || failed=$$?; exit $$failed

check: $(VENV)/.dev ## lint, types, layers, spelling, pins
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell --dictionary - --dictionary .codespell-british.txt
	@$(BIN)/python tools/check_constraints.py
	@$(BIN)/towncrier build --draft >/dev/null

format: $(VENV)/.dev ## put the code in its standard form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev ## build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

names: $(VENV)/.dev ## write the frozen list of public names anew, to be read in the diff
	@$(BIN)/python tools/public_names.py > tests/surface/public_names.txt.new
	@mv tests/surface/public_names.txt.new tests/surface/public_names.txt

clean: ## remove everything that the targets above made, except runs/
	@rm -rf $(VENV) build dist site htmlcov .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
