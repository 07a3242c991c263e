"""The step: every stream of the batch writes its next column.

All that a stream is stands in one row of tensors on the model's device; nothing here waits for the device.
"""

from collections.abc import Callable
from typing import Any

import torch

from higgs.cpu.cache import PanelCache
from higgs.engine.cuda_graphs import Graphs
from higgs.engine.kv_cache import SlotCache
from higgs.engine.sampler import MAX_WINDOW, Sampler, SamplingOptions
from higgs.model.config import HiggsConfig
from higgs.model.delay import DelayRule

# Delayed columns [n, K], their positions [n] and a length → logits [n, K, V]; see FusedDecode.
Path = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]

MIN_LENGTH = 64  # positions; attention runs over a multiple of it, behind a mask


class Buckets:
    """How many rows and positions a step computes: what is needed, or (for graphs) the next power of two.

    any_length: the path reads each stream's own positions, so that all lengths are one bucket.
    """

    def __init__(self, rows: int, capacity: int, exact: bool, any_length: bool = False) -> None:
        self.rows, self.capacity, self.exact, self.any_length = rows, capacity, exact, any_length

    def around(self, rows: int, length: int) -> tuple[int, int]:
        """The smallest bucket that holds so many rows and positions."""
        blocks = -(-(self.capacity if self.any_length else length) // MIN_LENGTH)
        if not self.exact:
            rows, blocks = (1 << (count - 1).bit_length() for count in (rows, blocks))
        return min(rows, self.rows), min(blocks * MIN_LENGTH, self.capacity)

    def all(self) -> set[tuple[int, int]]:
        """Every bucket of a power of two."""
        rows, lengths = range(self.rows.bit_length() + 1), range(self.capacity.bit_length() + 1)
        return {self.around(1 << row, 1 << length) for row in rows for length in lengths}


class StepOutput:
    """What a step has written, on its way to the host."""

    def __init__(self, written: torch.Tensor, host: torch.Tensor | None = None) -> None:
        self._written = written
        self._copied: torch.cuda.Event | None = None
        if host is not None:
            self._written = host[: len(written)]
            self._written.copy_(written, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def wait(self) -> list[list[int]]:
        """The frame that each stream's column completes, and the number of the frame that ends the stream
        (see DelayRule), [n][K + 1]. Only frames from 1 up to the end are audio. Waits for the step."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._written.tolist()


class ModelRunner:
    """Up to `rows` streams, the first of which speak. `path` reads and writes `cache`, row by row.

    any_length: as of Buckets.
    """

    SAMPLER = Sampler

    def __init__(
        self, config: HiggsConfig, path: Path, cache: SlotCache | PanelCache, any_length: bool = False
    ) -> None:
        rows, device = cache.rows, cache.device
        self._config, self._decode_fn, self._cache = config, path, cache
        self._sampler = self.SAMPLER(config, cache.capacity, rows, device)
        self._rule = DelayRule(config, rows, device)
        self._position = torch.zeros(rows, dtype=torch.int64, device=device)
        self._column = torch.zeros(rows, dtype=torch.int64, device=device)
        self._speaking = torch.zeros(rows, dtype=torch.int64, device=device)
        self._recent = torch.zeros(rows, MAX_WINDOW, config.num_codebooks, dtype=torch.int64, device=device)
        self._buckets = Buckets(rows, cache.capacity, device.type == "cpu", any_length)
        self._graphs = Graphs(self._write_step, (self._rule.end, self._position, self._column, self._recent))
        # Pinned, or the copy would wait for the device; two, since a step is taken while the next one runs.
        self._hosts: list[torch.Tensor | None] = [None, None]
        if device.type == "cuda":
            self._recent.random_(config.bos_code)  # for the graphs' check; each stream's start sets its own
            self._graphs.capture(self._buckets.all(), device)
            shape = (rows, config.num_codebooks + 1)
            self._hosts = [torch.empty(shape, dtype=torch.int64, pin_memory=True) for _ in range(2)]

    def start(self, row: int, filled: Any, options: SamplingOptions, seed: int, max_steps: int) -> None:
        """Begin a stream behind a prompt whose keys and values are `filled` (see KVCache and PanelRow).

        Its opening column is the first that the next step reads.
        """
        self._cache.load(row, filled)
        self._sampler.start(row, options, seed, max_steps)
        # fill_, since assigning to one element uploads the number, for which CUDA is waited for.
        self._rule.end[row].fill_(self._rule.OPEN)
        self._position[row].fill_(filled.shape[1])
        self._column[row].fill_(1)
        self._speaking[row].fill_(1)
        self._recent[row] = -1
        self._recent[row, -1] = self._config.opening_code

    def move(self, source: int, target: int, length: int) -> None:
        """Let the stream of one row, which fills `length` positions, go on in another."""
        self._cache.move(source, target, length)
        self._sampler.move(source, target)
        for tensor in (self._rule.end, self._position, self._column, self._recent):
            tensor[target] = tensor[source]

    def stop(self, row: int) -> None:
        """Let a row whose stream has ended cost little, where a batch computes it beside others."""
        self._position[row].zero_()
        self._speaking[row].zero_()

    def step(self, n: int, length: int) -> StepOutput:
        """Write a column of each of the first n streams, the longest of which then fills at most `length`
        positions.

        Doesn't wait for the device. Of the results two may be waited for at a time.
        """
        rows, length = self._buckets.around(n, length)
        written = self._graphs(rows, length)[:n]
        self._hosts.reverse()
        return StepOutput(written, self._hosts[0])

    def _write_step(self, rows: int, length: int) -> torch.Tensor:
        """The work of `step`; rows beyond those that speak compute what nobody reads."""
        codebooks, last = self._config.num_codebooks, self._cache.capacity - 1
        position, column, recent = self._position[:rows], self._column[:rows], self._recent[:rows]
        logits = self._rule.bar(self._decode_fn(recent[:, -1], position, length))
        codes = self._sampler.draw(logits, column, recent)
        codes = self._rule.force(codes, column[:, None])
        recent.copy_(torch.cat((recent[:, 1:], codes[:, None]), dim=1))
        position.add_(self._speaking[:rows]).clamp_(max=last)
        column.add_(1).clamp_(max=last)
        frames = recent[:, -codebooks:].diagonal(dim1=1, dim2=2).clamp(max=self._config.bos_code - 1)
        return torch.cat((frames, self._rule.end[:rows, None]), dim=1)
