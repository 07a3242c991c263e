"""Read the published codec's weights in transformers' layout, boson's original one, or from a v3 checkpoint.

Training-only tensors are dropped, and weight norms (direction and length of each weight) are fused.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub.errors import StrictDataclassError

from audio.frames import HOP, SAMPLE_RATE
from errors import StartError
from higgs.codecs.higgs_v2 import boson_layout
from higgs.codecs.higgs_v2.network import CodecNetwork
from higgs.model.weights import (
    SUFFIXES,
    Uninitialised,
    compare,
    names_in,
    read_json,
    read_weights,
    weight_files,
)

if TYPE_CHECKING:
    from transformers import HiggsAudioV2TokenizerConfig

Tensors = dict[str, torch.Tensor]

NATIVE_MODEL_TYPE = "higgs_audio_v2_tokenizer"
BOSON_QUANTIZER = "quantizer.vq.layers."
INNER_CODEC = "tied.embedding.modality_embeddings.0.model."  # prefix of the codec in v3's weights

TRAINING_ONLY = ("decoder_semantic.", "fc_post1.", "fc1.", "semantic_model.masked_spec_embed")
TRAINING_STATISTICS = (".inited", ".cluster_size", ".embed_avg")
# Direction and length, by older and newer torch's names.
WEIGHT_NORMS = (
    (".weight_v", ".weight_g"),
    (".parametrizations.weight.original1", ".parametrizations.weight.original0"),
)


def load_network(folder: Path) -> CodecNetwork:
    """Load the codec of a folder, float32 on the CPU.

    Raises:
        StartError: tensors are missing, unexpected or of the wrong shape.
    """
    config, tensors = read_native(folder)
    with torch.device("meta"), Uninitialised():
        network = CodecNetwork(parse_config(folder, config))
    compare(folder, network.state_dict(), tensors)
    network.load_state_dict(tensors, assign=True)
    return network


def read_native(folder: Path) -> tuple[dict[str, Any], Tensors]:
    """Return the config and tensors of a folder in any layout, in transformers' form.

    Tensor names decide what a folder contains, not its config.json: the hub's repository was rewritten step
    by step, and for a time had transformers' config, the language model's safetensors and the codec in
    boson's model.pth.
    """
    config = read_json(folder / "config.json")
    suffix, prefix, is_boson = find_quantizer(folder)
    tensors = inference_tensors(read_weights(folder, prefix, [suffix]))
    try:
        if is_boson:
            tensors = boson_layout.to_native(tensors, boson_layout.count_strides(tensors))
        if config.get("model_type") == NATIVE_MODEL_TYPE:
            return config, tensors
        known = config if "ratios" in config else boson_layout.widths(tensors)
        return boson_layout.native_config(known, tensors), tensors
    except KeyError as error:
        raise StartError(
            f"The codec in {folder} lacks {error} in its config.json or weights. Download it again."
        ) from error


def find_quantizer(folder: Path) -> tuple[str, str, bool]:
    """Find the codec in a folder.

    Returns:
        The suffix of its files, the prefix of its tensors' names, and whether the names are boson's.

    Raises:
        StartError: no file has a codec.
    """
    for suffix in SUFFIXES:
        names = [name for path in weight_files(folder, suffix) for name in names_in(path)]
        for prefix in ("", INNER_CODEC):
            if any(name.startswith(f"{prefix}quantizer.") for name in names):
                return suffix, prefix, any(name.startswith(prefix + BOSON_QUANTIZER) for name in names)
    raise StartError(
        f"The weights in {folder} don't contain a Higgs Audio codec: no tensor is named quantizer. "
        "Set HIGGS_CODEC to the codec's folder or hub id."
    )


def parse_config(folder: Path, config: dict[str, Any]) -> "HiggsAudioV2TokenizerConfig":
    """Parse the config. Raises StartError if it is invalid, or not for 24 kHz and 25 frames per second."""
    # A second of a start to import, which the bundled model's codec is spared.
    from transformers import HiggsAudioV2TokenizerConfig

    try:
        parsed = HiggsAudioV2TokenizerConfig.from_dict(config)
    except (StrictDataclassError, TypeError, ValueError, AttributeError) as error:
        raise StartError(f"Can't use {folder}/config.json: {error}. Download the codec again.") from error
    if (parsed.sample_rate, parsed.hop_length) != (SAMPLE_RATE, HOP):
        raise StartError(
            f"The codec in {folder} has {parsed.sample_rate} Hz and {parsed.hop_length} samples per frame, "
            f"but the model needs {SAMPLE_RATE} Hz and {HOP}. Set HIGGS_CODEC to another one."
        )
    return parsed


def inference_tensors(tensors: Iterable[tuple[str, torch.Tensor]]) -> Tensors:
    """Return float32 tensors without training-only ones, with weight norms fused."""
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
    """Return a weight-normed layer's weight: scaled unit vectors along the axes where `length` has size 1."""
    axes = [axis for axis, size in enumerate(length.shape) if size == 1]
    return direction * (length / torch.linalg.vector_norm(direction, dim=axes, keepdim=True))
