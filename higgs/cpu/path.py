"""The path that a column takes through a small model on a CPU; AudioPath's work, compiled as one function.

A torch operation takes some µs however small it is, and a step of the bundled model has two hundred of them.
A large model's time goes into its bytes, which torch reads with all cores.
"""

from typing import cast

import numpy as np
import torch

from higgs.audio_path import AudioPath, Matrices
from higgs.cache import SlotCache
from higgs.cpu.cache import PanelCache
from higgs.cpu.kernels import LANES, PANEL, logits_of
from higgs.cpu.packed import Layers, Scratch, halves, pack
from higgs.decoder import Path
from higgs.model import HiggsModel, Layer

SMALL = 64_000_000  # numbers that a column reads


def serves(model: HiggsModel) -> bool:
    """Whether CompiledPath suits a model: a small one in float32 on a CPU, with heads of whole vectors."""
    weight, config = model.audio_lm_head.weight, model.config
    attention = 2 * (config.heads + config.kv_heads) * config.head_dim
    layer = config.hidden_size * (attention + 3 * config.intermediate_size)
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and config.head_dim % LANES == 0
        and config.layers * layer + weight.numel() <= SMALL
    )


def cache_for(model: HiggsModel, rows: int, capacity: int) -> SlotCache | PanelCache:
    """What keeps the keys and values of a model's streams, for path_for."""
    if serves(model):
        half = all(halves(weight.detach().numpy()) for weight in model.parameters())
        return PanelCache(model.config, rows, capacity, half)
    weight = model.audio_lm_head.weight
    return SlotCache(model.config, rows, capacity, weight.device, weight.dtype)


def path_for(model: HiggsModel, cache: SlotCache | PanelCache) -> Path:
    """What computes a column of a model's streams."""
    return CompiledPath(model, cache) if isinstance(cache, PanelCache) else AudioPath(model, cache)


class CompiledPath:
    """Reads and writes the keys and values of `cache`, whose rows are the streams.

    Where the weights are bfloat16 in truth, as published ones are, they are kept so, and keys and values in
    float16: half the bytes. The weights are the same numbers then; keys and values are rounded to 11 bits.
    """

    def __init__(self, model: HiggsModel, cache: PanelCache) -> None:
        config = model.config
        self._config, self._embed, self._cache = config, model.embed_audio, cache
        parts = [Matrices.of(cast(Layer, layer), config) for layer in model.model.layers]
        head = model.audio_lm_head.weight.T.contiguous().numpy()
        names = ("query_key_value", "output", "gate_up", "down")
        matrices = {name: [getattr(part, name).numpy() for part in parts] for name in names}
        packed = {
            name: np.stack([pack(matrix, cache.half) for matrix in each]) for name, each in matrices.items()
        }
        bare = np.empty((config.heads + config.kv_heads, 0), np.float32)
        self._layers = Layers(
            input_norm=np.stack([part.input_norm.numpy() for part in parts]),
            head_norms=np.stack(
                [bare if part.query_key_norm is None else part.query_key_norm.numpy() for part in parts]
            ),
            feed_norm=np.stack([part.feed_norm.numpy() for part in parts]),
            **packed,
        )
        self._norm, self._head = model.model.norm.weight.numpy(), pack(head, cache.half)
        self._epsilon = np.float32(config.rms_norm_eps)
        positions = torch.arange(cache.capacity)
        self._turns = torch.stack(model.model.rotary(positions), dim=1).flatten(2).numpy()
        rows, widest = cache.rows, max(part.shape[1] for part in packed.values()) * PANEL
        room = [part.shape[2] for part in (packed["query_key_value"], packed["output"], packed["down"])]
        room += [widest, len(self._head) * PANEL]
        read, heads, fed, wide, logits = (np.zeros((rows, width), np.float32) for width in room)
        scores = np.zeros((config.heads, cache.keys.shape[3] * PANEL), np.float32)
        mean = np.zeros((config.heads, cache.values.shape[3] * PANEL), np.float32)
        self._scratch = Scratch(read, heads, fed, wide, scores, mean, logits)
        self._logits = torch.from_numpy(logits)

    def __call__(self, columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        """As of AudioPath; the logits are overwritten by the next call."""
        n, config = len(columns), self._config
        logits_of(
            self._embed(columns).numpy(),
            positions.numpy(),
            self._turns,
            self._layers,
            self._norm,
            self._head,
            self._epsilon,
            self._cache.keys,
            self._cache.values,
            self._scratch,
        )
        logits = self._logits[:n, : config.num_codebooks * config.codebook_size]
        return logits.unflatten(1, (config.num_codebooks, config.codebook_size))
