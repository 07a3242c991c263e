# `make help` lists the targets. Every target makes the virtual environment it needs.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help serve migrate test test-cuda-shapes check train golden

help:  ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: [^#]*##/\t/' | expand -t 18

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
		"Python 3.11 or newer is needed; name one: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv

# The stamps make pip run only when a requirements file has changed.
.venv/serve.stamp: requirements.txt requirements-speakers.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-speakers.txt
	@touch $@

.venv/test.stamp: requirements-dev.txt .venv/serve.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

serve: .venv/serve.stamp  ## serve on HIGGS_HOST:HIGGS_PORT; make serve ARGS="--port 9000"
	$(BIN)/python app.py $(ARGS)

migrate: .venv/serve.stamp  ## bring the database of voices up to date; the server does so at start
	$(BIN)/python migrate.py $(ARGS)

# The models of the tests are so small that a second thread costs more than it brings.
test: export OMP_NUM_THREADS ?= 1
test: .venv/test.stamp  ## install what is needed and run all tests; ARGS go to pytest
	$(BIN)/python -m pytest -q $(ARGS)

# torch's CUDA build from PyPI (5 GB), in which the CUDA path runs on fake tensors: no GPU is needed.
.cuda-venv/test.stamp: requirements.txt
	$(PYTHON) -m venv .cuda-venv
	env -u PIP_FIND_LINKS PIP_CONFIG_FILE=/dev/null .cuda-venv/bin/python -m pip install --quiet \
		--disable-pip-version-check -r requirements.txt pytest==9.2.0
	@touch $@

test-cuda-shapes: .cuda-venv/test.stamp  ## run the CUDA path without a GPU, on fake tensors; ARGS go to pytest
	.cuda-venv/bin/python -m pytest -q --confcutdir=tests/cuda_shapes tests/cuda_shapes $(ARGS)

check: .venv/test.stamp  ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

train: .venv/serve.stamp  ## make the bundled model again from nothing (hours on a CPU)
	$(BIN)/python -m train.run $(ARGS)

# The reference packages' pins fight with the server's, so they live in an environment of their own.
.reference-venv/golden.stamp: requirements-reference.txt tests/golden/reference_env.sh
	sh tests/golden/reference_env.sh
	@touch $@

golden: .venv/serve.stamp .reference-venv/golden.stamp  ## record the golden values again from the reference packages
	.reference-venv/bin/python -m tests.golden.make_lm_golden
	.reference-venv/bin/python -m tests.golden.make_codec_golden
	PYTHONPATH=.reference-venv/torchaudio-only $(BIN)/python -m tests.golden.make_codec_golden_native
