# make demo   the whole pipeline from nothing: needs Python 3.11+ and a package registry
# make test   the tests; with KADR_DATA set to the data folder, those on the real archive too
# make test-extras  the tests of the extras, in venvs of their own: gigabytes
# make check-dist    builds the packages, and runs tests on the wheel in a venv of its own
# make check-deploy  what runs a service (Dockerfile, proxies), by its own checkers
# make docs   the documentation's site, in site/; with KADR_DATA set, the study on the real archive too
# make check  what CI runs: formatting, lint, types, layers
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/installed

.PHONY: demo test test-extras docs check check-deploy check-dist clean

demo: $(STAMP)
	$(BIN)/kadr demo --out demo

# One process more than there are cores: some tests wait, for browsers and servers.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $$($(BIN)/python -c 'import os; print(1 + os.cpu_count())') --dist worksteal

# `faces` wants older onnxruntime and pillow than `research` may bring: each has its venv.
test-extras: .venv-research/installed .venv-faces/installed .venv-cluster/installed .venv-ocr/installed
	OMP_NUM_THREADS=1 .venv-research/bin/python -m pytest -q tests/encoders tests/contracts tests/data tests/cli/test_main.py tests/study/test_compare.py
	OMP_NUM_THREADS=1 .venv-faces/bin/python -m pytest -q tests/law/test_faces.py tests/law/test_assessor.py
	OMP_NUM_THREADS=1 .venv-cluster/bin/python -m pytest -q tests/encoding
	OMP_NUM_THREADS=1 .venv-ocr/bin/python -m pytest -q tests/photos/test_rapidocr.py tests/photos/test_ocr.py tests/cli/test_ocr_cli.py

.venv-%/installed: pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-$*/bin/python -m pip install --quiet --editable ".[study,$*]" --group dev
	touch $@

# mkdocs reads the code without importing it, so kadr's own dependencies aren't needed. With KADR_DATA
# the study is run on the real archive too: pages with its photos, in site/notebooks, minutes each.
docs: .venv-docs/installed $(if $(KADR_DATA),$(STAMP))
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build
	$(if $(KADR_DATA),$(BIN)/python recipes/notebook.py --render "$(KADR_DATA)/search_by_query" --out site/notebooks)

.venv-docs/installed: pyproject.toml
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-docs/bin/python -m pip install --quiet --group docs
	touch $@

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests import what the wheel installed: nothing of src is on their path.
DIST_TESTS ?= tests/cli tests/library tests/stores
check-dist: $(STAMP)
	$(BIN)/python -m pip install --quiet --group dist
	rm -rf dist .venv-dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-dist/bin/python -m pip install --quiet "$$(echo dist/*.whl)"
	.venv-dist/bin/kadr doctor
	.venv-dist/bin/python -m pip install --quiet "$$(echo dist/*.whl)[study]" --group dev
	OMP_NUM_THREADS=1 .venv-dist/bin/python -m pytest -q -n auto $(DIST_TESTS)

check-deploy: $(STAMP)
	$(BIN)/python -m pip install --quiet --group deploy
	$(BIN)/python -m pytest -q tests/test_deploy.py

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "kadr needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[study]" --group dev
	touch $@

clean:
	rm -rf dist .venv-dist $(VENV) .venv-research .venv-faces .venv-cluster .venv-docs demo site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
