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

.PHONY: demo test check format bench images lock conformance-mainnet clean

demo: .venv/demo
	$(BIN)/python notebooks/demo.py notebooks/first_cell.ipynb

# These mostly wait, for what was killed and for Node: they run beside the others.
APART := tests/chaos tests/conformance tests/conformance_mainnet

test: .venv/test check
	@$(BIN)/python -m pytest $(APART) >.venv/apart.log 2>&1 & apart=$$!; \
	$(BIN)/python -m pytest tests $(APART:%=--ignore=%); status=$$?; \
	wait $$apart; beside=$$?; cat .venv/apart.log; \
	[ $$beside = 0 ] || [ $$beside = 5 ] || status=$$beside; exit $$status

check: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One measure alone: make bench MEASURE=lines
bench: .venv/bench
	$(BIN)/python bench/table.py $(MEASURE)
	$(if $(MEASURE),,$(BIN)/python bench/first_cell.py)
	$(if $(MEASURE),,$(BIN)/python bench/start.py)
	$(if $(MEASURE),,$(BIN)/python bench/feedback.py)
	$(if $(MEASURE),,$(BIN)/python bench/scale.py)
	@echo "With Docker: $(BIN)/python bench/containers.py --image $(TAG), after make images"

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

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
