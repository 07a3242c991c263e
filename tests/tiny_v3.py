"""A complete Higgs v3 model so small that a test makes one in milliseconds: random weights, real files."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from higgs.model.config import HIGGS_V3
from higgs.model.transformer import HiggsModel
from tests import tiny
from tests.tiny_codec import NATIVE

TAGS = (
    *("<|emotion:elation|>", "<|emotion:sadness|>", "<|emotion:anger|>", "<|style:whispering|>"),
    *("<|sfx:laughter|>", "<|sfx:cough|>", "<|env:noise|>"),
    *("<|prosody:speed_slow|>", "<|prosody:speed_fast|>", "<|prosody:pause|>", "<|prosody:long_pause|>"),
)
SPECIAL_TOKENS = (
    *("<|endoftext|>", "<|tts|>", "<|audio|>", "<|audio_end|>", "<|text|>", "<|ref_audio|>", "<|ref_text|>"),
    *TAGS,
)
EMBEDDING, HEAD = "model.embed_audio_tokens.embed_audio_tokens.weight", "audio_lm_head.weight"
PUBLISHED_NAMES = {
    EMBEDDING: "tied.embedding.modality_embeddings.0.embedding.weight",
    "model.embed_tokens.": "tied.embedding.text_embedding.",
    "model.layers.": "body.layers.",
    "model.norm.": "body.norm.",
}
INNER_CODEC = "tied.embedding.modality_embeddings.0.model."


def token_id(name: str) -> int:
    return len(tiny.ALPHABET) + SPECIAL_TOKENS.index(name)


CONFIG = replace(
    HIGGS_V3,
    vocab_size=len(tiny.ALPHABET) + len(SPECIAL_TOKENS),
    hidden_size=64,
    intermediate_size=96,
    layers=3,
    heads=8,
    kv_heads=2,
    head_dim=16,
    max_positions=16384,
    audio_bos_token_id=token_id("<|audio|>"),
)


def config_json() -> dict:
    """What the published config.json says, for the tiny shape."""
    return {
        "model_type": "higgs_multimodal_qwen3",
        "architectures": ["HiggsMultimodalQwen3ForConditionalGeneration"],
        "audio_token_id": -100,
        "audio_encoder_config": {
            "model_type": "higgs_audio_encoder",
            "encoder_type": "discrete",
            "num_codebooks": 8,
            "vocab_size": 1026,
            "out_dim": CONFIG.hidden_size,
            "tie_word_embeddings": True,
            "use_delay_pattern": True,
        },
        "text_config": {
            "model_type": "qwen3",
            "vocab_size": CONFIG.vocab_size,
            "hidden_size": CONFIG.hidden_size,
            "intermediate_size": CONFIG.intermediate_size,
            "num_hidden_layers": CONFIG.layers,
            "num_attention_heads": CONFIG.heads,
            "num_key_value_heads": CONFIG.kv_heads,
            "head_dim": CONFIG.head_dim,
            "rms_norm_eps": CONFIG.rms_norm_eps,
            "max_position_embeddings": CONFIG.max_positions,
            "attention_bias": False,
            "rope_theta": None,
            "rope_scaling": None,
            "tie_word_embeddings": True,
        },
    }


def random_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    weights = tiny.random_weights(CONFIG, seed)
    return weights | {HEAD: weights[EMBEDDING]}


def tiny_model(seed: int = 0) -> HiggsModel:
    model = HiggsModel(CONFIG)
    model.load_state_dict(random_weights(seed))
    return model.eval().requires_grad_(False)


def write_tokenizer(folder: Path) -> None:
    """One token per byte, and v3's special tokens by their published names."""
    vocabulary = {byte: index for index, byte in enumerate(tiny.ALPHABET)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in SPECIAL_TOKENS])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names), "utf-8")


def published(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under the names of the published checkpoint, which holds the tied matrix once."""
    renamed = {}
    for name in weights.keys() - {HEAD}:
        prefix = next(prefix for prefix in PUBLISHED_NAMES if name.startswith(prefix))
        renamed[PUBLISHED_NAMES[prefix] + name.removeprefix(prefix)] = weights[name]
    return renamed


def write_tiny_v3(folder: Path, weights: dict[str, torch.Tensor] | None = None) -> Path:
    """Write a v3 model folder, its codec among its weights; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    codec = load_file(NATIVE / "model.safetensors")
    tensors = published(weights or random_weights()) | {
        INNER_CODEC + name: tensor for name, tensor in codec.items()
    }
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config_json()), "utf-8")
    write_tokenizer(folder)
    return folder


def write_endless_v3(folder: Path) -> Path:
    """A model that takes the likeliest code and never ends by itself: its EOS has a logit of 0."""
    weights = random_weights()
    weights[EMBEDDING][CONFIG.eos_code :: CONFIG.codebook_size] = 0
    write_tiny_v3(folder, weights)
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": False}), "utf-8")
    return folder
