"""The step: every stream of the batch writes its next column.

All that a stream is stands in one row of tensors on the model's device; nothing here waits for the device.
"""

from collections.abc import Callable

import torch

from higgs.cache import SlotCache
from higgs.config import HiggsConfig
from higgs.delay import DelayRule
from higgs.sampling import LONGEST_WINDOW, Sampler, SamplingOptions

# Delayed columns [n, K], their positions [n] and a length → logits [n, K, V]; see AudioPath.
Path = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]

BUCKET = 64  # positions; attention runs over a multiple of it, behind a mask


class Decoder:
    """Up to `rows` streams, the first of which speak. `path` reads and writes `cache`, row by row."""

    def __init__(self, config: HiggsConfig, path: Path, cache: SlotCache) -> None:
        rows, device = cache.data.shape[1], cache.data.device
        self._config, self._path, self._cache = config, path, cache
        self._sampler = Sampler(config, cache.capacity, rows, device)
        self._rule = DelayRule(config, rows, device)
        self._position = torch.zeros(rows, dtype=torch.int64, device=device)
        self._column = torch.zeros(rows, dtype=torch.int64, device=device)
        self._recent = torch.zeros(
            rows, LONGEST_WINDOW, config.num_codebooks, dtype=torch.int64, device=device
        )

    def start(
        self, row: int, filled: torch.Tensor, options: SamplingOptions, seed: int, max_columns: int
    ) -> None:
        """Begin a stream behind a prompt of which `filled` (see KVCache) are the keys and values.

        Its opening column, all bos_code, is the first that the next step reads.
        """
        self._cache.load(row, filled)
        self._sampler.start(row, options, seed, max_columns)
        self._rule.end[row] = self._rule.OPEN
        self._position[row] = filled.shape[1]
        self._column[row] = 1
        self._recent[row] = -1
        self._recent[row, -1] = self._config.bos_code

    def move(self, source: int, target: int, length: int) -> None:
        """Let the stream of one row, which fills `length` positions, go on in another."""
        self._cache.move(source, target, length)
        self._sampler.move(source, target)
        for tensor in (self._rule.end, self._position, self._column, self._recent):
            tensor[target] = tensor[source]

    def step(self, n: int, length: int) -> torch.Tensor:
        """Write a column of each of the first n streams, the longest of which then fills `length` positions.

        The frame that each column completes, and the number of the frame that ends its stream (see
        DelayRule): [n, K + 1] int64 on the CPU. Only frames from 1 up to the end are audio.
        """
        books = self._config.num_codebooks
        length = min(-(-length // BUCKET) * BUCKET, self._cache.capacity)
        position, column, recent = self._position[:n], self._column[:n], self._recent[:n]
        logits = self._path(recent[:, -1], position, length)
        codes = self._sampler.draw(logits, column, recent, self._sampler.candidates(n))
        codes = self._rule.force(codes, column[:, None])
        recent.copy_(torch.cat((recent[:, 1:], codes[:, None]), dim=1))
        position.add_(1)
        column.add_(1)
        frames = recent[:, -books:].diagonal(dim1=1, dim2=2).clamp(max=self._config.bos_code - 1)
        return torch.cat((frames, self._rule.end[:n, None]), dim=1).cpu()
