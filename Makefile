# Two commands set up everything on a machine with Python 3.11 or newer and make:
#   make demo   runs the first notebook on a network of its own
#   make test   runs every test
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format bench conformance-mainnet clean

demo: .venv/demo
	$(BIN)/python notebooks/demo.py notebooks/first_cell.ipynb

test: .venv/test check
	$(BIN)/python -m pytest tests

check: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/test
	$(BIN)/python bench/first_cell.py
	$(BIN)/python bench/start.py

# Compares our rules with programs of mainnet: JOBS=file STAKE=file REWARDS=file, or PROGRAMS=folder.
# Without any it says how to get them.
conformance-mainnet: .venv/test
	$(BIN)/python tests/conformance_mainnet/compare.py $(if $(PROGRAMS),--programs $(PROGRAMS)) \
	  $(if $(JOBS),--jobs $(JOBS)) $(if $(STAKE),--stake $(STAKE)) $(if $(REWARDS),--rewards $(REWARDS))

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/demo: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	touch $@

.venv/test: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
