"""The recorded values of make_lm_golden.py."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

HERE = Path(__file__).parent


def load_golden() -> dict[str, torch.Tensor]:
    return load_file(HERE / "lm_boson.safetensors")


def boson_config() -> dict:
    """The config.json that boson's own class wrote."""
    return json.loads((HERE / "lm_boson_config.json").read_text("utf-8"))


def boson_names() -> list[str]:
    """The names of all tensors in boson's layout."""
    with safe_open(HERE / "lm_boson.safetensors", framework="pt") as file:
        return json.loads(file.metadata()["boson_names"])
