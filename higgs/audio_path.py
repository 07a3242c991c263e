"""The path that a column takes through the model while it speaks: one position of each of n streams.

It computes what HiggsModel.forward does for audio positions with fewer, larger kernels: one matrix for query,
key and value, one for gate and up, one write for key and value. In shapes n is the number of streams, H the
hidden size, D the head size, K the codebooks and V the codebook size.

On a CPU a stream's numbers don't depend, to the bit, on how many others share the batch: those of matrices
don't (see matrices; where they ask for two rows, a single stream is computed twice), and masked positions add
exact zeros.
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F

from higgs.cache import SlotCache
from higgs.matrices import Matrix, Plain
from higgs.model import HiggsModel, Layer, rotate


class Weights(NamedTuple):
    """The weights of a layer's audio path."""

    input_norm: torch.Tensor
    query_key_value: Matrix
    output: Matrix
    feed_norm: torch.Tensor
    gate_up: Matrix
    down: Matrix

    @classmethod
    def of(cls, layer: Layer, kind: type[Matrix]) -> "Weights":
        attention, feed = layer.self_attn, layer.audio_mlp
        query_key_value = (attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight)
        return cls(
            layer.audio_input_layernorm.weight,
            kind(torch.cat(query_key_value)),
            kind(attention.o_proj.weight),
            layer.audio_post_attention_layernorm.weight,
            kind(torch.cat((feed.gate_proj.weight, feed.up_proj.weight))),
            kind(feed.down_proj.weight),
        )


class AudioPath:
    """Reads and writes the keys and values of `cache`, whose rows are the streams."""

    def __init__(self, model: HiggsModel, cache: SlotCache, kind: type[Matrix] = Plain) -> None:
        self._config, self._cache = model.config, cache
        self._embed = model.embed_audio
        self._layers = [Weights.of(cast(Layer, layer), kind) for layer in model.model.layers]
        self._norm = model.model.norm.weight
        self._head = kind(model.audio_lm_head.weight)
        device, dtype = cache.data.device, cache.data.dtype
        self._positions = torch.arange(cache.capacity, device=device)
        self._first_place = torch.arange(cache.data.shape[1], device=device) * cache.capacity
        self._turns = torch.cat(model.model.rotary(self._positions), dim=1).to(dtype)
        self._fewest_rows = kind.fewest_rows if device.type == "cpu" else 1
        self._views = cache.views(0, 0)

    def __call__(self, columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        """Columns [n, K] at positions [n] of the first n rows to the logits [n, K, V], float32, of the next.

        length: so many positions, the new one included, are attended to at most.
        """
        n = len(columns)
        x = self._embed(columns)
        if n < self._fewest_rows:
            x = x.expand(self._fewest_rows, -1).contiguous()
        cos, sin = self._turns[positions].split(1, dim=1)
        places = positions + self._first_place[:n]
        beyond = self._positions[:length] > positions[:, None]
        mask = torch.zeros_like(beyond, dtype=x.dtype).masked_fill_(beyond, -torch.inf)[:, None, None]
        for index, (keys, values) in enumerate(self._cache_views(n, length)):
            x = self._layer(index, x, cos, sin, places, keys, values, mask)
        x = F.rms_norm(x, x.shape[-1:], self._norm, self._config.rms_norm_eps)
        logits = self._head(x)[:n].float()
        return logits.view(n, self._config.num_codebooks, self._config.codebook_size)

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
        config, weights = self._config, self._layers[index]
        n, heads, size = len(places), config.heads, config.head_dim
        normed = F.rms_norm(x, x.shape[-1:], weights.input_norm, config.rms_norm_eps)
        qkv = weights.query_key_value(normed)[:n].view(n, -1, size)
        turning = qkv[:, : heads + config.kv_heads]
        turning.copy_(rotate(turning, cos, sin))
        self._cache.write(index, places, qkv[:, heads:].flatten(1))
        # The heads that share a key stand as queries of one head, so that nothing is repeated.
        queries = qkv[:, :heads].view(n, config.kv_heads, -1, size)
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask).reshape(n, -1)
        x = x + weights.output(attended.expand(len(x), -1))
        normed = F.rms_norm(x, x.shape[-1:], weights.feed_norm, config.rms_norm_eps)
        gate, up = weights.gate_up(normed).chunk(2, dim=-1)
        return x + weights.down(F.silu(gate).mul_(up))

    def _cache_views(self, n: int, length: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        keys, _ = self._views[0]
        if (keys.shape[0], keys.shape[2]) != (n, length):
            self._views = self._cache.views(n, length)
        return self._views
