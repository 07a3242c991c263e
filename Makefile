# `make help` lists the targets. Every target makes the virtual environment it needs.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# The locks name every package, so pip has no dependencies to look for; what isn't as hashed is refused.
LOCKED := pip install --disable-pip-version-check --no-deps --require-hashes
INSTALL := $(BIN)/python -m $(LOCKED)

.DEFAULT_GOAL := help
.PHONY: help serve serve-cluster migrate test test-cluster test-cuda-shapes coverage check docs lock train teachers judges golden

help:  ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: [^#]*##/\t/' | expand -t 18

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
		"Python 3.11 or newer is needed; name one: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv

# Where hashes are asked for, pip takes a file whose hash its index tells before one of a folder of wheels, and so
# torch's CUDA build before a CPU build that is at hand. So torch is taken first, and its hash is looked up here.
TORCH := $(shell grep -o '^torch==[0-9.]*' requirements.lock)

# The stamps make pip run only when a lock has changed.
.venv/serve.stamp: requirements.lock requirements-cuda.lock | $(BIN)/python
	@echo "Installing the server's packages into .venv: 1 GB, or 5 GB with CUDA. This happens once."
	$(BIN)/python -m pip download --disable-pip-version-check --no-deps --dest .venv/torch $(TORCH)
	@$(BIN)/python -m pip hash .venv/torch/*.whl | grep -o 'sha256:[0-9a-f]*' | xargs -I{} grep -q {} requirements.lock \
		|| { echo "The hash of $(TORCH) is not in requirements.lock: run make lock" >&2; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps .venv/torch/*.whl
	@rm -r .venv/torch
	$(INSTALL) -r requirements.lock
	@if $(BIN)/python -c 'import sys; from importlib.metadata import version; sys.exit("+cpu" in version("torch"))'; \
		then $(INSTALL) -r requirements-cuda.lock; fi
	@touch $@

.venv/test.stamp: requirements-dev.lock .venv/serve.stamp
	$(INSTALL) -r requirements-dev.lock
	@touch $@

serve: .venv/serve.stamp  ## serve on HIGGS_HOST:HIGGS_PORT; make serve ARGS="--port 9000"
	$(BIN)/python app.py $(ARGS)

# Ray stands in an environment of its own, on top of .venv: who needs no cluster installs nothing for it.
.cluster-venv/serve.stamp: requirements-cluster.lock .venv/serve.stamp
	$(PYTHON) -m venv .cluster-venv
	@for bin in $(BIN) .cluster-venv/bin; do $$bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; done \
		| { read server; read cluster; echo "$$server" > "$$cluster/server.pth"; }
	.cluster-venv/bin/python -m $(LOCKED) -r requirements-cluster.lock
	@touch $@

serve-cluster: export RAY_USAGE_STATS_ENABLED ?= 0
serve-cluster: export HIGGS_REDIS_URL ?= redis://localhost:6379
serve-cluster: .cluster-venv/serve.stamp  ## serve by several replicas on Ray Serve: ARGS="--replicas 2"; needs a Redis
	.cluster-venv/bin/python -m deploy $(ARGS)

migrate: .venv/serve.stamp  ## bring the voice database up to date; the server does so at start
	$(BIN)/python migrate.py $(ARGS)

# A worker on each core and one more, since many tests wait; tests/scheduling.py says which tests stay together.
# The tests' models are so small that a second thread costs more than it brings.
WORKERS = $$(($$(getconf _NPROCESSORS_ONLN) + 1))
PYTEST = $(BIN)/python -m pytest -q --numprocesses $(WORKERS)
test coverage test-cuda-shapes: export OMP_NUM_THREADS ?= 1
# They start some forty processes, which all compile anew what Python may not keep.
test coverage test-cuda-shapes: export PYTHONDONTWRITEBYTECODE :=

test: .venv/test.stamp  ## install what is needed and run all tests; make test ARGS="tests/api -k voice"
	$(PYTEST) $(ARGS)

coverage: .venv/test.stamp  ## run all tests and list the lines that none of them reached
	$(PYTEST) --cov --cov-report=term-missing:skip-covered $(ARGS)

# torch's CUDA build from PyPI (5 GB), in which the CUDA path runs on fake tensors: no GPU is needed.
.cuda-venv/test.stamp: requirements.lock requirements-cuda.lock requirements-dev.lock
	$(PYTHON) -m venv .cuda-venv
	env -u PIP_FIND_LINKS PIP_CONFIG_FILE=/dev/null .cuda-venv/bin/python -m pip install --quiet \
		--disable-pip-version-check --no-deps --require-hashes $(addprefix -r ,$^)
	@touch $@

test-cuda-shapes: .cuda-venv/test.stamp  ## run the CUDA path without a GPU: fake tensors, kernels interpreted; ARGS go to pytest
	TRITON_INTERPRET=1 .cuda-venv/bin/python -m pytest -q --numprocesses auto --confcutdir=tests/cuda_shapes tests/cuda_shapes $(ARGS)

test-cluster: .cluster-venv/serve.stamp .venv/test.stamp  ## the tests of replicas on Ray Serve
	.cluster-venv/bin/python -m pytest -q tests/deploy $(ARGS)

check: .venv/test.stamp  ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

docs: .venv/serve.stamp  ## write the table of settings in docs/operations.md anew
	$(BIN)/python .ci/settings_table.py

lock: | $(BIN)/python  ## resolve requirements*.txt into requirements*.lock; ARGS=--upgrade for new versions
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/python .ci/lock.py $(ARGS)

# Teachers and judges have their own environments: what they need is no part of the server.
TEACHERS := train/work/venv
KOKORO_JS := kokoro-js@1.2.1

$(TEACHERS)/teachers.stamp: train/requirements.lock
	$(PYTHON) -m venv $(TEACHERS)
	$(TEACHERS)/bin/python -m $(LOCKED) --quiet -r $<
	mkdir -p train/work/teachers
	cd train/work/teachers && tar xzf "$$(npm pack --silent $(KOKORO_JS))" package/voices package/LICENSE
	@touch $@

teachers: $(TEACHERS)/teachers.stamp  ## let the neural teachers speak (hours; resumable): speech to train on
	$(TEACHERS)/bin/python -m train.teach $(ARGS)

.judges-venv/judges.stamp: bench/requirements-judges.lock
	$(PYTHON) -m venv .judges-venv
	.judges-venv/bin/python -m $(LOCKED) --quiet -r $<
	@touch $@

judges: .judges-venv/judges.stamp  ## make the environment of the judges that bench.quality asks

train: .venv/serve.stamp  ## make the bundled model again from nothing (hours on a CPU)
	$(BIN)/python -m train.run $(ARGS)

# The reference packages' pins conflict with the server's, so they live in an environment of their own.
.reference-venv/golden.stamp: requirements-reference.lock tests/golden/reference_env.sh
	sh tests/golden/reference_env.sh
	@touch $@

golden: .venv/serve.stamp .reference-venv/golden.stamp  ## record the golden values again from the reference packages
	.reference-venv/bin/python -m tests.golden.make_lm_golden
	.reference-venv/bin/python -m tests.golden.make_codec_golden
	PYTHONPATH=.reference-venv/torchaudio-only $(BIN)/python -m tests.golden.make_codec_golden_native
