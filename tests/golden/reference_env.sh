#!/bin/sh
# Makes .reference-venv, in which boson-multimodal 0.1.1 imports and runs beside a CPU build of torch 2.13.
#
#   sh tests/golden/reference_env.sh
#   .reference-venv/bin/python -c "import boson_multimodal.serve.serve_engine"
#
# torchvision stays out: it does not load beside a CPU build. torchaudio loses its compiled part, which does not load
# either; all that is used of it, functional.resample, is pure torch. The same torchaudio alone, in
# .reference-venv/torchaudio-only, lets the server's own environment construct transformers' codec class:
#
#   PYTHONPATH=.reference-venv/torchaudio-only .venv/bin/python -m tests.golden.make_codec_golden_native
set -eu
cd "$(dirname "$0")/../.."
venv=.reference-venv
"${PYTHON:-python3}" -m venv "$venv"
# torch first and by itself, in the build that pip finds here; the lock names all the rest.
"$venv/bin/pip" install -q "$(grep '^torch==' requirements-reference.txt)"
"$venv/bin/pip" install -q --no-deps --require-hashes -r requirements-reference.lock
packages=$("$venv/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
rm -rf "$packages/torchaudio/lib" "$venv/torchaudio-only"
mkdir "$venv/torchaudio-only"
cp -r "$packages"/torchaudio "$packages"/torchaudio-*.dist-info "$venv/torchaudio-only"
"$venv/bin/python" -c "import boson_multimodal.serve.serve_engine; print('boson-multimodal imports')"
