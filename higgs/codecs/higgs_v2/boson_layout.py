"""Convert boson's original codec layout to transformers' names.

Its DAC consists of nested nn.Sequential, so only numbers identify the layers. Its config.json omits the
widths, which are read from the tensors.
"""

from typing import Any

import torch

from audio.frames import SAMPLE_RATE

Tensors = dict[str, torch.Tensor]

HUBERT_HEAD_DIM = 64
RESIDUAL_UNIT = ("snake1", "conv1", "snake2", "conv2")
NATIVE_PARTS = {
    "quantizer.vq.layers.": "quantizer.quantizers.",
    "._codebook.": ".codebook.",
    "fc_prior.": "fc.",
    "fc_post2.": "fc2.",
    ".conv.conv.": ".conv.",
    ".conv1.conv.": ".conv1.",
}


def to_native(tensors: Tensors, strides: int) -> Tensors:
    """Rename the tensors of a codec whose DAC has `strides` strides; weight norms are already fused."""
    acoustic = acoustic_names(
        "encoder.block", "acoustic_encoder", strides, ["unit"] * 3 + ["snake1", "conv1"]
    )
    acoustic |= acoustic_names(
        "decoder_2.model", "acoustic_decoder", strides, ["snake1", "conv_t1"] + ["unit"] * 3
    )
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, parameter = name.rpartition(".")
        name = f"{acoustic.get(layer, layer)}.{parameter}"
        for ours, native in NATIVE_PARTS.items():
            name = name.replace(ours, native)
        renamed[name] = tensor
    return renamed


def count_strides(tensors: Tensors) -> int:
    """Return the number of strides: the decoder is a convolution, a block per stride, a Snake, a convolution.

    Raises:
        KeyError: there is no decoder.
    """
    layers = {int(name.split(".")[2]) for name in tensors if name.startswith("decoder_2.model.")}
    if not layers:
        raise KeyError("decoder_2.model.0.weight")
    return max(layers) - 2


def acoustic_names(boson: str, native: str, strides: int, block: list[str]) -> dict[str, str]:
    """Map boson's names of an encoder's or decoder's layers to native ones; `block` is a block's layers."""
    names = {"0": "conv1", f"{strides + 1}": "snake1", f"{strides + 2}": "conv2"}
    for index in range(strides):
        for number, layer in enumerate(block):
            here = f"{index + 1}.block.{number}"
            if layer != "unit":
                names[here] = f"block.{index}.{layer}"
                continue
            unit = f"block.{index}.res_unit{number - block.index('unit') + 1}"
            names |= {f"{here}.block.{inner}": f"{unit}.{part}" for inner, part in enumerate(RESIDUAL_UNIT)}
    return {f"{boson}.{ours}": f"{native}.{theirs}" for ours, theirs in names.items()}


def widths(tensors: Tensors) -> dict[str, Any]:
    """Return the values of boson's config.json from native tensors. Raises KeyError if one is missing."""
    codebook = tensors["quantizer.quantizers.0.codebook.embed"]
    ratios: list[int] = []
    while (name := f"acoustic_encoder.block.{len(ratios)}.conv1.weight") in tensors:
        ratios.append(tensors[name].shape[-1] // 2)
    return {
        "sample_rate": SAMPLE_RATE,
        "bins": len(codebook),
        "codebook_dim": codebook.shape[1],
        "D": len(tensors["acoustic_encoder.conv2.weight"]),
        "ratios": ratios,
    }


def native_config(config: dict[str, Any], tensors: Tensors) -> dict[str, Any]:
    """Return transformers' config from boson's and the renamed tensors. Raises KeyError if one is missing."""
    return {
        "sample_rate": config["sample_rate"],
        "codebook_size": config["bins"],
        "codebook_dim": config["codebook_dim"],
        "acoustic_model_config": {
            "model_type": "dac",
            "hidden_size": config["D"],
            "downsampling_ratios": config["ratios"],
            "upsampling_ratios": config["ratios"],
            "encoder_hidden_size": len(tensors["acoustic_encoder.conv1.weight"]),
            "decoder_hidden_size": len(tensors["acoustic_decoder.conv1.weight"]),
        },
        "semantic_model_config": hubert_config(tensors),
    }


def hubert_config(tensors: Tensors) -> dict[str, Any]:
    """Return HuBERT's widths; everything else is as in HuBERT-base, on which boson's codec is based."""
    hubert = {
        name.removeprefix("semantic_model."): tensor
        for name, tensor in tensors.items()
        if name.startswith("semantic_model.")
    }
    filters = [
        name for name in hubert if name.startswith("feature_extractor.") and name.endswith("conv.weight")
    ]
    layers = {name.split(".")[2] for name in hubert if name.startswith("encoder.layers.")}
    hidden_size, group_size, kernel = hubert["encoder.pos_conv_embed.conv.weight"].shape
    return {
        "model_type": "hubert",
        "hidden_size": hidden_size,
        "num_attention_heads": hidden_size // HUBERT_HEAD_DIM,
        "num_hidden_layers": len(layers),
        "intermediate_size": len(hubert["encoder.layers.0.feed_forward.intermediate_dense.weight"]),
        "conv_dim": [len(hubert[name]) for name in sorted(filters)],
        "num_conv_pos_embeddings": kernel,
        "num_conv_pos_embedding_groups": hidden_size // group_size,
    }
