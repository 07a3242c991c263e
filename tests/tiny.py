"""A complete Higgs model so small that a test makes one in milliseconds: random weights, real files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from higgs.model.config import HiggsConfig, RopeConfig
from higgs.model.transformer import HiggsModel
from higgs.model.weights import Uninitialised
from higgs.prompts.v2 import STRUCTURE

SPECIAL_TOKENS = (
    *STRUCTURE,
    "<|audio_bos|>",
    "<|audio_eos|>",
    "<|audio_out_bos|>",
    "<|reserved_special_token_6|>",
    "<|AUDIO|>",
    "<|AUDIO_OUT|>",
    "<|recipient|>",
    "<|scene_desc_start|>",
    "<|scene_desc_end|>",
    "<SE>",
    "</SE>",
    "<SE_s>",
    "</SE_s>",
    "<SE_e>",
    "</SE_e>",
)
RECORDED_TOKENS = 17  # of these there were when tests/golden was recorded
ALPHABET = sorted(ByteLevel.alphabet())


def token_id(name: str) -> int:
    """The id of a special token: they stand behind the 256 bytes."""
    return len(ALPHABET) + SPECIAL_TOKENS.index(name)


CONFIG = HiggsConfig(
    vocab_size=len(ALPHABET) + RECORDED_TOKENS,
    hidden_size=64,
    intermediate_size=128,
    layers=3,
    heads=4,
    kv_heads=2,
    head_dim=16,
    max_positions=16384,
    rope=RopeConfig(),
    audio_token_id=token_id("<|AUDIO_OUT|>"),
    audio_bos_token_id=token_id("<|audio_out_bos|>"),
    audio_delay_token_id=token_id("<|reserved_special_token_6|>"),
    pad_token_id=token_id("<|end_of_text|>"),
    eos_token_id=token_id("<|eot_id|>"),
)

# With a place for every token of the tokenizer.
SERVED = replace(CONFIG, vocab_size=len(ALPHABET) + len(SPECIAL_TOKENS))


def write_tokenizer(folder: Path) -> None:
    """One token per byte, and Higgs Audio's special tokens by their published names."""
    tokenizer = Tokenizer(BPE(vocab={byte: index for index, byte in enumerate(ALPHABET)}, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>"}
    names |= {"eos_token": "<|end_of_text|>", "pad_token": "<|end_of_text|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names), "utf-8")


def random_weights(config: HiggsConfig, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights for a config that depend on the seed alone, not on the version of torch: numpy's PCG64.

    Those of CONFIG and SERVED are the same, as far as CONFIG has them. They are wide enough for the logits to
    differ by several units.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    # Drawing on "meta" would import torch's compiler, 4 s.
    with torch.device("meta"), Uninitialised():
        shapes = {name: tensor.shape for name, tensor in HiggsModel(config).state_dict().items()}
    centre = {name: 1.0 if "norm" in name else 0.0 for name in shapes}
    added = config.vocab_size - CONFIG.vocab_size if config == SERVED else 0

    def weight(name: str) -> torch.Tensor:
        rows, *rest = shapes[name]
        new = added if name == "model.embed_tokens.weight" else 0
        drawn = random.standard_normal((rows - new, *rest))
        later = np.random.Generator(np.random.PCG64(seed + 1)).standard_normal((new, *rest))
        return torch.from_numpy((centre[name] + 0.1 * np.concatenate([drawn, later])).astype(np.float32))

    return {name: weight(name) for name in sorted(shapes)}


def tiny_model(config: HiggsConfig = CONFIG, seed: int = 0) -> HiggsModel:
    model = HiggsModel(config)
    model.load_state_dict(random_weights(config, seed))
    return model.eval().requires_grad_(False)


def write_tiny_model(folder: Path, config: HiggsConfig = CONFIG, seed: int = 0) -> Path:
    """Write a model folder in the native layout, all but its codec; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(random_weights(config, seed), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_native_dict()), "utf-8")
    generation = {"do_sample": True, "temperature": 1.0, "top_k": 50, "top_p": 0.95}
    generation |= {"ras_win_len": 7, "ras_win_max_num_repeat": 2}
    (folder / "generation_config.json").write_text(json.dumps(generation), "utf-8")
    write_tokenizer(folder)
    return folder
