# The one interface: CI calls the same targets. A newcomer needs only `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := $(VENV)/.packages
STAMP := $(VENV)/.installed
TRAIN_STAMP := $(VENV)/.installed-train
# The version that pyproject.toml's extra `train` names; requirements.lock has the rest of that extra. The CPU build is
# taken if one of pip's indexes has it, else that of PyPI, with CUDA: on a machine without a GPU, name an index of CPU
# builds in PIP_INDEX_URL. requirements-train.lock has the hashes of PyPI, and of the CPU build for Python 3.11 on x86_64.
# For another build, add its hash there.
TORCH ?= torch==2.13.0
PIP_TRAIN := $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -c requirements-train.lock

.PHONY: setup setup-train wheel demo demo-model demo-assistant demo-gaming test test-slow fuzz lint audit sbom docs bench bench-peer lock clean

setup: $(STAMP)

$(PACKAGES): requirements.lock
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo 'Installing into $(VENV): 2.4 GB, about a minute…'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $(PACKAGES)

# Builds the kernels into native/, and makes the packages importable where they are. A machine without a C++ compiler gets
# one from the package index.
$(STAMP): $(PACKAGES) pyproject.toml setup.py $(wildcard native/*.py native/*.txt native/src/*)
	command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { \
	  echo 'There is no C++ compiler. Installing one into $(VENV) (ziglang, 400 MB). The first build takes four minutes…'; \
	  $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-compiler.lock; }
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

setup-train: $(TRAIN_STAMP)

$(TRAIN_STAMP): $(STAMP) requirements-train.lock
	$(PIP_TRAIN) '$(TORCH)+cpu' 2>/dev/null || $(PIP_TRAIN) '$(TORCH)'
	touch $(TRAIN_STAMP)

# A wheel that needs no compiler, for the Python of .venv and every Linux since glibc 2.17.
wheel: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-compiler.lock
	rm -rf build/wheel && mkdir -p build/wheel
	CXX='$(CURDIR)/$(BIN)/python -m ziglang c++ -target $(shell uname -m)-linux-gnu.2.17' \
	  SKBUILD_BUILD_DIR=build/wheel/native $(BIN)/pip wheel --quiet --no-deps --no-build-isolation -w build/wheel .
	$(BIN)/python -m wheel tags --remove --platform-tag manylinux_2_17_$(shell uname -m) build/wheel/*.whl

demo: $(STAMP)
	rm -rf demo && mkdir demo
	$(BIN)/corpus sample -o demo/sample.warc.gz
	$(BIN)/corpus build demo/sample.warc.gz -o demo/out
	$(BIN)/corpus verify demo/out --inputs demo/sample.warc.gz
	$(BIN)/corpus report demo/out
	@echo 'Look at demo/out/: corpus/ has the text, ledger/ has one row per record, run.json says what ran.'
	@echo 'Open demo/out/report.html in a browser. Ask about a page: $(BIN)/corpus explain demo/out URL'

# Sample crawl → text → tokens → a small model → generated text. Takes under three minutes on two cores.
demo-model: $(TRAIN_STAMP)
	rm -rf demo-model && mkdir demo-model
	$(BIN)/corpus sample -o demo-model/sample.warc.gz --pages 1200
	$(BIN)/corpus build demo-model/sample.warc.gz -o demo-model/out --workers 2
	$(BIN)/corpus tokenizer train demo-model/out -o demo-model/tok --vocab-size 1024
	$(BIN)/corpus tokenize demo-model/out -o demo-model/tokens --tokenizer demo-model/tok
	$(BIN)/corpus train demo-model/tokens -o demo-model/model --preset demo
	$(BIN)/corpus generate demo-model/model "The town council" -n 3 --max-tokens 60 --temperature 0.5
	$(BIN)/corpus generate demo-model/model "The town council" --show-probs --max-tokens 8

# Sample crawl → text → tokens → base model → assistant with tools → reinforcement. Takes nine minutes of CPU time on one
# core that has other work too, so less on two free cores.
demo-assistant: $(TRAIN_STAMP)
	rm -rf demo-assistant && mkdir demo-assistant
	$(BIN)/corpus sample -o demo-assistant/sample.warc.gz --pages 1200
	$(BIN)/corpus build demo-assistant/sample.warc.gz -o demo-assistant/out --workers 2
	$(BIN)/corpus tokenizer train demo-assistant/out -o demo-assistant/tok --vocab-size 1024
	$(BIN)/corpus tokenize demo-assistant/out -o demo-assistant/tokens --tokenizer demo-assistant/tok
	$(BIN)/corpus train demo-assistant/tokens -o demo-assistant/base --preset demo
	$(BIN)/corpus finetune demo-assistant/base sums-mixed tools self:0.2 -o demo-assistant/chat --examples 12000 --epochs 1
	$(BIN)/corpus reinforce demo-assistant/chat -o demo-assistant/better --task sums --steps 40
	$(BIN)/corpus chat demo-assistant/better "7, +5, *2, -3, +8, -6"
	$(BIN)/corpus chat demo-assistant/better "Calculate 1363 - 115 for me."
	$(BIN)/corpus chat demo-assistant/better "Say, what are you called?"
	@echo 'Talk with it in a browser: $(BIN)/corpus serve demo-assistant/better'

# A reward model is gamed, after `make demo-assistant`. Leaves a picture, in some ten minutes on two cores.
demo-gaming: $(TRAIN_STAMP)
	$(BIN)/python -m benchmarks.gaming demo-assistant/base demo-assistant/out -o demo-assistant/gaming

test: $(TRAIN_STAMP)
	$(BIN)/python -m pytest -q -n 3 --dist loadfile

# Takes hours, most of them for the soak test. Ends with the table of results, kept in build/reliability.json.
test-slow: $(TRAIN_STAMP)
	$(BIN)/python -m pytest -q -m slow --timeout 1800

# Sends mutated real pages through all stages and saves failing pages in build/fuzz.
MINUTES ?= 15
SEED ?= 1
fuzz: $(STAMP)
	$(BIN)/python -m tests.faults.fuzz --minutes $(MINUTES) --seed $(SEED)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror native/src/*.?pp tests/native/*.cpp
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

# Looks up known vulnerabilities of the locked versions. Fails if there are some, and with 75 if the service can't be
# reached.
audit: sbom
	$(BIN)/python .ci/audit.py requirements.lock build/audit.json

# The software bill of materials, as CycloneDX.
sbom: $(STAMP)
	mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.json

docs: $(STAMP)
	mkdir -p build
	$(BIN)/corpus stages --markdown > build/filters.md
	mv build/filters.md docs/filters.md

# Compares with datatrove, which gets its own environment. Takes about 30 minutes on an idle machine.
bench-peer: $(STAMP)
	$(BIN)/python -m benchmarks.vs_datatrove

bench: $(STAMP)
	$(BIN)/python -m benchmarks.stages

# Writes exact versions with hashes, from the lower bounds in pyproject.toml.
lock:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r .ci/pip-tools.txt
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --extra dev -o requirements.lock pyproject.toml
	printf 'ziglang\nwheel\n' | $(BIN)/pip-compile --quiet -c requirements.lock --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o requirements-compiler.lock -
	echo '$(TORCH)' | $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -c requirements.lock -o requirements-train.lock -

clean:
	rm -rf $(VENV) demo demo-model demo-assistant
