# `make help` lists the targets. Every target makes the virtual environment it needs.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help serve migrate test check train teachers judges golden

help:  ## list the targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: [^#]*##/\t/' | expand -t 10

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

check: .venv/test.stamp  ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

# Teachers and judges have their own environments: what they need is no part of the server.
TEACHERS := train/work/venv
KOKORO_JS := kokoro-js@1.2.1

$(TEACHERS)/teachers.stamp: train/requirements.txt
	$(PYTHON) -m venv $(TEACHERS)
	$(TEACHERS)/bin/python -m pip install --quiet --disable-pip-version-check -r train/requirements.txt
	mkdir -p train/work/teachers
	cd train/work/teachers && tar xzf "$$(npm pack --silent $(KOKORO_JS))" package/voices package/LICENSE
	@touch $@

teachers: $(TEACHERS)/teachers.stamp  ## let the neural teachers speak (hours; resumable): speech to train on
	$(TEACHERS)/bin/python -m train.teach $(ARGS)

.judges-venv/judges.stamp: bench/requirements-judges.txt
	$(PYTHON) -m venv .judges-venv
	.judges-venv/bin/python -m pip install --quiet --disable-pip-version-check -r bench/requirements-judges.txt
	.judges-venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps speechmos==0.0.1.1
	@touch $@

judges: .judges-venv/judges.stamp  ## make the environment of the judges that bench.quality asks

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
