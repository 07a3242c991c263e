"""The compiled CPU path for small models: decode steps and prefill.

A torch operation costs some µs however small it is, and a step of the bundled model has two hundred of them.
A large model's time goes into reading its weights, which torch does with all cores.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import torch

from higgs.cpu.cache import PanelCache, PanelRow
from higgs.cpu.intrinsics import LANES, PANEL
from higgs.cpu.kernels import TILE, forward_layers, logits_of
from higgs.cpu.packing import Layers, Parts, Scratch, halves, pack
from higgs.cuda.decode import KernelDecode, decode_on_gpu
from higgs.cuda.prefill import prefill_on_gpu
from higgs.engine.fused_decode import FusedDecode, Matrices
from higgs.engine.kv_cache import KVCache, SlotCache
from higgs.engine.memory import prompt_positions
from higgs.engine.model_runner import DecodeFn
from higgs.engine.prefill import PREFILL_CHUNK, Prefill
from higgs.model.transformer import HiggsModel, Layer

SMALL = 64_000_000  # weights read per column


def serves(model: HiggsModel) -> bool:
    """Return whether CompiledDecode supports a model: small, float32, on a CPU, with suitable head sizes."""
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
    """Return the cache for a model's streams, as decode_fn_for needs it."""
    if serves(model):
        half = all(halves(weight.detach().numpy()) for weight in model.parameters())
        return PanelCache(model.config, rows, capacity, half)
    weight = model.audio_lm_head.weight
    return SlotCache(model.config, rows, capacity, weight.device, weight.dtype)


def decode_fn_for(model: HiggsModel, cache: SlotCache | PanelCache) -> DecodeFn:
    """Return the decode function of a model and its cache."""
    if isinstance(cache, PanelCache):
        return CompiledDecode(model, cache)
    eager = FusedDecode(model, cache)
    return decode_on_gpu(eager) if cache.device.type == "cuda" else eager


def prefill_for(model: HiggsModel, decode_fn: DecodeFn, capacity: int, kept_positions: int) -> Prefill:
    """Return the prefill of a model."""
    if isinstance(decode_fn, CompiledDecode):
        return CompiledPrefill(model, decode_fn, kept_positions)
    weight = model.audio_lm_head.weight

    def cache(positions: int) -> KVCache:
        return KVCache(model.config, positions, device=weight.device, dtype=weight.dtype)

    if isinstance(decode_fn, KernelDecode):
        return prefill_on_gpu(model, cache(prompt_positions(capacity)), kept_positions, decode_fn)
    return Prefill(model, cache(capacity), kept_positions)


class CompiledDecode:
    """Decodes with the keys and values of `cache`, whose rows are the streams.

    If the weights are exactly representable in bfloat16, as published ones are, they are stored so, and keys
    and values in float16: half the bytes. The weights stay the same; keys and values are rounded to 11 bits.
    """

    def __init__(self, model: HiggsModel, cache: PanelCache) -> None:
        config = model.config
        self._config, self._embed, self.cache = config, model.embed_audio, cache
        self._layers = packed_layers(model, cache.half)
        head = model.audio_lm_head.weight.detach().T.contiguous().numpy()
        self._norm, self._head = model.model.norm.weight.detach().numpy(), pack(head, cache.half)
        self._epsilon = np.float32(config.rms_norm_eps)
        positions = torch.arange(cache.capacity)
        self._rope = torch.stack(model.model.rotary(positions), dim=1).flatten(2).numpy()
        self._streams = np.arange(cache.rows)
        self._scratches = [self._new_scratch() for _ in range(torch.get_num_threads())]
        self._pool = ThreadPoolExecutor(len(self._scratches), "engine-helper")
        self._logits = torch.zeros(cache.rows, len(self._head) * PANEL)

    def _new_scratch(self) -> Scratch:
        layers, cache, heads = self._layers, self.cache, self._config.heads
        read = (layers.query_key_value, layers.output, layers.audio.down)
        widest = max(matrix.shape[1] for matrix in (layers.query_key_value, *layers.audio[2:])) * PANEL
        widths = [*(matrix.shape[2] for matrix in read), widest]
        rms_norm, heads_out, fed, wide = (
            np.zeros((max(cache.rows, PREFILL_CHUNK), width), np.float32) for width in widths
        )
        scores = np.zeros((heads, cache.keys.shape[1] * PANEL), np.float32)
        mean = np.zeros((heads, cache.values.shape[4] * PANEL), np.float32)
        return Scratch(rms_norm, heads_out, fed, wide, scores, mean)

    def __call__(self, columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        """See FusedDecode; the logits are overwritten by the next call.

        The streams are split among torch's number of threads, TILE rows or more each.
        """
        n, config = len(columns), self._config
        x, at = self._embed(columns).numpy(), positions.numpy()
        share = -(-n // (TILE * len(self._scratches))) * TILE
        parts = [slice(start, min(start + share, n)) for start in range(0, n, share)]
        pending = [
            self._pool.submit(self._write, x[part], at[part], part, scratch)
            for part, scratch in zip(parts[1:], self._scratches[1:], strict=False)
        ]
        self._write(x[parts[0]], at[parts[0]], parts[0], self._scratches[0])
        for done in pending:
            done.result()
        logits = self._logits[:n, : config.num_codebooks * config.codebook_size]
        return logits.unflatten(1, (config.num_codebooks, config.codebook_size))

    def _write(self, x: np.ndarray, positions: np.ndarray, part: slice, scratch: Scratch) -> None:
        """Compute the logits of a part of the streams."""
        self._pass(x, 0, self._streams[part], positions, self.cache, scratch)
        logits_of(x, self._norm, self._head, self._epsilon, scratch, self._logits.numpy()[part])

    def read(self, embeddings: torch.Tensor, mask: torch.Tensor, start: int, cache: PanelCache) -> None:
        """Compute keys and values of up to PREFILL_CHUNK positions into the only row of a cache.

        Args:
            embeddings: [S, H], at positions from `start` on.
            mask: [S], true for audio positions.
            start: the first position.
            cache: the cache to fill.
        """
        order = mask.int().argsort(stable=True)
        x, positions = embeddings[order].numpy(), (order + start).numpy()
        streams = np.zeros(len(x), np.int64)
        self._pass(x, len(mask) - int(mask.sum()), streams, positions, cache, self._scratches[0])

    def _pass(
        self,
        x: np.ndarray,
        texts: int,
        streams: np.ndarray,
        positions: np.ndarray,
        cache: PanelCache,
        scratch: Scratch,
    ) -> None:
        weights = (self._rope, self._layers, self._epsilon)
        forward_layers(x, texts, streams, positions, *weights, cache.keys, cache.values, scratch)


class CompiledPrefill(Prefill):
    """Prefill by the compiled path."""

    def __init__(self, model: HiggsModel, decode_fn: CompiledDecode, kept_positions: int) -> None:
        self._decode_fn = decode_fn
        super().__init__(
            model, PanelRow(model.config, decode_fn.cache.capacity, decode_fn.cache.half), kept_positions
        )

    def _forward(self, embeddings: torch.Tensor, mask: torch.Tensor, start: int) -> None:
        self._decode_fn.read(embeddings[0], mask[0], start, self.cache.cache)


def packed_layers(model: HiggsModel, halve: bool) -> Layers:
    """Pack the weights of all layers; `halve`: as bfloat16."""
    config = model.config
    layers = [cast(Layer, layer) for layer in model.model.layers]
    audio = [Matrices.of(layer, config) for layer in layers]
    text = audio
    if config.dual_ffn:
        text = [matrices.text_of(layer) for matrices, layer in zip(audio, layers, strict=True)]

    def matrices(parts: list[Matrices], name: str) -> np.ndarray:
        return np.stack([pack(getattr(part, name).detach().numpy(), halve) for part in parts])

    def norms(parts: list[Matrices], name: str) -> np.ndarray:
        return np.stack([getattr(part, name).detach().numpy() for part in parts])

    def parts_of(parts: list[Matrices]) -> Parts:
        of_norms = (norms(parts, name) for name in ("input_norm", "feed_norm"))
        return Parts(*of_norms, *(matrices(parts, name) for name in ("gate_up", "down")))

    bare = np.empty((config.layers, config.heads + config.kv_heads, 0), np.float32)
    of_audio = parts_of(audio)
    return Layers(
        query_key_value=matrices(audio, "query_key_value"),
        head_norms=norms(audio, "query_key_norm") if config.qk_norm else bare,
        output=matrices(audio, "output"),
        text=parts_of(text) if config.dual_ffn else of_audio,
        audio=of_audio,
    )
