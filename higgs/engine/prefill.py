"""Prefill: compute the keys and values of prompts in chunks, and cache those of voices."""

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch

from higgs.devices import upload
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt

log = logging.getLogger(__name__)

PREFILL_CHUNK = 256  # positions computed between two steps; bounds the delay of running streams


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


class Prefill:
    """Computes one prompt at a time into `cache`, a KVCache or equivalent.

    A prompt is always split at the same positions, whether its prefix is cached or not, so that its keys and
    values are bit-identical.
    """

    def __init__(self, model: HiggsModel, cache: Any, kept_positions: int) -> None:
        self.cache = cache
        self.prefilled_positions = 0
        self.prefix_use = CacheUse()
        self._model = model
        self._positions = torch.arange(cache.capacity, device=model.audio_lm_head.weight.device)[None]
        self._prefixes = PrefixCache(kept_positions)

    def forget_prefixes(self) -> None:
        """Clear the prefix cache."""
        self._prefixes.clear()

    def begin(self, prompt: Prompt) -> None:
        """Start a prompt; restore its prefix if it is cached."""
        self.cache.length = 0
        known = self._prefixes.find(prompt) if prompt.prefix else None
        if prompt.prefix:
            self.prefix_use.note(known is not None)
        if known is not None:
            self.cache.restore(known)

    def run_chunk(self, prompt: Prompt) -> bool:
        """Compute one chunk of the prompt; return True when it is complete."""
        start = self.cache.length
        part = prompt.prefix if start < prompt.prefix else len(prompt)
        end = min(start + PREFILL_CHUNK, part)
        mask = prompt.audio_mask[None, start:end]
        ids, columns, audio = (
            upload(tensor, self._positions.device)
            for tensor in (prompt.input_ids[None, start:end], prompt.audio_columns[None, start:end], mask)
        )
        self._compute(self._model.embed(ids, columns, audio), mask, start)
        self.prefilled_positions += end - start
        if end == prompt.prefix:
            self._prefixes.keep(prompt, self.cache.filled())
        return end == len(prompt)

    def _compute(self, embeddings: torch.Tensor, mask: torch.Tensor, start: int) -> None:
        """Compute embeddings [1, S, H] at positions from `start` on into the cache.

        mask [1, S], on the CPU, is true for audio positions.
        """
        end = start + embeddings.shape[1]
        self._model(embeddings, mask, self._positions[:, start:end], self.cache)
