"""Reading the published codec's weights, in transformers' layout, in boson's original one, or within v3's.

What only training needs is left behind, and weight norms (a direction and a length of each weight) are fused.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import HiggsAudioV2TokenizerConfig

from audio.frames import HOP, SAMPLE_RATE
from errors import StartError
from higgs.codecs.higgs_v2 import boson_layout
from higgs.codecs.higgs_v2.network import CodecNetwork
from higgs.model.weights import compare, read_json, read_tensors, read_weights

Tensors = dict[str, torch.Tensor]

NATIVE_MODEL_TYPE = "higgs_audio_v2_tokenizer"
V3_MODEL_TYPE = "higgs_multimodal_qwen3"
INNER_CODEC = "tied.embedding.modality_embeddings.0.model."  # where v3's weights hold the codec's

TRAINING_ONLY = ("decoder_semantic.", "fc_post1.", "fc1.", "semantic_model.masked_spec_embed")
TRAINING_STATISTICS = (".inited", ".cluster_size", ".embed_avg")
# Direction and length, as older and newer versions of torch name them.
WEIGHT_NORMS = (
    (".weight_v", ".weight_g"),
    (".parametrizations.weight.original1", ".parametrizations.weight.original0"),
)


def load_network(folder: Path) -> CodecNetwork:
    """The codec of a folder, float32 on the CPU; StartError if anything is missing, left over or unfit."""
    config, tensors = read_native(folder)
    with torch.device("meta"):
        network = CodecNetwork(parse_config(folder, config))
    compare(folder, network.state_dict(), tensors)
    network.load_state_dict(tensors, assign=True)
    return network


def read_native(folder: Path) -> tuple[dict[str, Any], Tensors]:
    """The config and the tensors of a folder in any layout, in transformers' form."""
    config = read_json(folder / "config.json")
    if config.get("model_type") == V3_MODEL_TYPE:
        return read_inner(folder)
    if config.get("model_type") == NATIVE_MODEL_TYPE:
        return config, inference_tensors(read_weights(folder))
    if "ratios" not in config:
        raise StartError(
            f"{folder}/config.json is not that of a Higgs Audio codec: neither the model_type "
            f"{NATIVE_MODEL_TYPE!r} nor boson's `ratios` stands in it. Choose another one with HIGGS_CODEC."
        )
    # The hub's repository once held the language model's safetensors beside the codec's model.pth.
    pth = folder / "model.pth"
    weights = read_tensors(pth).items() if pth.is_file() else read_weights(folder)
    tensors = boson_layout.to_native(inference_tensors(weights), len(config["ratios"]))
    try:
        return boson_layout.native_config(config, tensors), tensors
    except KeyError as error:
        raise StartError(
            f"The codec in {folder} lacks {error} in its config.json or its weights. Download it again."
        ) from error


def read_inner(folder: Path) -> tuple[dict[str, Any], Tensors]:
    """The codec within the weights of a v3 model, whose config.json says nothing of it."""
    tensors = inference_tensors(read_weights(folder, INNER_CODEC))
    if not tensors:
        raise StartError(f"The weights in {folder} hold no codec. Name one with HIGGS_CODEC.")
    try:
        return boson_layout.native_config(boson_layout.widths(tensors), tensors), tensors
    except KeyError as error:
        raise StartError(
            f"The codec in the weights of {folder} lacks {error}. Download them again."
        ) from error


def parse_config(folder: Path, config: dict[str, Any]) -> HiggsAudioV2TokenizerConfig:
    """StartError if the config is broken, or not of a codec for 24 kHz and 25 frames a second."""
    try:
        parsed = HiggsAudioV2TokenizerConfig.from_dict(config)
    except (StrictDataclassError, TypeError, ValueError, AttributeError) as error:
        raise StartError(f"{folder}/config.json can't be used: {error}. Download the codec again.") from error
    if (parsed.sample_rate, parsed.hop_length) != (SAMPLE_RATE, HOP):
        raise StartError(
            f"The codec in {folder} has {parsed.sample_rate} Hz and {parsed.hop_length} samples a frame, "
            f"but the model speaks {SAMPLE_RATE} Hz and {HOP}. Choose another one with HIGGS_CODEC."
        )
    return parsed


def inference_tensors(tensors: Iterable[tuple[str, torch.Tensor]]) -> Tensors:
    """float32 tensors, less what only training needs, weight norms fused."""
    kept = {
        name: tensor.float()
        for name, tensor in tensors
        if not name.startswith(TRAINING_ONLY) and not name.endswith(TRAINING_STATISTICS)
    }
    for direction, length in WEIGHT_NORMS:
        for layer in [name.removesuffix(direction) for name in kept if name.endswith(direction)]:
            if layer + length in kept:
                kept[layer + ".weight"] = fuse(kept.pop(layer + direction), kept.pop(layer + length))
    return kept


def fuse(direction: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """The weight of a normed layer: scaled unit vectors along the axes on which `length` has size 1."""
    axes = [axis for axis, size in enumerate(length.shape) if size == 1]
    return direction * (length / torch.linalg.vector_norm(direction, dim=axes, keepdim=True))
