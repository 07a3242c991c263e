"""The engine's work on its requests: prefill chunks, decode steps, and delivery of the frames."""

import threading
from collections.abc import Callable

from errors import Cancelled
from higgs.engine.model_runner import ModelRunner, StepOutput
from higgs.engine.prefill import Prefill
from higgs.engine.request import Generation
from higgs.engine.scheduler import Scheduler
from higgs.model.config import HiggsConfig

LOOKAHEAD = 1  # columns that a stream may have generated beyond those delivered


class Batch:
    """Prefills and steps the requests of a scheduler. Only the engine's thread calls its methods.

    Args:
        scheduler: holds the requests.
        lock: guards the scheduler's queue, which other threads change.
        prefill: computes prompts.
        runner: computes decode steps; its rows are the scheduler's.
        config: codebooks and closing frames of the model's streams.
        finished: called with each stream that has ended, before its reader learns of it.
    """

    def __init__(
        self,
        scheduler: Scheduler[Generation],
        lock: threading.Condition,
        prefill: Prefill,
        runner: ModelRunner,
        config: HiggsConfig,
        finished: Callable[[Generation], None],
    ) -> None:
        self._scheduler, self._lock = scheduler, lock
        self._prefill, self._runner, self._finished = prefill, runner, finished
        self._codebooks = config.num_codebooks
        self._closing = config.mark_frames  # frames that close a stream after its audio
        self._pending: tuple[list[Generation], StepOutput] | None = None

    def prefill_chunk(self) -> None:
        """Prefill one chunk of a prompt; start its stream once the prompt is complete."""
        with self._lock:
            begun = self._scheduler.prefilling is not None
            generation = self._scheduler.admit()
        if generation is None:
            return
        if generation.cancelled:
            self._scheduler.stop_prefilling()
            return generation.fail(Cancelled("The request was cancelled."))
        if not begun:
            generation.begin()
            self._prefill.begin(generation.prompt)
        if self._prefill.run_chunk(generation.prompt):
            row, filled = len(self._scheduler.rows), self._prefill.cache.filled()
            limits = generation.max_steps, generation.min_frames
            self._runner.start(row, filled, generation.options, generation.seed, *limits)
            generation.columns = 1
            self._scheduler.activate()

    def step(self) -> None:
        """Run one step, and deliver the output of the previous one."""
        rows = self._scheduler.rows
        for generation in [generation for generation in rows if generation.cancelled]:
            generation.fail(Cancelled("The request was cancelled."))
            self._release(generation)
        before, self._pending = self._pending, None
        if rows:
            longest = max(len(generation.prompt) + generation.columns for generation in rows) + LOOKAHEAD
            self._pending = rows.copy(), self._runner.step(len(rows), longest)
        if before is not None:
            generations, output = before
            for generation, (*codes, end) in zip(generations, output.wait(), strict=True):
                if generation in rows and self._deliver(generation, codes, end):
                    self._release(generation)
        if not rows:
            self._pending = None  # nobody is left to read it

    def drop_rows(self) -> list[Generation]:
        """Remove and return all running requests, after a step that failed."""
        self._pending = None
        return self._scheduler.clear_rows()

    def _deliver(self, generation: Generation, codes: list[int], end: int) -> bool:
        """Deliver the K codes of the frame that the newest column completes; return if the stream ended."""
        generation.columns += 1
        frame = generation.columns - self._codebooks
        if 1 <= frame < end:
            generation.put(codes)
        complete = frame >= end - 1 + self._closing
        if not (complete or generation.columns == generation.max_steps or generation.stalled):
            return False
        self._finished(generation)
        generation.finish("stop" if complete else "length")
        return True

    def _release(self, generation: Generation) -> None:
        """Free the row of an ended stream, and fill the gap."""
        row = self._scheduler.rows.index(generation)
        if (source := self._scheduler.leave(row)) is not None:
            moved = self._scheduler.rows[row]
            self._runner.move(source, row, len(moved.prompt) + moved.columns + LOOKAHEAD)
        self._runner.stop(len(self._scheduler.rows))
