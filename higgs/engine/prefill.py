"""Prefill: compute the keys and values of prompts in chunks, and cache those of voices.

A pass computes a chunk of one prompt or, where the device gains by it, chunks of several.
"""

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch

from higgs.devices import upload
from higgs.model.config import HiggsConfig
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt

log = logging.getLogger(__name__)

PREFILL_CHUNK = 256  # positions of a pass, so of all that runs between two steps: bounds the streams' delay
PREFILL_BLOCK = 16  # positions of a pass that are one prompt's; a chunk takes whole ones


@dataclass
class CacheUse:
    """Hits and misses of a cache."""

    hits: int = 0
    misses: int = 0

    def note(self, found: bool) -> None:
        self.hits += found
        self.misses += not found


class PrefixCache:
    """An LRU cache of the keys and values of prompt prefixes, by content.

    Args:
        positions: maximum size in positions.
    """

    def __init__(self, positions: int) -> None:
        self._positions = self._free = positions
        self._kept: OrderedDict[bytes, Any] = OrderedDict()

    def find(self, prompt: Prompt) -> Any:
        """Return KVCache.filled as it was after the prompt's prefix; None if not cached."""
        key = _key(prompt)
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, prompt: Prompt, filled: Any) -> None:
        """Cache a copy of `filled`, [layers, prefix, …], unless it exceeds the whole cache.

        Older entries are evicted before copying; if the device still runs out of memory, all are.
        """
        if prompt.prefix > self._positions:
            return
        while self._free < prompt.prefix:
            _, dropped = self._kept.popitem(last=False)
            self._free += dropped.shape[1]
        try:
            self._kept[_key(prompt)] = filled.clone()
            self._free -= prompt.prefix
        except torch.OutOfMemoryError:
            log.warning("no memory to cache a prefix of %d positions; clearing the cache", prompt.prefix)
            self.clear()

    def clear(self) -> None:
        self._kept.clear()
        self._free = self._positions


def _key(prompt: Prompt) -> bytes:
    digest = hashlib.sha256()
    for part in (prompt.input_ids, prompt.audio_columns, prompt.audio_mask):
        digest.update(part[: prompt.prefix].numpy().tobytes())
    return digest.digest()


@dataclass(eq=False)
class Reading:
    """A prompt of which the first `length` positions are computed.

    Attributes:
        prompt: the prompt.
        first: where its first position is in the cache.
        alone: it must not share a pass, since one that it shared has failed.
    """

    prompt: Prompt
    first: int = 0
    length: int = 0
    alone: bool = False

    @property
    def in_prefix(self) -> bool:
        return self.length < self.prompt.prefix

    @property
    def left(self) -> int:
        """Positions left of the prefix or, behind it, of the rest: no chunk has positions of both."""
        return (self.prompt.prefix if self.in_prefix else len(self.prompt)) - self.length

    @property
    def complete(self) -> bool:
        return self.length == len(self.prompt)


Chunk = tuple[Reading, int]  # a prompt, and how many of its next positions


def chunks_of(readings: list[Reading]) -> list[Chunk]:
    """Return the chunks of a pass: of each prompt, in order, as many positions as there is room for."""
    chunks, room = [], PREFILL_CHUNK
    for reading in readings:
        if room <= 0:
            break
        count = min(reading.left, room)
        chunks.append((reading, count))
        room -= blocks(count) * PREFILL_BLOCK
    return chunks


def check(prompt: Prompt, config: HiggsConfig) -> None:
    """Check that a prompt's ids and codes have embeddings: looking for others would end a GPU's process.

    Raises:
        IndexError: one has none.
    """
    first_code = min(config.opening_code, 0)
    limits = (
        (prompt.input_ids, 0, config.vocab_size),
        (prompt.audio_columns, first_code, config.codebook_size),
    )
    for part, first, end in limits:
        least, most = part.aminmax()
        if int(least) < first or int(most) >= end:
            raise IndexError(
                f"a prompt has ids or codes from {int(least)} to {int(most)}, not {first} to {end - 1}"
            )


def blocks(positions: int) -> int:
    return -(-positions // PREFILL_BLOCK)


class Prefill:
    """Computes prompts, one at a time, into `cache`, a KVCache or equivalent.

    A prompt that is read alone is always split at the same positions, whether its prefix is cached or not, so
    that its keys and values are bit-identical.
    """

    def __init__(self, model: HiggsModel, cache: Any, kept_positions: int) -> None:
        self.cache = cache
        self.prefilled_positions = 0
        self.prefix_use = CacheUse()
        self._model = model
        self._positions = torch.arange(cache.capacity, device=model.audio_lm_head.weight.device)[None]
        self._prefixes = PrefixCache(kept_positions)
        self._readings: list[Reading] = []

    def forget_prefixes(self) -> None:
        """Clear the prefix cache."""
        self._prefixes.clear()

    def has_room(self, prompt: Prompt) -> bool:
        """Return whether the next pass has room for this prompt beside those that are being read."""
        return self._place(prompt) is not None

    def begin(self, prompt: Prompt) -> Reading:
        """Start a prompt for which there is room; restore its prefix if it is cached.

        Raises:
            IndexError: it can't be embedded.
        """
        check(prompt, self._model.config)
        first = self._place(prompt)
        assert first is not None
        reading = Reading(prompt, first)
        if prompt.prefix:
            known = self._prefixes.find(prompt)
            self.prefix_use.note(known is not None)
            if known is not None:
                reading.length = prompt.prefix
                self._restore(reading, known)
        self._readings.append(reading)
        return reading

    def run_pass(self, readings: list[Reading]) -> None:
        """Compute the next chunks of prompts, PREFILL_CHUNK positions in all; the first has one for sure.

        If it raises, nothing has changed, and the same prompts can be read again.
        """
        chunks = chunks_of(readings)
        self.read(chunks)
        self.prefilled_positions += sum(count for _, count in chunks)

    def read(self, chunks: list[Chunk]) -> None:
        """Compute chunks; the prefix of a prompt is cached once it is whole."""
        self._compute(chunks)
        for reading, count in chunks:
            reading.length += count
            if reading.length == reading.prompt.prefix:
                self._prefixes.keep(reading.prompt, self.filled(reading))

    def filled(self, reading: Reading) -> Any:
        """Return a view of the keys and values that are computed; see KVCache.filled."""
        self.cache.length = reading.length
        return self.cache.filled()

    def end(self, reading: Reading) -> None:
        """Free the place of a prompt in the cache."""
        self._readings.remove(reading)

    def _place(self, prompt: Prompt) -> int | None:
        """Return where the positions of another prompt can begin in the cache; None if there is no room."""
        return None if self._readings else 0

    def _restore(self, reading: Reading, known: Any) -> None:
        """Copy the keys and values of a prefix to the prompt's place."""
        self.cache.restore(known)

    def _compute(self, chunks: list[Chunk]) -> None:
        """Compute chunks into the cache; here of one prompt."""
        [(reading, count)] = chunks
        start, end = reading.length, reading.length + count
        prompt, device = reading.prompt, self._positions.device
        mask = prompt.audio_mask[None, start:end]
        ids, columns, audio = (
            upload(tensor, device)
            for tensor in (prompt.input_ids[None, start:end], prompt.audio_columns[None, start:end], mask)
        )
        self.cache.length = start
        self._forward(self._model.embed(ids, columns, audio), mask, start)

    def _forward(self, embeddings: torch.Tensor, mask: torch.Tensor, start: int) -> None:
        """Compute embeddings [1, S, H] at positions from `start` on into the cache.

        mask [1, S], on the CPU, is true for audio positions.
        """
        end = start + embeddings.shape[1]
        self._model(embeddings, mask, self._positions[:, start:end], self.cache)
