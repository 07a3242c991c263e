"""Prefill on a GPU: a pass over chunks of several prompts is one upload and one CUDA graph.

The graph is chosen by the pass's length, rounded up, and by what its positions are. The chunks stand one
behind the other, each from the start of a block of PREFILL_BLOCK positions on; the prompts that are being
read share the positions of one KVCache. Products see all positions as rows of one matrix, and attention's
programs one block each, so company changes keys and values only as far as a product of more rows rounds.

Prefill is the reference, as FusedDecode is for the step.
"""

from typing import NamedTuple, cast

import torch

from higgs.cuda.decode import MAX_ERROR, KernelDecode, largest
from higgs.cuda.fallback import kernels_or
from higgs.devices import upload
from higgs.engine.cuda_graphs import Graphs
from higgs.engine.fused_decode import Matrices
from higgs.engine.kv_cache import KVCache
from higgs.engine.prefill import PREFILL_BLOCK, PREFILL_CHUNK, Chunk, Prefill, Reading, blocks
from higgs.model.config import HiggsConfig
from higgs.model.quantised import addmm, matmul
from higgs.model.transformer import HiggsModel, Layer
from higgs.prompts.v2 import Prompt

SIZES = (32, 64, 128, PREFILL_CHUNK)  # positions of a graph's pass
TEXT, AUDIO, BOTH = range(3)  # what the positions of a pass are; for both, both paths are computed
ID, IS_AUDIO, POSITION, FIRST, COLUMN = range(5)  # rows of a pass's inputs; the columns' codes are the last
CHECKED = (40, 24), (20, 30), (40, 10)  # positions of two prompts in a pass of the check: text, audio, both


class Rows(NamedTuple):
    """What the positions of a pass are: see prefill_attention; is_audio is [S, 1]."""

    positions: torch.Tensor
    firsts: torch.Tensor
    is_audio: torch.Tensor


class KernelPrefill(Prefill):
    """Prefill of several prompts a pass into a KVCache, with the matrices and kernels of a KernelDecode."""

    def __init__(
        self, model: HiggsModel, cache: KVCache, kept_positions: int, decode_fn: KernelDecode
    ) -> None:
        super().__init__(model, cache, kept_positions)
        self._decode_fn, self._dual = decode_fn, model.config.dual_ffn
        self._audio = self._text = decode_fn.eager.layers
        if self._dual:
            layers = [cast(Layer, layer) for layer in model.model.layers]
            self._text = [
                matrices.text_of(layer) for matrices, layer in zip(self._audio, layers, strict=True)
            ]
        shape = (COLUMN + model.config.num_codebooks, PREFILL_CHUNK)
        self._inputs = torch.zeros(shape, device=cache.data.device, dtype=torch.int64)
        self._graphs = Graphs(self._read, name="a prefill pass")

    def capture(self) -> None:
        """Capture all graphs, on random inputs."""
        config, inputs = self._model.config, self._inputs
        inputs[ID].random_(config.vocab_size)
        inputs[IS_AUDIO].random_(2)
        inputs[COLUMN:].random_(config.bos_code)
        inputs[POSITION].copy_(torch.arange(PREFILL_CHUNK, device=inputs.device))
        inputs[FIRST].zero_()  # one prompt: two would write to the same places
        kinds = (TEXT, AUDIO, BOTH) if self._dual else (AUDIO,)
        sizes = [size for size in SIZES if size <= len(self._decode_fn.eager.rope)]
        self._graphs.capture([(size, kind) for size in sizes for kind in kinds], inputs.device)

    def has_room(self, prompt: Prompt) -> bool:
        """See Prefill. Whoever needs a prefix that is just being computed waits for it."""
        if any(reading.in_prefix and same_prefix(reading.prompt, prompt) for reading in self._readings):
            return False
        taken = sum(blocks(reading.left) for reading in self._readings)
        return taken < blocks(PREFILL_CHUNK) and super().has_room(prompt)

    def filled(self, reading: Reading) -> torch.Tensor:
        """See KVCache.filled."""
        filled: torch.Tensor = self.cache.data[:, 0, reading.first : reading.first + reading.length]
        return filled

    def _place(self, prompt: Prompt) -> int | None:
        place = 0
        for reading in sorted(self._readings, key=lambda reading: reading.first):
            if place + len(prompt) <= reading.first:
                break
            place = reading.first + len(reading.prompt)
        return place if place + len(prompt) <= self.cache.capacity else None

    def _restore(self, reading: Reading, known: torch.Tensor) -> None:
        self.filled(reading).copy_(known)

    def _compute(self, chunks: list[Chunk]) -> None:
        taken = sum(blocks(count) for _, count in chunks) * PREFILL_BLOCK
        # What is kept of a voice is the same whoever is read beside it: its products have as many rows.
        needed = PREFILL_CHUNK if any(reading.in_prefix for reading, _ in chunks) else taken
        size = next(size for size in SIZES if size >= needed)
        inputs = packed(chunks, size, self._model.config.num_codebooks)
        self._inputs[:, :size].copy_(upload(inputs, self._inputs.device))
        kind = AUDIO
        if self._dual:
            audio, count = int(inputs[IS_AUDIO].sum()), sum(count for _, count in chunks)
            kind = TEXT if audio == 0 else AUDIO if audio == count else BOTH
        self._graphs(size, kind)

    def _read(self, size: int, kind: int) -> torch.Tensor:
        """Compute the first `size` inputs through all layers; keys and values go to the KV cache."""
        inputs = self._inputs[:, :size]
        is_audio = inputs[IS_AUDIO].bool()
        rows = Rows(inputs[POSITION], inputs[FIRST, : blocks(size)], is_audio[:, None])
        x = self._model.embed(inputs[ID], inputs[COLUMN:].T, is_audio)
        for layer in range(len(self._audio)):
            x = self._layer(layer, x, rows, kind)
        return x

    def _layer(self, layer: int, x: torch.Tensor, rows: Rows, kind: int) -> torch.Tensor:
        """Compute one layer of x [size, H], which may be overwritten."""
        decode_fn, cache = self._decode_fn, self.cache.data[layer]
        paths = {TEXT: [self._text], AUDIO: [self._audio], BOTH: [self._text, self._audio]}[kind]
        weights = [path[layer] for path in paths]
        normed = chosen([self._norm(x, each.input_norm) for each in weights], rows.is_audio)
        qkv = decode_fn.rotated_qkv(layer, normed, rows.positions, rows.firsts, cache)
        attended = decode_fn.kernels.prefill_attention(qkv, cache, rows.positions, rows.firsts)
        x = addmm(x, attended, weights[0].output)
        return chosen([self._fed(x, each) for each in weights], rows.is_audio)

    def _norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return self._decode_fn.kernels.rms_norm(x, weight, self._decode_fn.eager.config.rms_norm_eps)

    def _fed(self, x: torch.Tensor, weights: Matrices) -> torch.Tensor:
        gate_up = matmul(self._norm(x, weights.feed_norm), weights.gate_up)
        return addmm(x.clone(), self._decode_fn.kernels.swiglu(gate_up), weights.down)

    def relative_error(self) -> float:
        """Return the relative error of keys and values of two prompts, read together, against Prefill's."""
        config = self._model.config
        prompts = checked_prompts(config)
        readings = [self.begin(prompt) for prompt in prompts]
        for counts in CHECKED:
            self.read(list(zip(readings, counts, strict=True)))
        errors = []
        for prompt, reading, parts in zip(prompts, readings, zip(*CHECKED, strict=True), strict=True):
            cache = KVCache(config, len(prompt), device=self._inputs.device, dtype=self.cache.data.dtype)
            reference = Prefill(self._model, cache, 0)
            alone = reference.begin(prompt)
            for count in parts:
                reference.read([(alone, count)])
            exact = reference.filled(alone).float().flatten(1)
            errors.append((self.filled(reading).float().flatten(1) - exact).norm(dim=1) / exact.norm(dim=1))
            self.end(reading)
        return largest(torch.cat(errors))


def chosen(paths: list[torch.Tensor], is_audio: torch.Tensor) -> torch.Tensor:
    """Select the text path or the audio path for each position; one path if all are the same."""
    if len(paths) == 1:
        return paths[0]
    text, audio = paths
    return torch.where(is_audio, audio, text)


def same_prefix(one: Prompt, other: Prompt) -> bool:
    parts = ((each.input_ids, each.audio_columns, each.audio_mask) for each in (one, other))
    return one.prefix == other.prefix and all(
        torch.equal(part[: one.prefix], likewise[: one.prefix]) for part, likewise in zip(*parts, strict=True)
    )


def packed(chunks: list[Chunk], size: int, codebooks: int) -> torch.Tensor:
    """Return the inputs of a pass, int64 [COLUMN + codebooks, size]; positions that nobody has are -1."""
    inputs = torch.zeros(COLUMN + codebooks, size, dtype=torch.int64)
    inputs[POSITION] = -1
    block = 0
    for reading, count in chunks:
        prompt, start, place = reading.prompt, reading.length, block * PREFILL_BLOCK
        part, of_pass = slice(start, start + count), inputs[:, place : place + count]
        of_pass[ID] = prompt.input_ids[part]
        of_pass[IS_AUDIO] = prompt.audio_mask[part]
        of_pass[POSITION] = torch.arange(start, start + count)
        of_pass[COLUMN:] = prompt.audio_columns[part].T
        inputs[FIRST, block : block + blocks(count)] = reading.first
        block += blocks(count)
    return inputs


def checked_prompts(config: HiggsConfig) -> list[Prompt]:
    """Return two prompts, of text, then audio, then both, as long as CHECKED reads of them."""
    prompts = []
    for text, audio, both in zip(*CHECKED, strict=True):
        ids = torch.arange(text + audio + both) % config.audio_token_id
        is_audio = (ids >= text) & ((ids < text + audio) | (ids % 2 == 0))
        columns = ids[:, None].expand(-1, config.num_codebooks) % config.bos_code
        prompts.append(Prompt(ids, columns, is_audio))
    return prompts


def prefill_on_gpu(
    model: HiggsModel, cache: KVCache, kept_positions: int, decode_fn: KernelDecode
) -> Prefill:
    """Return a KernelPrefill if it works here and computes what Prefill does, else a Prefill."""
    prefill = kernels_or(
        None,
        lambda: KernelPrefill(model, cache, kept_positions, decode_fn),
        lambda error: error < MAX_ERROR,
        lambda kernels: kernels.relative_error(),
        "the prefill kernels can't be used, so prefill is slower: %s",
        "the prefill kernels give other results (error %.3f) and stay unused; prefill is slower",
    )
    if prefill is None:
        return Prefill(model, cache, kept_positions)
    prefill.capture()
    return prefill
