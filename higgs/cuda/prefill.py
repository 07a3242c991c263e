"""Prefill on a GPU: a chunk is one CUDA graph, by its length rounded up and by what its positions are.

Prefill is the reference, as FusedDecode is for the step.
"""

import logging
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F

from higgs.cuda.decode import MAX_ERROR, KernelDecode, largest
from higgs.devices import upload
from higgs.engine.cuda_graphs import Graphs
from higgs.engine.fused_decode import Matrices
from higgs.engine.kv_cache import KVCache
from higgs.engine.prefill import PREFILL_CHUNK, Prefill
from higgs.model.quantised import addmm, matmul
from higgs.model.transformer import HiggsModel, Layer

log = logging.getLogger(__name__)

# Positions of a graph's chunk; those beyond the prompt are overwritten later.
SIZES = (32, 64, 128, PREFILL_CHUNK)
CHECKED = ((40, 40), (30, 0), (50, 20))  # chunks of the check: positions, and from where on they are audio
TEXT, AUDIO, BOTH = range(3)  # what the positions of a chunk are; for both, both paths are computed


class KernelPrefill(Prefill):
    """Prefill into a KVCache, with the matrices and kernels of a KernelDecode."""

    def __init__(
        self, model: HiggsModel, cache: KVCache, kept_positions: int, decode_fn: KernelDecode
    ) -> None:
        super().__init__(model, cache, kept_positions)
        self._decode_fn, self._dual, device = decode_fn, model.config.dual_ffn, cache.data.device
        self._audio = self._text = decode_fn.eager.layers
        if self._dual:
            layers = [cast(Layer, layer) for layer in model.model.layers]
            self._text = [
                matrices.text_of(layer) for matrices, layer in zip(self._audio, layers, strict=True)
            ]
        self._x = torch.zeros(PREFILL_CHUNK, model.config.hidden_size, device=device, dtype=cache.data.dtype)
        self._is_audio = torch.zeros(PREFILL_CHUNK, 1, device=device, dtype=torch.bool)
        self._start = torch.zeros((), device=device, dtype=torch.int64)
        self._steps = torch.arange(PREFILL_CHUNK, device=device)
        self._graphs = Graphs(self._read)

    def capture(self) -> None:
        """Capture all graphs, on random embeddings."""
        self._x.normal_()
        kinds = (TEXT, AUDIO, BOTH) if self._dual else (AUDIO,)
        sizes = [size for size in SIZES if size <= self.cache.capacity]
        self._graphs.capture([(size, kind) for size in sizes for kind in kinds], self._x.device)

    def _compute(self, embeddings: torch.Tensor, mask: torch.Tensor, start: int) -> None:
        count = embeddings.shape[1]
        size = next(size for size in SIZES if size >= count)
        if start + size > self.cache.capacity:
            return super()._compute(embeddings, mask, start)
        self._x[:count].copy_(embeddings[0])
        self._start.fill_(start)
        kind = AUDIO
        if self._dual:
            self._is_audio[:count].copy_(upload(mask[0, :, None], self._x.device))
            audio = int(mask.sum())  # on the CPU
            kind = TEXT if audio == 0 else AUDIO if audio == count else BOTH
        self._graphs(size, kind)
        self.cache.advance(count)

    def _read(self, size: int, kind: int) -> torch.Tensor:
        """Compute the first `size` embeddings through all layers; keys and values go to the KV cache."""
        x, positions = self._x[:size].clone(), self._start + self._steps[:size]
        for layer in range(len(self._audio)):
            x = self._layer(layer, x, positions, kind)
        return x

    def _layer(self, layer: int, x: torch.Tensor, positions: torch.Tensor, kind: int) -> torch.Tensor:
        """Compute one layer of x [size, H], which may be overwritten."""
        decode_fn, cache = self._decode_fn, self.cache.data[layer]
        paths = {TEXT: [self._text], AUDIO: [self._audio], BOTH: [self._text, self._audio]}[kind]
        weights = [path[layer] for path in paths]
        rows = cache.expand(len(x), *cache.shape[1:])  # each position of the chunk is in the same row
        normed = self._chosen([self._norm(x, each.input_norm) for each in weights])
        qkv = decode_fn.rotated_qkv(layer, normed, positions, rows)
        x = addmm(x, decode_fn.kernels.prefill_attention(qkv, cache, positions), weights[0].output)
        return self._chosen([self._fed(x, each) for each in weights])

    def _norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, x.shape[-1:], weight, self._decode_fn.eager.config.rms_norm_eps)

    def _fed(self, x: torch.Tensor, weights: Matrices) -> torch.Tensor:
        gate_up = matmul(self._norm(x, weights.feed_norm), weights.gate_up)
        return addmm(x.clone(), self._decode_fn.kernels.swiglu(gate_up), weights.down)

    def _chosen(self, paths: list[torch.Tensor]) -> torch.Tensor:
        """Select the text path or the audio path for each position; one path if all are the same."""
        if len(paths) == 1:
            return paths[0]
        text, audio = paths
        return torch.where(self._is_audio[: len(text)], audio, text)

    def relative_error(self) -> float:
        """Return the relative error of keys and values of some chunks against Prefill's, at worst."""
        config, device = self._model.config, self._x.device
        chunks = []
        for count, audio_behind in CHECKED:
            ids = torch.arange(count)[None] % config.audio_token_id
            columns = ids[..., None].expand(-1, -1, config.num_codebooks) % config.bos_code
            mask = ids >= audio_behind
            inputs = (upload(part, device) for part in (ids, columns, mask))
            chunks.append((self._model.embed(*inputs), mask))
        exact, ours = (self._filled_by(compute, chunks) for compute in (super()._compute, self._compute))
        errors = (ours - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)
        self.cache.length = 0
        return largest(errors)

    def _filled_by(
        self,
        compute: Callable[[torch.Tensor, torch.Tensor, int], None],
        chunks: list[tuple[torch.Tensor, torch.Tensor]],
    ) -> torch.Tensor:
        self.cache.length = 0
        for embeddings, mask in chunks:
            compute(embeddings, mask, self.cache.length)
        return self.cache.filled().float()


def prefill_on_gpu(
    model: HiggsModel, cache: KVCache, kept_positions: int, decode_fn: KernelDecode
) -> Prefill:
    """Return a KernelPrefill if it computes what Prefill does, else a Prefill; the log says so."""
    prefill = KernelPrefill(model, cache, kept_positions, decode_fn)
    error = prefill.relative_error()
    if not error < MAX_ERROR:
        log.warning(
            "the prefill kernels give other results (error %.3f) and stay unused; prefill is slower", error
        )
        return Prefill(model, cache, kept_positions)
    prefill.capture()
    return prefill
