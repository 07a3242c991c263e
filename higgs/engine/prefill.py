"""Reading prompts: their keys and values, piece by piece, and those of a voice kept for the next request."""

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

PREFILL_CHUNK = 256  # positions read between two steps; bounds how long the streams that speak are held up


@dataclass
class CacheUse:
    """How often something was looked up that was there, and that was not."""

    hits: int = 0
    misses: int = 0

    def note(self, found: bool) -> None:
        self.hits += found
        self.misses += not found


class PrefixCache:
    """Keys and values of the beginnings of prompts, by content; the least recently used go first.

    positions: how many may be kept in all.
    """

    def __init__(self, positions: int) -> None:
        self._positions = self._free = positions
        self._kept: OrderedDict[bytes, Any] = OrderedDict()

    def find(self, prompt: Prompt) -> Any:
        """What KVCache.filled was after the prompt's prefix; None if it is not (any longer) known."""
        key = _key(prompt)
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, prompt: Prompt, filled: Any) -> None:
        """Keep a copy of `filled`, [layers, prefix, …], if it is not larger than the whole cache.

        Others make room before it is copied; where the device's memory doesn't do even so, all go."""
        if prompt.prefix > self._positions:
            return
        while self._free < prompt.prefix:
            _, dropped = self._kept.popitem(last=False)
            self._free += dropped.shape[1]
        try:
            self._kept[_key(prompt)] = filled.clone()
            self._free -= prompt.prefix
        except torch.OutOfMemoryError:
            log.warning("no memory to keep a voice of %d positions; all kept ones are dropped", prompt.prefix)
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
    """Reads one prompt at a time into `cache`, a KVCache or what stands for it.

    A prompt is always cut at the same positions, whether its prefix is known or not, so that its keys and
    values are the same to the bit.
    """

    def __init__(self, model: HiggsModel, cache: Any, kept_positions: int) -> None:
        self.cache = cache
        self.prefilled_positions = 0
        self.prefix_use = CacheUse()
        self._model = model
        self._positions = torch.arange(cache.capacity, device=model.audio_lm_head.weight.device)[None]
        self._prefixes = PrefixCache(kept_positions)

    def forget_prefixes(self) -> None:
        """Let the memory of all kept beginnings go."""
        self._prefixes.clear()

    def begin(self, prompt: Prompt) -> None:
        self.cache.length = 0
        known = self._prefixes.find(prompt) if prompt.prefix else None
        if prompt.prefix:
            self.prefix_use.note(known is not None)
        if known is not None:
            self.cache.restore(known)

    def run_chunk(self, prompt: Prompt) -> bool:
        """Read one piece of the prompt that was begun; True when it stands whole in the cache."""
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
        """Fill the cache with embeddings [1, S, H] at positions from `start` on, audio where mask [1, S].

        The mask is on the CPU."""
        end = start + embeddings.shape[1]
        self._model(embeddings, mask, self._positions[:, start:end], self.cache)
