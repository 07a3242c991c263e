"""Configuration of a Higgs Audio language model, v2 or v3, read from any layout of config.json."""

from dataclasses import dataclass, field, replace
from typing import Any

from errors import StartError

NATIVE_MODEL_TYPE = "higgs_audio_v2"
BOSON_MODEL_TYPE = "higgs_audio"
V3_MODEL_TYPE = "higgs_multimodal_qwen3"


@dataclass(frozen=True)
class RopeConfig:
    """Rotary position embedding. A factor of 1 is plain RoPE, others are Llama 3's scaling."""

    theta: float = 500_000.0
    factor: float = 32.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_positions: int = 8192

    @classmethod
    def from_dict(cls, parameters: dict[str, Any], theta: float) -> "RopeConfig":
        """Read transformers' `rope_parameters` or the older `rope_scaling`; `theta` is the default."""
        kind = parameters.get("rope_type", parameters.get("type", "default"))
        theta = float(parameters.get("rope_theta") or theta)
        if kind == "default":
            return cls(theta=theta, factor=1.0)
        if kind != "llama3":
            raise StartError(f"The model's rope type is {kind!r}; only 'default' and 'llama3' are supported.")
        return cls(
            theta=theta,
            factor=float(parameters["factor"]),
            low_freq_factor=float(parameters["low_freq_factor"]),
            high_freq_factor=float(parameters["high_freq_factor"]),
            original_max_positions=int(parameters["original_max_position_embeddings"]),
        )

    def to_native_dict(self) -> dict[str, Any]:
        if self.factor == 1.0:
            return {"rope_type": "default", "rope_theta": self.theta}
        return {
            "rope_type": "llama3",
            "rope_theta": self.theta,
            "factor": self.factor,
            "low_freq_factor": self.low_freq_factor,
            "high_freq_factor": self.high_freq_factor,
            "original_max_position_embeddings": self.original_max_positions,
        }


@dataclass(frozen=True)
class HiggsConfig:
    """Shape and token ids of the model. The defaults are those of the published v2 3B.

    Attributes:
        codebook_size: the codec's 1024 codes plus bos_code and eos_code.
        generation: 2 or 3; determines the prompt format, and how a stream of codes begins and ends.
        dual_ffn: audio positions have their own norms and feed-forward.
        qk_norm: queries and keys are normalised per head before the rotary embedding.
        tied_head: the audio head shares the audio embedding's matrix.
    """

    vocab_size: int = 128_256
    hidden_size: int = 3072
    intermediate_size: int = 8192
    layers: int = 28
    heads: int = 24
    kv_heads: int = 8
    head_dim: int = 128
    rms_norm_eps: float = 1e-5
    max_positions: int = 2048
    rope: RopeConfig = field(default_factory=RopeConfig)
    num_codebooks: int = 8
    codebook_size: int = 1026
    bos_code: int = 1024
    eos_code: int = 1025
    audio_token_id: int = 128_016
    audio_bos_token_id: int = 128_013
    audio_delay_token_id: int = 128_014
    pad_token_id: int = 128_001
    eos_token_id: int = 128_009
    generation: int = 2
    dual_ffn: bool = True
    qk_norm: bool = False
    tied_head: bool = False

    @property
    def mark_frames(self) -> int:
        """Number of bos_code frames before a recording's codes, and of eos_code frames after them."""
        return 1 if self.generation == 2 else 0

    @property
    def opening_code(self) -> int:
        """The code in all codebooks of a stream's first column; -1 stands for the token audio_bos."""
        return self.bos_code if self.generation == 2 else -1

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> "HiggsConfig":
        """Read a config.json of v2, in transformers' or boson's layout, or of v3. Raises StartError."""
        model_type = config.get("model_type")
        if model_type == NATIVE_MODEL_TYPE:
            return _from_native(config)
        if model_type == BOSON_MODEL_TYPE:
            return _from_boson(config)
        if model_type == V3_MODEL_TYPE:
            return _from_v3(config)
        raise StartError(
            f"config.json has model_type {model_type!r}; a Higgs Audio model has {NATIVE_MODEL_TYPE!r} or "
            f"{BOSON_MODEL_TYPE!r} (v2), or {V3_MODEL_TYPE!r} (v3). Choose another HIGGS_MODEL."
        )

    def to_native_dict(self) -> dict[str, Any]:
        """Return v2's config.json for transformers' HiggsAudioV2ForConditionalGeneration."""
        return {
            "model_type": NATIVE_MODEL_TYPE,
            "architectures": ["HiggsAudioV2ForConditionalGeneration"],
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "rms_norm_eps": self.rms_norm_eps,
            "max_position_embeddings": self.max_positions,
            "rope_parameters": self.rope.to_native_dict(),
            "num_codebooks": self.num_codebooks,
            "codebook_size": self.codebook_size,
            "audio_stream_bos_id": self.bos_code,
            "audio_stream_eos_id": self.eos_code,
            "audio_token_id": self.audio_token_id,
            "audio_bos_token_id": self.audio_bos_token_id,
            "audio_delay_token_id": self.audio_delay_token_id,
            "pad_token_id": self.pad_token_id,
            "eos_token_id": self.eos_token_id,
            "tie_word_embeddings": False,
        }


HIGGS_V3 = HiggsConfig(
    vocab_size=151_936,
    hidden_size=2560,
    intermediate_size=9728,
    layers=36,
    heads=32,
    rms_norm_eps=1e-6,
    max_positions=32_768,
    rope=RopeConfig(theta=1_000_000.0, factor=1.0),
    audio_token_id=151_679,
    audio_bos_token_id=151_670,
    pad_token_id=151_643,
    eos_token_id=151_643,
    generation=3,
    dual_ffn=False,
    qk_norm=True,
    tied_head=True,
)


def _backbone(config: dict[str, Any], theta: float = RopeConfig.theta) -> dict[str, Any]:
    """Return the fields that all layouts share; missing or null ones keep the published model's values.

    Args:
        config: the config.json.
        theta: RoPE's default theta.
    """
    names = {
        "vocab_size": "vocab_size",
        "hidden_size": "hidden_size",
        "intermediate_size": "intermediate_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "kv_heads": "num_key_value_heads",
        "head_dim": "head_dim",
        "rms_norm_eps": "rms_norm_eps",
        "max_positions": "max_position_embeddings",
    }
    fields = {ours: config[theirs] for ours, theirs in names.items() if config.get(theirs) is not None}
    rope = config.get("rope_parameters") or config.get("rope_scaling")
    theta = float(config.get("rope_theta") or theta)
    if rope:
        fields["rope"] = RopeConfig.from_dict(rope, theta)
    elif "rope_theta" in config:
        fields["rope"] = RopeConfig(theta=theta, factor=1.0)
    return fields


def _ids(config: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    found = {ours: config[theirs] for ours, theirs in names.items() if config.get(theirs) is not None}
    return {name: value[0] if isinstance(value, list) else value for name, value in found.items()}


def _from_native(config: dict[str, Any]) -> HiggsConfig:
    names = {
        "num_codebooks": "num_codebooks",
        "codebook_size": "codebook_size",
        "bos_code": "audio_stream_bos_id",
        "eos_code": "audio_stream_eos_id",
        "audio_token_id": "audio_token_id",
        "audio_bos_token_id": "audio_bos_token_id",
        "audio_delay_token_id": "audio_delay_token_id",
        "pad_token_id": "pad_token_id",
        "eos_token_id": "eos_token_id",
    }
    return HiggsConfig(**_with_head_dim(_backbone(config)), **_ids(config, names))


def _with_head_dim(fields: dict[str, Any]) -> dict[str, Any]:
    """Apply Llama's rule if a config has no head_dim. A Qwen3's is 128 for any width."""
    if "head_dim" in fields or not {"hidden_size", "heads"} <= fields.keys():
        return fields
    return fields | {"head_dim": fields["hidden_size"] // fields["heads"]}


def _from_boson(config: dict[str, Any]) -> HiggsConfig:
    text = config["text_config"]
    backbone = _with_head_dim(_backbone(text))
    dual = config.get("audio_dual_ffn_layers") or []
    layers = backbone.get("layers", HiggsConfig.layers)
    adapter = config.get("audio_adapter_type")
    if adapter not in ("dual_ffn", "dual_ffn_fast_forward") or set(dual) != set(range(layers)):
        raise StartError("Only Higgs models with a dual FFN in every layer (the published v2) are supported.")
    if config.get("audio_embed_avg") or not config.get("use_delay_pattern"):
        raise StartError("Only Higgs models with summed audio embeddings and a delay pattern are supported.")
    names = {
        "num_codebooks": "audio_num_codebooks",
        "bos_code": "audio_stream_bos_id",
        "eos_code": "audio_stream_eos_id",
        "audio_token_id": "audio_out_token_idx",
        "audio_bos_token_id": "audio_out_bos_token_id",
        "pad_token_id": "pad_token_id",
    }
    ids = _ids(config, names) | _ids(text, {"eos_token_id": "eos_token_id"})
    return HiggsConfig(**backbone, **ids, codebook_size=config.get("audio_codebook_size", 1024) + 2)


def _from_v3(config: dict[str, Any]) -> HiggsConfig:
    """Read v3's config; its token ids are only in the tokenizer, see checkpoint.load_config."""
    text, audio = config.get("text_config") or {}, config.get("audio_encoder_config") or {}
    if text.get("model_type", "qwen3") != "qwen3" or text.get("attention_bias"):
        raise StartError("Only Higgs v3 models with a Qwen3 backbone (the published one) are supported.")
    if audio.get("encoder_type", "discrete") != "discrete" or audio.get("use_delay_pattern") is False:
        raise StartError("Only Higgs v3 models that speak in codes with a delay pattern are supported.")
    names = {"num_codebooks": "num_codebooks", "codebook_size": "vocab_size"}
    fields = _backbone(text, HIGGS_V3.rope.theta) | _ids(audio, names)
    return replace(HIGGS_V3, **fields, tied_head=audio.get("tie_word_embeddings", True))
