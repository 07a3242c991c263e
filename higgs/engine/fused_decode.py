"""The decode path: one audio position of each of n streams through the model.

Computes what HiggsModel.forward does for audio positions, with fewer, larger kernels: one matrix for query,
key and value, one for gate and up, one write of key and value. In shapes, n is the number of streams, H the
hidden size, D the head size, K the codebooks and V the codebook size.

On a CPU, a stream's result is bit-identical for any batch: matrices are stored as [in, out], for which MKL
sums a row's products in the same order from two rows on, so a single stream is computed as two equal rows;
masked positions add exact zeros.
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import nn

from higgs.engine.kv_cache import SlotCache
from higgs.model.config import HiggsConfig
from higgs.model.quantised import Matrix, QuantisedLinear, QuantisedMatrix, addmm, matmul
from higgs.model.transformer import Attention, HiggsModel, Layer, rotate


class Matrices(NamedTuple):
    """The weights of a layer's audio path; matrices are [in, out], quantised ones [out, in]."""

    input_norm: torch.Tensor
    query_key_value: Matrix
    query_key_norm: torch.Tensor | None  # [heads + kv_heads, D]
    output: Matrix
    feed_norm: torch.Tensor
    gate_up: Matrix
    down: Matrix

    @classmethod
    def of(cls, layer: Layer, config: HiggsConfig) -> "Matrices":
        attention, parts = layer.self_attn, layer.audio_path
        return cls(
            parts.input_norm.weight,
            _joined(attention.q_proj, attention.k_proj, attention.v_proj),
            _head_norms(attention, config) if config.qk_norm else None,
            _joined(attention.o_proj),
            parts.feed_norm.weight,
            _joined(parts.feed.gate_proj, parts.feed.up_proj),
            _joined(parts.feed.down_proj),
        )

    def text_of(self, layer: Layer) -> "Matrices":
        """Return those of the layer's text path, which shares the attention."""
        return self._replace(
            input_norm=layer.input_layernorm.weight,
            feed_norm=layer.post_attention_layernorm.weight,
            gate_up=_joined(layer.mlp.gate_proj, layer.mlp.up_proj),
            down=_joined(layer.mlp.down_proj),
        )


def _joined(*linears: nn.Linear | QuantisedLinear) -> Matrix:
    """Concatenate the matrices; the modules keep views of the result, so that memory has them once."""
    if isinstance(linears[0], QuantisedLinear):
        return _joined_quantised(cast(tuple[QuantisedLinear, ...], linears))
    matrix = torch.cat([linear.weight for linear in linears]).T.contiguous()
    parts = matrix.T.split([linear.out_features for linear in linears])
    for linear, part in zip(linears, parts, strict=True):
        linear.weight = nn.Parameter(part, requires_grad=False)
    return matrix


def _joined_quantised(linears: tuple[QuantisedLinear, ...]) -> QuantisedMatrix:
    counts = [linear.out_features for linear in linears]
    weight = torch.cat([linear.weight for linear in linears])
    scale = torch.cat([linear.scale for linear in linears])
    for linear, *parts in zip(linears, weight.split(counts), scale.split(counts), strict=True):
        linear.weight, linear.scale = (nn.Parameter(part, requires_grad=False) for part in parts)
    return QuantisedMatrix(weight, scale)


def _head_norms(attention: Attention, config: HiggsConfig) -> torch.Tensor:
    """Return the norm weights of each head, queries before keys."""
    norms = ((attention.q_norm, config.heads), (attention.k_norm, config.kv_heads))
    return torch.cat([cast(torch.Tensor, norm.weight).expand(heads, -1) for norm, heads in norms])


class FusedDecode:
    """Decodes with the keys and values of `cache`, whose rows are the streams."""

    def __init__(self, model: HiggsModel, cache: SlotCache) -> None:
        self.config, self.cache = model.config, cache
        self.embed = model.embed_audio
        self.layers = [Matrices.of(cast(Layer, layer), model.config) for layer in model.model.layers]
        self._norm = model.model.norm.weight
        self._head = cast(torch.Tensor, _joined(model.audio_lm_head))
        device, dtype = self._head.device, self._head.dtype
        self._positions = torch.arange(cache.capacity, device=device)
        self.first_places = torch.arange(cache.data.shape[1], device=device) * cache.capacity
        self.rope = torch.cat(model.model.rotary(self._positions), dim=1).to(dtype)
        self._at_least = 2 if device.type == "cpu" else 1
        self._views = cache.views(0, 0)

    def __call__(self, columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        """Compute columns [n, K] at positions [n] of the first n rows; return logits [n, K, V], float32.

        `length` is the maximum number of positions attended to, including the new one.
        """
        n = len(columns)
        x = self.embed(columns)
        if n < self._at_least:
            x = x.expand(self._at_least, -1).contiguous()
        cos, sin = self.rope[positions].split(1, dim=1)
        places = positions + self.first_places[:n]
        beyond = self._positions[:length] > positions[:, None]
        mask = torch.zeros_like(beyond, dtype=x.dtype).masked_fill_(beyond, -torch.inf)[:, None, None]
        for index, (keys, values) in enumerate(self._cache_views(n, length)):
            x = self._layer(index, x, cos, sin, places, keys, values, mask)
        return self.logits(x, n)

    def logits(self, x: torch.Tensor, n: int) -> torch.Tensor:
        """Compute logits [n, K, V], float32, of the last layer's output [n or more, H]."""
        x = F.rms_norm(x, x.shape[-1:], self._norm, self.config.rms_norm_eps)
        logits = (x @ self._head)[:n].float()
        return logits.view(n, self.config.num_codebooks, self.config.codebook_size)

    def _layer(
        self,
        index: int,
        x: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        places: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        config, weights = self.config, self.layers[index]
        n, heads, size = len(places), config.heads, config.head_dim
        normed = F.rms_norm(x, x.shape[-1:], weights.input_norm, config.rms_norm_eps)
        qkv = matmul(normed, weights.query_key_value)[:n].view(n, -1, size)
        turning = qkv[:, : heads + config.kv_heads]
        heads_normed = turning
        if weights.query_key_norm is not None:
            heads_normed = F.rms_norm(turning, (size,), None, config.rms_norm_eps) * weights.query_key_norm
        turning.copy_(rotate(heads_normed, cos, sin))
        self.cache.write(index, places, qkv[:, heads:].flatten(1))
        # The heads that share a key stand as queries of one head, so that nothing is repeated.
        queries = qkv[:, :heads].view(n, config.kv_heads, -1, size)
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask).reshape(n, -1)
        x = addmm(x, attended.expand(len(x), -1), weights.output)
        normed = F.rms_norm(x, x.shape[-1:], weights.feed_norm, config.rms_norm_eps)
        gate, up = matmul(normed, weights.gate_up).chunk(2, dim=-1)
        return addmm(x, F.silu(gate).mul_(up), weights.down)

    def _cache_views(self, n: int, length: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        keys, _ = self._views[0]
        if (keys.shape[0], keys.shape[2]) != (n, length):
            self._views = self.cache.views(n, length)
        return self._views
