"""The inference engine: one thread owns the model and runs many requests as one batch.

It handles ids and codes only. Requests join and leave between steps: between two steps, a bounded number of
positions of prompts is prefilled, and each step generates one column for every running stream (see Batch).
The host is one step behind the device: it delivers a step's output while the next one runs, so a stream that
has just ended generates one column that is discarded. Each request ends in exactly one way: complete, or
failed.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from typing import Any

import torch

from errors import Cancelled, EngineFailed, InvalidRequest, ModelError, Overloaded, ShuttingDown
from higgs.cpu.decode import cache_for, decode_fn_for, prefill_for
from higgs.cpu.sampler import model_runner_for
from higgs.devices import on_stream, own_stream
from higgs.engine.batch import Batch
from higgs.engine.failure import Failed, FailureWatch
from higgs.engine.memory import CPU_SLOTS
from higgs.engine.model_runner import DecodeFn
from higgs.engine.prefill import CacheUse
from higgs.engine.request import Ended, Generation, ignored
from higgs.engine.sampler import SamplingOptions
from higgs.engine.scheduler import Place, Scheduler
from higgs.engine.wait_estimator import WaitEstimator
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt

log = logging.getLogger(__name__)


class Engine:
    """Owns a model until `close`, or until it fails for good. Thread-safe.

    Args:
        model: the language model, on its device.
        slots: maximum concurrent streams.
        capacity: maximum positions of a request, prompt and speech together.
        queue_limit: maximum queued requests.
        kept_positions: size of the prefix cache in positions; None for twice the capacity.
        make_decode_fn: creates the decode function of a model and its cache.
    """

    def __init__(
        self,
        model: HiggsModel,
        *,
        slots: int = CPU_SLOTS,
        capacity: int = 4096,
        queue_limit: int = 32,
        kept_positions: int | None = None,
        make_decode_fn: Callable[[HiggsModel, Any], DecodeFn] = decode_fn_for,
    ) -> None:
        model = model.eval()
        self._device = model.audio_lm_head.weight.device
        cache = cache_for(model, slots, capacity)
        self._capacity, self._codebooks = capacity, model.config.num_codebooks
        if self._device.type == "cuda":
            # It would come first on an H100, and plan anew (0.1 s and more) for each shape and thread.
            torch.backends.cuda.enable_cudnn_sdp(False)
        kept = 2 * capacity if kept_positions is None else kept_positions
        with torch.inference_mode(), own_stream(self._device) as self._stream:
            decode_fn = make_decode_fn(model, cache)
            self._prefill = prefill_for(model, decode_fn, capacity, kept)
            runner = model_runner_for(model.config, decode_fn, cache)
        self._scheduler: Scheduler[Generation] = Scheduler(slots, queue_limit)
        self._changed = threading.Condition()
        parts = self._prefill, runner, model.config
        self._batch = Batch(self._scheduler, self._changed, *parts, self._note_finished)
        self._failures = FailureWatch()
        self.count_from_now(ignored)
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def check(self, prompt: Sized, max_steps: int) -> None:
        """Check that a request fits.

        Args:
            prompt: its length counts.
            max_steps: maximum columns of speech.

        Raises:
            InvalidRequest: `max_steps` has no complete frame, or both together exceed the capacity.
        """
        if max_steps <= self._codebooks:
            raise InvalidRequest(f"max_steps is {max_steps}; no frame is complete before 9 columns.")
        if len(prompt) + max_steps > self._capacity:
            raise InvalidRequest(
                f"The prompt of {len(prompt)} positions and up to {max_steps} columns of speech exceed the "
                f"{self._capacity} positions of this server. Shorten the text or the reference.",
                code="context_length_exceeded",
            )

    def reserve(self) -> Place:
        """Reserve a place in the queue for a request that is being prepared.

        Raises:
            Overloaded: the queue is full; carries the seconds to wait.
        """
        with self._changed:
            self._scheduler.reserve(self._wait_estimate.seconds_to_a_slot)
        return Place(self._unreserve)

    @property
    def overload(self) -> Overloaded | None:
        """What `reserve` would raise now; None if there is room."""
        with self._changed:
            return self._scheduler.overload(self._wait_estimate.seconds_to_a_slot)

    def submit(
        self,
        prompt: Prompt,
        options: SamplingOptions,
        max_steps: int,
        *,
        min_frames: int = 0,
        admitted: bool = False,
        place: Place | None = None,
        background: bool = False,
    ) -> Generation:
        """Queue a request.

        Args:
            prompt: its prompt.
            options: sampling.
            max_steps: maximum columns, which have up to max_steps - 8 frames of 40 ms.
            min_frames: minimum frames; the stream can't end before.
            admitted: a later part of a request that has waited; goes to the front, even if the queue is full.
            place: from `reserve`; used up.
            background: wait until no other request does.

        Returns:
            A handle; iterate over it for the frames.

        Raises:
            InvalidRequest: see `check`.
            Overloaded: the queue is full, and the request is neither admitted nor has a place.
            EngineFailed: the engine has given up.
            ShuttingDown: the engine is closed.
        """
        self.check(prompt, max_steps)
        generation = Generation(prompt, options, max_steps, min_frames, self._forget)
        with self._changed:
            if self.failed is not None or self._closed:
                raise self.failed or ShuttingDown()
            if place is not None:
                place.release()  # nobody else can take it before the lock is left
            self._scheduler.add(generation, admitted, self._wait_estimate.seconds_to_a_slot, background)
            self._changed.notify()
        return generation

    def count_from_now(self, ended: Ended) -> None:
        """Reset the wait estimate after warm-up.

        Args:
            ended: called in the engine's thread with each request that has ended.
        """
        self._wait_estimate, self._ended = WaitEstimator(self.slots), ended

    def when_failed(self, act: Failed) -> None:
        """Register a callback for when the engine gives up; called at once if it already has."""
        self._failures.when_failed(act)

    @property
    def waiting(self) -> int:
        """Number of queued requests."""
        return len(self._scheduler.waiting)

    @property
    def running(self) -> int:
        """Number of running streams."""
        return len(self._scheduler.rows)

    @property
    def idle(self) -> bool:
        """Nobody speaks, waits, or holds a place in the queue."""
        return self._scheduler.idle and not self._scheduler.reserved

    @property
    def slots(self) -> int:
        """Maximum concurrent streams."""
        return self._scheduler.slots

    @property
    def prefix_use(self) -> CacheUse:
        """Hits and misses of the prefix cache."""
        return self._prefill.prefix_use

    @property
    def prefilled_positions(self) -> int:
        """Number of positions computed by prefill so far; cached prefixes don't count."""
        return self._prefill.prefilled_positions

    def close(self) -> None:
        """Stop after the current step; remaining requests fail."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    @property
    def failed(self) -> EngineFailed | None:
        """Why the engine has given up; None while it works. Later requests are refused with this error."""
        if self._failures.failed is None and not self._closed and not self._thread.is_alive():
            return EngineFailed("The engine's thread died. The server must be started again.")
        return self._failures.failed

    def _unreserve(self) -> None:
        with self._changed:
            self._scheduler.reserved -= 1

    def _forget(self, generation: Generation) -> None:
        """Remove a cancelled request from the queue; a running one is dropped before the next step."""
        with self._changed:
            waited = self._scheduler.remove(generation)
        if waited:
            generation.fail(Cancelled("The request was cancelled."))

    @torch.inference_mode()
    def _serve(self) -> None:
        with on_stream(self._stream):
            while self._wait_for_work():
                with self._failing(self._batch.drop_prompts):
                    self._batch.prefill_pass()
                with self._failing(self._batch.drop_rows):
                    self._batch.step()
        with self._changed:
            left = self._scheduler.drain()
        why = self._failures.failed or ShuttingDown()
        for generation in left:
            generation.fail(why)
        self._failures.tell()

    def _note_finished(self, generation: Generation) -> None:
        """Record a stream that has ended, before its reader learns of it, who may ask for the figures."""
        self._wait_estimate.note(generation.worked)
        self._ended(generation)
        self._failures.note_success()

    @contextmanager
    def _failing(self, give_up: Callable[[], list[Generation] | None]) -> Iterator[None]:
        """If the model fails in this block, fail the requests that `give_up` returns, and continue.

        None: nobody failed yet, as the same is tried in another way.
        """
        try:
            yield
        except Exception as error:
            log.exception("the model failed")
            if isinstance(error, torch.OutOfMemoryError):
                self._prefill.forget_prefixes()
                torch.cuda.empty_cache()
            if (failed := give_up()) is None:
                return
            self._failures.note(error)
            failure = ModelError(f"The model failed: {error}")
            failure.__cause__ = error
            for generation in failed:
                generation.fail(failure)

    def _wait_for_work(self) -> bool:
        with self._changed:
            if self._failures.failed is not None:
                return False
            self._changed.wait_for(lambda: self._closed or not self._scheduler.idle)
            return not self._closed
