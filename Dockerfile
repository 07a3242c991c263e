# The voice server in a container, for a CPU or, with --build-arg DEVICE=cuda, for NVIDIA's GPUs:
#
#   docker build -t higgs-voice .
#   docker run --rm -p 127.0.0.1:8000:8000 -v higgs-data:/data higgs-voice
#
# With CUDA, `docker run --gpus all …`; PyTorch's packages bring CUDA's libraries, the host its driver.
FROM python:3.11-slim-bookworm

ARG DEVICE=cpu

WORKDIR /app
COPY requirements.lock requirements-cuda.lock ./
# PyPI's torch carries CUDA; the one for a CPU comes from PyTorch's own index, in the same version. The locks name every
# package, and pip refuses what isn't as hashed. Triton makes the GPU's kernels at the first start, and needs gcc for it.
RUN install="pip install --no-cache-dir --no-deps --require-hashes" \
 && case "$DEVICE" in \
      cpu) $install --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.lock ;; \
      cuda) apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -r /var/lib/apt/lists/* \
        && $install -r requirements.lock && $install -r requirements-cuda.lock ;; \
      *) echo "DEVICE is cpu or cuda, not $DEVICE" >&2; exit 1 ;; \
    esac \
 && python -c 'import torch'

COPY . .
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin higgs && install -d -o higgs -g higgs /data

# Voices, what is fetched from the Hugging Face hub, and what is compiled at the first start.
ENV HIGGS_HOST=0.0.0.0 HIGGS_DATA_DIR=/data HF_HOME=/data/hub NUMBA_CACHE_DIR=/data/numba TRITON_CACHE_DIR=/data/triton PYTHONUNBUFFERED=1
VOLUME /data
USER higgs
EXPOSE 8000

# The first start with CUDA fetches the published model.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15m --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"HIGGS_PORT\", 8000)}/health', timeout=4)"]

ENTRYPOINT ["python", "app.py"]
