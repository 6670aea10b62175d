# Two commands set up everything on a machine with Python 3.11 or newer and make:
#   make demo   runs the first notebook on a network of its own
#   make test   runs every test
# With Docker, `make images` builds a runner's image: see images/Dockerfile.
PYTHON ?= python3
BIN := .venv/bin

DOCKER ?= docker
IMAGE ?= cpu
MINOR = $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
BASE ?= docker.io/library/python:$(MINOR)-slim
TAG ?= nosana-runner:$(IMAGE)-$(MINOR)

.PHONY: demo test check format docs types labextension bench soak fuzz images lock conformance-mainnet clean

demo: .venv/demo
	$(BIN)/python notebooks/demo.py notebooks/first_cell.ipynb

# Most tests wait for processes: three run at a time where there are two processors.
test: .venv/test check
	$(BIN)/python -m pytest --numprocesses=$$(( ($$(nproc) * 3 + 1) / 2 )) --dist=loadfile tests

check: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What the server says, as the types of the sidebar.
types: .venv/test
	$(BIN)/python labextension/make_types.py

# The sidebar of JupyterLab, from TypeScript: what is built is committed, and users need no Node.
# Node comes with what tests need, or is the machine's own.
NODE := PATH="$(CURDIR)/$(BIN):$$PATH"

labextension: labextension/node_modules/.package-lock.json
	cd labextension && export $(NODE) && npx eslint src && npm run --silent build && node --test --test-reporter=dot $$(find lib -name '*.test.js')

labextension/node_modules/.package-lock.json: labextension/package-lock.json
	cd labextension && export $(NODE) && npm ci --ignore-scripts

# The reference, from options, settings, docstrings and errors.
docs: .venv/test
	$(BIN)/python docs/make.py

# One measure alone: make bench MEASURE=lines
bench: .venv/bench
	$(BIN)/python bench/table.py $(MEASURE)
	$(if $(MEASURE),,$(BIN)/python bench/first_cell.py)
	$(if $(MEASURE),,$(BIN)/python bench/start.py)
	$(if $(MEASURE),,$(BIN)/python bench/feedback.py)
	$(if $(MEASURE),,$(BIN)/python bench/scale.py)
	@echo "With Docker: $(BIN)/python bench/containers.py --image $(TAG), after make images"

# One reader of foreign bytes, or all in turn: make fuzz TARGET=cell SECONDS=600
fuzz: .venv/fuzz
	$(BIN)/python tests/fuzz/run.py '$(TARGET)' $(or $(SECONDS),60)

# Thousands of jobs with faults, and where all money is: make soak JOBS=10000 SEED=7
soak: .venv/test
	$(BIN)/python bench/soak.py $(JOBS:%=--jobs %) $(SEED:%=--seed %) $(MINUTES:%=--minutes %)

images:
	DOCKER_BUILDKIT=1 $(DOCKER) build --network=host --target $(IMAGE) --tag $(TAG) \
	  --build-arg BASE=$(BASE) $(PIP_CONF:%=--secret id=pip,src=%) $(CA:%=--secret id=ca,src=%) \
	  --build-arg VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' nosana_jupyter/__init__.py) images

lock: .venv/test
	cd images && for image in cpu cuda; do ../$(BIN)/uv pip compile --quiet --upgrade --universal \
	  --python-version 3.11 --no-annotate --no-header $$image.in -o $$image.txt; done

# Compares our rules with programs of mainnet: JOBS=file STAKE=file REWARDS=file, or PROGRAMS=folder.
# Without any it says how to get them.
conformance-mainnet: .venv/test
	$(BIN)/python tests/conformance_mainnet/compare.py $(if $(PROGRAMS),--programs '$(PROGRAMS)') \
	  $(if $(JOBS),--jobs '$(JOBS)') $(if $(STAKE),--stake '$(STAKE)') $(if $(REWARDS),--rewards '$(REWARDS)')

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

.venv/bench: .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@

.venv/fuzz: .venv/test
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	touch $@

clean:
	rm -rf .venv .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
