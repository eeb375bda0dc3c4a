# One interface: CI calls the same targets. `make demo` and `make test` are all that a newcomer needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test test-slow lint docs bench bench-peer lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

demo: $(STAMP)
	rm -rf demo && mkdir demo
	$(BIN)/corpus sample -o demo/sample.warc.gz
	$(BIN)/corpus build demo/sample.warc.gz -o demo/out
	$(BIN)/corpus verify demo/out --inputs demo/sample.warc.gz
	@echo 'Look at demo/out/: corpus/ is the text, ledger/ says what became of every record, run.json what ran.'
	@echo 'Ask why a page is not in the corpus: $(BIN)/corpus explain demo/out URL'

test: $(STAMP)
	$(BIN)/python -m pytest -q

test-slow: $(STAMP)
	$(BIN)/python -m pytest -q -m slow --timeout 1800

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/corpus stages --markdown > docs/filters.md

# beside datatrove, in an environment of its own: some 30 minutes on an idle machine
bench-peer: $(STAMP)
	$(BIN)/python -m benchmarks.vs_datatrove

bench: $(STAMP)
	$(BIN)/python -m benchmarks.stages

# exact versions with hashes, from the lower bounds in pyproject.toml
lock:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --extra dev -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) demo
