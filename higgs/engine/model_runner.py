"""The decode step: every stream of the batch generates its next column.

Nothing here waits for the device.
"""

from collections.abc import Callable
from typing import Any

import torch

from higgs.cpu.cache import PanelCache
from higgs.engine.column_writer import ColumnWriter
from higgs.engine.cuda_graphs import Graphs
from higgs.engine.kv_cache import SlotCache
from higgs.engine.sampler import SamplingOptions
from higgs.model.config import HiggsConfig

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
    """Runs up to `cache.rows` streams.

    Args:
        decode_fn: reads and writes `cache` row by row.
        any_length: see Buckets.
        writer: the kind of ColumnWriter for the cache's device.
    """

    def __init__(
        self,
        config: HiggsConfig,
        decode_fn: DecodeFn,
        cache: SlotCache | PanelCache,
        any_length: bool = False,
        writer: type[ColumnWriter] = ColumnWriter,
    ) -> None:
        rows, device = cache.rows, cache.device
        self._decode_fn, self._cache = decode_fn, cache
        self._columns = writer(config, rows, cache.capacity, device)
        self._buckets = Buckets(rows, cache.capacity, device.type == "cpu", any_length)
        self._graphs = Graphs(self._write_step, self._columns.changing)
        # Pinned, or the copy would wait for the device; two, since a step is taken while the next one runs.
        self._hosts: list[torch.Tensor | None] = [None, None]
        if device.type == "cuda":
            # For the graphs' check; each stream's start sets its own.
            self._columns.recent.random_(config.bos_code)
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
        self._columns.start(row, filled.shape[1], options, seed, max_steps, min_frames)

    def move(self, source: int, target: int, length: int) -> None:
        """Move a stream with `length` positions to another row."""
        self._cache.move(source, target, length)
        self._columns.move(source, target)

    def stop(self, row: int) -> None:
        """Make a row whose stream has ended cheap to compute."""
        self._columns.stop(row)

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
        columns = self._columns
        return columns.write(self._decode_fn(columns.recent[:rows, -1], columns.position[:rows], length))
