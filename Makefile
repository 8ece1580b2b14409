# Everything runs in .venv, installed from pyproject.toml with the pins of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test runtimes check format docs bench fuzz soak versions audit release clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: .venv/with-tests  ## create .venv and install linexport with its test tools

.venv/plain: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/with-tests: .venv/plain
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

demo: .venv/plain  ## train the textbook example, export it, prove parity, print the report
	$(BIN)/linexport train-and-export --overwrite
	@echo 'To use it in this shell: source .venv/bin/activate'

test: setup check  ## every check: format, lint, types, tests
	$(BIN)/pytest --numprocesses auto --dist worksteal

runtimes:  ## what tests of the examples in JavaScript need beside Node.js; without it they are skipped
	npm install --prefix examples/runtimes --ignore-scripts --no-audit --no-fund --no-package-lock

check: setup  ## format, lint and strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup  ## rewrite the sources in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup  ## the documentation as a site, in build/docs; fails on a dead link within it
	$(BIN)/sphinx-build -q -W --keep-going docs build/docs

bench: setup  ## every benchmark, each failing when its target is missed; ROUNDS=1 for the short form; serving needs wrk
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	status=0; for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || status=1; done; exit $$status

SECONDS := 60
fuzz: setup  ## coverage-guided fuzzing of every reader for SECONDS=60 of processor time each, every bit of a bundle flipped (FLIPS=500: so many), odd numbers in Parquet; a fault's input is kept in build/fuzz
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	PYTHONPATH=tests $(BIN)/python -m hostile.bit_flips $(FLIPS)
	PYTHONPATH=tests $(BIN)/python -m hostile.odd_parquet
	PYTHONPATH=tests $(BIN)/python -m hostile.fuzz --seconds $(SECONDS)

soak: setup  ## writers that are killed, refused and starved, 100 million rows, a server among crowds; FORM=--short for the short form
	$(BIN)/python tests/soak/soak_writers.py $(FORM)
	$(BIN)/python tests/soak/many_rows.py $(FORM)
	$(BIN)/python benchmarks/serving_soak.py --workers 2 --reload --attack $(FORM)

versions: setup  ## the lowest and the newest dependencies allowed, each in its own environment; needs the network and 10 GB
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/versions.py

audit: setup  ## known vulnerabilities of the versions in constraints.txt; asks the package index
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

release: setup  ## sdist, wheel and bill of materials in dist/, if two builds are the same bytes; needs the network
	$(BIN)/python tools/release.py

clean:  ## remove what setup and the tools made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
