"""The decode step: every stream of the batch generates its next column.

A stream's whole state is one row of tensors on the model's device; nothing here waits for the device.
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
DecodeFn = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]

MIN_LENGTH = 64  # positions; attention runs over a multiple of it, behind a mask


class Buckets:
    """Sizes of a step: as many rows and positions as needed or, for CUDA graphs, the next power of two.

    any_length: the decode function reads each stream's own positions, so all lengths are one bucket.
    """

    def __init__(self, rows: int, capacity: int, exact: bool, any_length: bool = False) -> None:
        self.rows, self.capacity, self.exact, self.any_length = rows, capacity, exact, any_length

    def around(self, rows: int, length: int) -> tuple[int, int]:
        """Return the smallest bucket with at least these rows and positions."""
        blocks = -(-(self.capacity if self.any_length else length) // MIN_LENGTH)
        if not self.exact:
            rows, blocks = (1 << (count - 1).bit_length() for count in (rows, blocks))
        return min(rows, self.rows), min(blocks * MIN_LENGTH, self.capacity)

    def all(self) -> set[tuple[int, int]]:
        """Return every bucket of powers of two."""
        rows, lengths = range(self.rows.bit_length() + 1), range(self.capacity.bit_length() + 1)
        return {self.around(1 << row, 1 << length) for row in rows for length in lengths}


class StepOutput:
    """The output of a step, being copied to the host."""

    def __init__(self, written: torch.Tensor, host: torch.Tensor | None = None) -> None:
        self._written = written
        self._copied: torch.cuda.Event | None = None
        if host is not None:
            self._written = host[: len(written)]
            self._written.copy_(written, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def wait(self) -> list[list[int]]:
        """Wait for the step; return [n][K + 1]: the frame that each column completes, and the end frame.

        For the end see DelayRule. Only frames from 1 up to the end are audio.
        """
        if self._copied is not None:
            self._copied.synchronize()
        return self._written.tolist()


class ModelRunner:
    """Runs up to `rows` streams. `decode_fn` reads and writes `cache` row by row; any_length: see Buckets."""

    SAMPLER = Sampler

    def __init__(
        self,
        config: HiggsConfig,
        decode_fn: DecodeFn,
        cache: SlotCache | PanelCache,
        any_length: bool = False,
    ) -> None:
        rows, device = cache.rows, cache.device
        self._config, self._decode_fn, self._cache = config, decode_fn, cache
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

    def start(
        self, row: int, filled: Any, options: SamplingOptions, seed: int, max_steps: int, min_frames: int = 0
    ) -> None:
        """Start a stream after a prompt with keys and values `filled` (see KVCache and PanelRow).

        The next step reads its opening column. The stream doesn't end before `min_frames` frames.
        """
        self._cache.load(row, filled)
        self._sampler.start(row, options, seed, max_steps)
        # fill_, since assigning to one element uploads the number, for which CUDA is waited for.
        self._rule.end[row].fill_(self._rule.OPEN)
        self._rule.min_frames[row].fill_(min_frames)
        self._position[row].fill_(filled.shape[1])
        self._column[row].fill_(1)
        self._speaking[row].fill_(1)
        self._recent[row] = -1
        self._recent[row, -1] = self._config.opening_code

    def move(self, source: int, target: int, length: int) -> None:
        """Move a stream with `length` positions to another row."""
        self._cache.move(source, target, length)
        self._sampler.move(source, target)
        rule = self._rule
        for tensor in (rule.end, rule.min_frames, self._position, self._column, self._recent):
            tensor[target] = tensor[source]

    def stop(self, row: int) -> None:
        """Make a row whose stream has ended cheap to compute."""
        self._position[row].zero_()
        self._speaking[row].zero_()

    def step(self, n: int, length: int) -> StepOutput:
        """Generate a column for the first n streams; the longest then has at most `length` positions.

        Doesn't wait for the device. At most two outputs may be outstanding.
        """
        rows, length = self._buckets.around(n, length)
        written = self._graphs(rows, length)[:n]
        self._hosts.reverse()
        return StepOutput(written, self._hosts[0])

    def _write_step(self, rows: int, length: int) -> torch.Tensor:
        """The computation of `step`; the output of unused rows is discarded."""
        codebooks, last = self._config.num_codebooks, self._cache.capacity - 1
        position, column, recent = self._position[:rows], self._column[:rows], self._recent[:rows]
        logits = self._rule.bar(self._decode_fn(recent[:, -1], position, length), column)
        codes = self._sampler.draw(logits, column, recent)
        codes = self._rule.force(codes, column[:, None])
        recent.copy_(torch.cat((recent[:, 1:], codes[:, None]), dim=1))
        position.add_(self._speaking[:rows]).clamp_(max=last)
        column.add_(1).clamp_(max=last)
        frames = recent[:, -codebooks:].diagonal(dim1=1, dim2=2).clamp(max=self._config.bos_code - 1)
        return torch.cat((frames, self._rule.end[:rows, None]), dim=1)
