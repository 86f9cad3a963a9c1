PYTHON ?= python3
CUDA ?= 12
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
NEWEST := .venv-newest
# The first pip that installs dependency groups.
PIP := 'pip>=25.1'
PARALLEL := -n auto --dist worksteal
# For each dependency group, and for an extra, one stamp, which is made anew when the package's metadata change.
INSTALLED = $(VENV)/.installed-$(1)

.PHONY: demo test test-slow test-all test-oldest test-newest test-gpu cuda-check check docs bench wheel clean

demo: $(call INSTALLED,base)  ## train, search, save, load and predict on scikit-learn's digits; then a table with categories and gaps
	$(BIN)/python examples/digits_grid_search.py
	$(BIN)/python examples/raw_table.py

test: $(call INSTALLED,test)  ## the fast suite, in five to eight minutes
	$(BIN)/python -m pytest $(PARALLEL)

test-slow: $(call INSTALLED,test)  ## the slow tests: more cases of what the fast suite samples, and what takes long
	$(BIN)/python -m pytest $(PARALLEL) -m slow

test-all: $(call INSTALLED,test)  ## all tests except those for a GPU
	$(BIN)/python -m pytest $(PARALLEL) -m 'not gpu'

test-oldest: $(OLDEST)/.installed  ## the fast suite with the lowest versions that pyproject.toml declares, on Python 3.11
	$(OLDEST)/bin/python -m pytest $(PARALLEL)

test-newest:  ## what depends on scikit-learn the most, with its newest version, which can be a pre-release
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --upgrade $(PIP)
	$(NEWEST)/bin/python -m pip install --quiet --editable . --group test
	$(NEWEST)/bin/python -m pip install --quiet --upgrade --pre --no-deps scikit-learn
	$(NEWEST)/bin/python -c 'import sklearn; print("scikit-learn", sklearn.__version__)'
	$(NEWEST)/bin/python -m pytest $(PARALLEL) tests/scikit_learn tests/fitted_models tests/training/test_callbacks.py

test-gpu: $(call INSTALLED,test) $(call INSTALLED,cuda$(CUDA))  ## tests on an NVIDIA GPU; with a driver of CUDA 13: CUDA=13
	$(BIN)/python -m pytest -m gpu

cuda-check: $(call INSTALLED,cuda-check)  ## install what "make test-slow" needs to compile the GPU's kernels without a GPU

check: $(call INSTALLED,dev)  ## lint, formatting, types, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

docs: $(call INSTALLED,docs)  ## the site, into docs/_build/html; runs the gallery's examples
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html

bench: $(call INSTALLED,bench)  ## all benchmarks, against scikit-learn and, where installed, PyTorch, JAX, skorch and Keras
	$(BIN)/python benchmarks/report.py

wheel: $(BIN)/python  ## a file to install elsewhere, into dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf dist $(VENV) $(OLDEST) $(NEWEST) demo_output docs/_build docs/gallery docs/generated

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("sklearn_mlp needs Python 3.11 or newer: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-base: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-cuda$(CUDA): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[cuda$(CUDA)]'
	touch $@

$(VENV)/.installed-%: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade $(PIP)
	$(BIN)/python -m pip install --quiet --editable . --group $*
	touch $@

# Each "name>=version" is pinned to name==version. Matplotlib 3.10.0 calls what later versions of pyparsing deprecate.
$(OLDEST)/.installed: pyproject.toml
	python3.11 -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade $(PIP)
	(grep -oE '"[a-z0-9-]+>=[0-9.]+' pyproject.toml | sed 's/"//; s/>=/==/'; echo 'pyparsing<3.3') > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --constraint $(OLDEST)/constraints.txt --editable . --group test
	touch $@
