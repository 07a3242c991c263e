"""The Higgs Audio language model: a transformer that reads text and audio, and generates audio.

v2 is a Llama whose layers have one attention and two feed-forward paths with their own norms: text positions
use the ordinary one, audio positions the `audio_` one (https://github.com/boson-ai/higgs-audio). v3 is a
Qwen3: one path for all positions, with normalised queries and keys. A position's audio input is the sum of
one embedding per codebook; its output is one distribution per codebook.

Module names are those of transformers' HiggsAudioV2ForConditionalGeneration and Qwen3Model, so that state
dicts are interchangeable. In shapes, B is the batch, S positions, H hidden size, D head size, K codebooks and
V the codebook size.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from higgs.engine.kv_cache import KVCache
from higgs.model.config import HiggsConfig, RopeConfig
from higgs.model.routing import Rows, route


def inverse_frequencies(rope: RopeConfig, head_dim: int) -> torch.Tensor:
    """Return the D/2 rotary angles per position, with Llama 3's scaling of long wavelengths."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu") / head_dim
    plain = rope.theta**-exponents
    if rope.factor == 1.0:
        return plain
    turns = rope.original_max_positions * plain / (2 * math.pi)
    blend = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor)
    blend = blend.clamp(0, 1)
    return (1 - blend) * plain / rope.factor + blend * plain


class Rotary(nn.Module):
    """Positions [B, S] → cosine and signed sine [B, S, 1, D] for `rotate`, computed in float32."""

    inverse: torch.Tensor

    def __init__(self, config: HiggsConfig) -> None:
        super().__init__()
        self.register_buffer("inverse", inverse_frequencies(config.rope, config.head_dim), persistent=False)

    def forward(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angles = positions[..., None, None].float() * self.inverse.float()
        cos, sin = angles.cos(), angles.sin()
        return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate each pair (d, d + D/2) of x [B, S, heads, D] by its angle."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


class Attention(nn.Module):
    """Causal grouped-query attention, shared by text and audio positions."""

    def __init__(self, config: HiggsConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, config.head_dim
        self.groups = config.heads // config.kv_heads
        self.q_proj = nn.Linear(config.hidden_size, config.heads * config.head_dim, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, config.kv_heads * config.head_dim, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, config.kv_heads * config.head_dim, bias=False)
        self.o_proj = nn.Linear(config.heads * config.head_dim, config.hidden_size, bias=False)
        self.q_norm, self.k_norm = (
            nn.RMSNorm(config.head_dim, eps=config.rms_norm_eps) if config.qk_norm else nn.Identity()
            for _ in range(2)
        )

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, cache: KVCache | None
    ) -> torch.Tensor:
        heads = (*x.shape[:2], -1, self.head_dim)
        q, k, v = (proj(x).view(heads) for proj in (self.q_proj, self.k_proj, self.v_proj))
        q, k = self.q_norm(q), self.k_norm(k)
        cos, sin = cos.to(q.dtype), sin.to(q.dtype)
        q, k = rotate(q, cos, sin).transpose(1, 2), rotate(k, cos, sin).transpose(1, 2)
        v = v.transpose(1, 2)
        if cache is not None:
            k, v = cache.update(self.layer, k, v)
        return self.o_proj(self.attend(q, k, v).transpose(1, 2).flatten(2))

    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Attend from q [B, heads, S, D] to k, v [B, kv_heads, L, D]; queries are the last S positions."""
        new, total = q.shape[2], k.shape[2]
        if new == 1:
            # Fold heads that share a key into queries of one head: no repetition, no mask.
            grouped = q.unflatten(1, (-1, self.groups)).squeeze(3)
            return F.scaled_dot_product_attention(grouped, k, v).reshape(q.shape)
        if new == total:
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.groups > 1)
        mask = torch.ones(new, total, dtype=torch.bool, device=q.device).tril(total - new)
        if q.is_cuda:
            return attend_grouped(q, k, v, mask)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=self.groups > 1)


def attend_grouped(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Attend from q [B, heads, S, D] to k, v [B, kv_heads, L, D] with a mask [S, L].

    Heads that share a key are folded into queries of one head: CUDA's fast kernels support a mask or grouped
    heads, but compute both together in float32, with all scores in memory.
    """
    groups = q.shape[1] // k.shape[1]
    grouped = q.unflatten(1, (-1, groups)).flatten(2, 3)
    mask = mask.expand(groups, -1, -1).flatten(0, 1)
    return F.scaled_dot_product_attention(grouped, k, v, attn_mask=mask).reshape(q.shape)


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: HiggsConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class AudioParts(NamedTuple):
    """A layer's modules for audio positions, besides attention."""

    input_norm: nn.RMSNorm
    feed_norm: nn.RMSNorm
    feed: FeedForward


class Layer(nn.Module):
    """A layer with shared attention, and separate norms and feed-forward for text and audio positions.

    Without a dual FFN, audio positions use the ordinary ones.
    """

    def __init__(self, config: HiggsConfig, index: int) -> None:
        super().__init__()

        def norm() -> nn.RMSNorm:
            return nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

        self.self_attn = Attention(config, index)
        self.input_layernorm, self.post_attention_layernorm = norm(), norm()
        self.mlp = FeedForward(config)
        self.dual = config.dual_ffn
        if self.dual:
            self.audio_input_layernorm, self.audio_post_attention_layernorm = norm(), norm()
            self.audio_mlp = FeedForward(config)

    @property
    def audio_path(self) -> AudioParts:
        if not self.dual:
            return AudioParts(self.input_layernorm, self.post_attention_layernorm, self.mlp)
        return AudioParts(self.audio_input_layernorm, self.audio_post_attention_layernorm, self.audio_mlp)

    def forward(
        self,
        x: torch.Tensor,
        rows: Rows | None,
        cos: torch.Tensor,
        sin: torch.Tensor,
        cache: KVCache | None,
    ) -> torch.Tensor:
        audio = self.audio_path
        normed = route(x, rows, self.input_layernorm, audio.input_norm)
        x = x + self.self_attn(normed, cos, sin, cache)
        normed = route(x, rows, self.post_attention_layernorm, audio.feed_norm)
        return x + route(normed, rows, self.mlp, audio.feed)


class AudioEmbedding(nn.Module):
    """Sum of one embedding per codebook: [..., K] → [..., H]; codebook k starts at row k·V."""

    offsets: torch.Tensor

    def __init__(self, config: HiggsConfig) -> None:
        super().__init__()
        self.embed_audio_tokens = nn.Embedding(
            config.num_codebooks * config.codebook_size, config.hidden_size
        )
        offsets = torch.arange(config.num_codebooks, device="cpu") * config.codebook_size
        self.register_buffer("offsets", offsets, persistent=False)

    def forward(self, columns: torch.Tensor) -> torch.Tensor:
        indices = (columns + self.offsets).flatten(0, -2)
        summed = F.embedding_bag(indices, self.embed_audio_tokens.weight, mode="sum")
        return summed.view(*columns.shape[:-1], -1)


class Backbone(nn.Module):
    """The model without its head."""

    def __init__(self, config: HiggsConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embed_audio_tokens = AudioEmbedding(config)
        self.rotary = Rotary(config)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(
        self, x: torch.Tensor, rows: Rows | None, positions: torch.Tensor, cache: KVCache | None
    ) -> torch.Tensor:
        cos, sin = self.rotary(positions)
        for layer in self.layers:
            x = layer(x, rows, cos, sin, cache)
        return self.norm(x)


class HiggsModel(nn.Module):
    """The language model; randomly initialised (normal, 0.02)."""

    def __init__(self, config: HiggsConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Backbone(config)
        self.audio_lm_head = nn.Linear(
            config.hidden_size, config.num_codebooks * config.codebook_size, bias=False
        )
        if config.tied_head:
            self.audio_lm_head.weight = self.model.embed_audio_tokens.embed_audio_tokens.weight
        self.apply(_initialise)

    def move_buffers(self, device: torch.device) -> None:
        """Move buffers, which are always created on the CPU, to a device."""
        for module in self.modules():
            for name, buffer in module.named_buffers(recurse=False):
                module.register_buffer(name, buffer.to(device), persistent=False)

    def embed(
        self, input_ids: torch.Tensor, audio_columns: torch.Tensor, audio_mask: torch.Tensor
    ) -> torch.Tensor:
        """Return the input embeddings [B, S, H].

        Args:
            input_ids: int64 [B, S], used where audio_mask is false; elsewhere any valid id.
            audio_columns: int64 [B, S, K], used where audio_mask is true; elsewhere any valid codes.
            audio_mask: bool [B, S].
        """
        text = self.model.embed_tokens(input_ids)
        return torch.where(audio_mask[..., None], self.embed_audio(audio_columns), text)

    def embed_audio(self, columns: torch.Tensor) -> torch.Tensor:
        """Embed delayed columns, int64 [..., K] → [..., H]; see HiggsConfig.opening_code."""
        if self.config.opening_code >= 0:
            return self.model.embed_audio_tokens(columns)
        opening = self.model.embed_tokens.weight[self.config.audio_bos_token_id]
        return torch.where(columns[..., :1] < 0, opening, self.model.embed_audio_tokens(columns.clamp(min=0)))

    def forward(
        self,
        embeddings: torch.Tensor,
        audio_mask: torch.Tensor | None,
        positions: torch.Tensor,
        cache: KVCache | None = None,
    ) -> torch.Tensor:
        """Return the final hidden states [B, S, H], with causal attention.

        Args:
            embeddings: [B, S, H].
            audio_mask: bool [B, S], preferably on the CPU; None if all positions are audio (decoding).
            positions: [B, S].
            cache: the S positions follow its `length` positions and are appended to it.
        """
        rows = None
        if audio_mask is not None and self.config.dual_ffn:
            rows = Rows.from_mask(audio_mask, embeddings.device)
        hidden = self.model(embeddings, rows, positions, cache)
        if cache is not None:
            cache.advance(embeddings.shape[1])
        return hidden

    def audio_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states [..., H] → logits [..., K, V]."""
        logits = self.audio_lm_head(hidden)
        return logits.unflatten(-1, (self.config.num_codebooks, self.config.codebook_size))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
