"""The engine's work on its requests: prefill passes, decode steps, and delivery of the frames."""

import threading
from collections.abc import Callable

from errors import Cancelled
from higgs.engine.model_runner import ModelRunner, StepOutput
from higgs.engine.prefill import Prefill, Reading
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
        self._readings: dict[Generation, Reading] = {}
        self._suspects: list[Generation] = []  # those of whom one is to blame if prefill fails now

    def prefill_pass(self) -> None:
        """Compute the next chunks of prompts; start the streams of those that are complete."""
        self._suspects = []
        for generation in [each for each in self._scheduler.prefilling if each.cancelled]:
            self._stop_prefilling(generation)
            generation.fail(Cancelled("The request was cancelled."))
        while (admitted := self._admit()) is not None:
            self._suspects = [admitted]
            admitted.begin()
            self._readings[admitted] = self._prefill.begin(admitted.prompt)
        self._suspects = self._next_pass()
        if self._suspects:
            self._prefill.run_pass([self._readings[each] for each in self._suspects])
        for generation in [each for each in self._scheduler.prefilling if self._readings[each].complete]:
            self._suspects = [generation]
            self._start(generation)

    def drop_prompts(self) -> list[Generation] | None:
        """Remove and return the request whose prompt failed in prefill_pass.

        None if one of several did: nobody is removed, and each is read alone from now on.
        """
        if len(self._suspects) > 1:
            for generation in self._suspects:
                self._readings[generation].alone = True
            return None
        for generation in self._suspects:
            self._stop_prefilling(generation)
        return self._suspects

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

    def _admit(self) -> Generation | None:
        """Take the next request from the queue if the next pass has room for it."""
        with self._lock:
            return self._scheduler.admit(lambda generation: self._prefill.has_room(generation.prompt))

    def _next_pass(self) -> list[Generation]:
        """Return the requests, in order, whose prompts the next pass reads as far as it has room."""
        unread = [each for each in self._scheduler.prefilling if not self._readings[each].complete]
        if unread and self._readings[unread[0]].alone:
            return unread[:1]
        return [each for each in unread if not self._readings[each].alone]

    def _start(self, generation: Generation) -> None:
        """Start the stream of a prompt that is complete."""
        row, filled = len(self._scheduler.rows), self._prefill.filled(self._readings[generation])
        limits = generation.max_steps, generation.min_frames
        self._runner.start(row, filled, generation.options, generation.seed, *limits)
        generation.columns = 1
        self._prefill.end(self._readings.pop(generation))
        self._scheduler.activate(generation)

    def _stop_prefilling(self, generation: Generation) -> None:
        self._scheduler.stop_prefilling(generation)
        if (reading := self._readings.pop(generation, None)) is not None:
            self._prefill.end(reading)

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
