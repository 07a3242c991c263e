"""A real HTTP server in a thread of this process, on a complete model of random weights."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import torch
import uvicorn
from fastapi import FastAPI
from safetensors.torch import load_file, save_file
from transformers import HiggsAudioV2TokenizerConfig

from api.serving import SOCKET_OPTIONS, proxy_options
from app import create_app
from higgs.codecs.higgs_v2.network import CodecNetwork
from settings import Settings
from tests.compiling import compiling
from tests.tiny import CONFIG, SERVED, write_tiny_model

CODEC = {
    "acoustic_model_config": {
        "model_type": "dac",
        "encoder_hidden_size": 8,
        "hidden_size": 16,
        "decoder_hidden_size": 32,
        "downsampling_ratios": [8, 5, 4, 2, 3],
        "upsampling_ratios": [8, 5, 4, 2, 3],
    },
    "semantic_model_config": {
        "model_type": "hubert",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "conv_dim": [16] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
    },
    "codebook_dim": 8,
    "codebook_size": 1024,
}


def write_whole_model(folder: Path) -> Path:
    """A model folder with a codec of the published architecture in it; return it."""
    write_tiny_model(folder, SERVED)
    config = HiggsAudioV2TokenizerConfig.from_dict(CODEC)
    torch.manual_seed(10)  # most seeds give so narrow a decoder a voice that is nearly silent
    weights = {name: tensor.contiguous() for name, tensor in CodecNetwork(config).state_dict().items()}
    (folder / "codec").mkdir()
    save_file(weights, folder / "codec" / "model.safetensors")
    (folder / "codec" / "config.json").write_text(json.dumps(config.to_dict()), "utf-8")
    return folder


def write_endless_model(folder: Path) -> Path:
    """A model that never ends by itself at temperature 0: its EOS has a logit of 0, and others are above."""
    write_whole_model(folder)
    weights = load_file(folder / "model.safetensors")
    weights["audio_lm_head.weight"][CONFIG.eos_code :: CONFIG.codebook_size] = 0
    save_file(weights, folder / "model.safetensors")
    (folder / "generation_config.json").write_text(
        json.dumps({"do_sample": False, "ras_win_len": 0}), "utf-8"
    )
    return folder


@dataclass(frozen=True)
class TinyServer:
    url: str
    app: FastAPI

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 300  # a first start compiles
        while httpx.get(f"{self.url}/health", timeout=300).status_code != 200:
            assert time.monotonic() < deadline, "the tiny model did not load"
            time.sleep(0.02)


@contextmanager
def ready(settings: Settings) -> Iterator[TinyServer]:
    """As serving, the model loaded."""
    with ExitStack() as stack:
        with compiling(settings.model):
            server = stack.enter_context(serving(settings))
            server.wait_until_ready()
        yield server


@contextmanager
def serving(settings: Settings) -> Iterator[TinyServer]:
    """The app over HTTP until the block ends; it may still be loading its model."""
    app = create_app(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            settings.host,
            0,
            log_level="warning",
            **proxy_options(settings.trusted_proxies),
            **SOCKET_OPTIONS,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield TinyServer(f"http://{settings.host}:{port}", app)
    finally:
        server.should_exit = True
        thread.join()
