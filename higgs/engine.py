"""The engine: one thread owns the model and answers requests in the order they came.

It sees ids and codes only. Every request ends in exactly one way: its frames are complete, or it failed.
"""

import queue
import secrets
import threading
from collections import deque
from collections.abc import Iterator

import torch

from errors import Cancelled, InvalidRequest, ModelError, Overloaded, VoiceServerError
from higgs.cache import KVCache
from higgs.delay import DelayRule, undo_delay
from higgs.model import HiggsModel
from higgs.prompt import Prompt
from higgs.sampling import Sampler, SamplingOptions


class Generation:
    """The handle of one request: iterate over it for frames, int64 (8, t) on the CPU, as they become final.

    The iteration ends when the stream is complete, and raises Cancelled or ModelError when it is not.
    finish_reason: "stop" when the model ended the stream, "length" at max_columns; None until the end.
    columns:       columns generated so far, the opening one included.
    seed:          the seed in use, drawn where the options name none.
    """

    def __init__(self, prompt: Prompt, options: SamplingOptions, max_columns: int, engine: "Engine") -> None:
        self.prompt, self.options, self.max_columns = prompt, options, max_columns
        self.seed = secrets.randbits(63) if options.seed is None else options.seed
        self.columns = 0
        self.finish_reason: str | None = None
        self.cancelled = False
        self._engine = engine
        self._pieces: queue.SimpleQueue[torch.Tensor | VoiceServerError | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[torch.Tensor]:
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, VoiceServerError):
                raise piece
            yield piece

    def cancel(self) -> None:
        """Stop before the next step; a request that has ended already stays as it is."""
        self.cancelled = True
        self._engine.forget(self)

    def put(self, frames: torch.Tensor) -> None:
        self._pieces.put(frames)

    def finish(self, reason: str) -> None:
        self.finish_reason = reason
        self._pieces.put(None)

    def fail(self, error: VoiceServerError) -> None:
        self._pieces.put(error)


class Engine:
    """Owns a model from its making until `close`.

    capacity:    positions of prompt and answer together that a request may fill.
    queue_limit: requests that may wait beside the one in work.
    """

    def __init__(self, model: HiggsModel, *, capacity: int = 4096, queue_limit: int = 32) -> None:
        self._model = model.eval()
        self._config = model.config
        weight = model.audio_lm_head.weight
        self._device = weight.device
        self._last_code = model.config.bos_code - 1
        self._cache = KVCache(model.config, capacity, device=weight.device, dtype=weight.dtype)
        self._positions = torch.arange(capacity, device=weight.device)[None]
        self._queue_limit = queue_limit
        self._waiting: deque[Generation] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def submit(self, prompt: Prompt, options: SamplingOptions, max_columns: int) -> Generation:
        """Queue a request for at most max_columns columns, which hold up to max_columns - 8 frames.

        InvalidRequest if prompt and columns don't fit into the engine, Overloaded if the queue is full.
        """
        if max_columns <= self._config.num_codebooks:
            raise InvalidRequest(f"max_columns is {max_columns}; no frame is complete before 9 columns.")
        if len(prompt) + max_columns > self._cache.capacity:
            raise InvalidRequest(
                f"The prompt of {len(prompt)} positions and up to {max_columns} columns of speech exceed the "
                f"{self._cache.capacity} positions of this server. Shorten the text or the reference.",
                code="context_length_exceeded",
            )
        generation = Generation(prompt, options, max_columns, self)
        with self._changed:
            if self._closed:
                raise Cancelled("The server is shutting down.")
            if len(self._waiting) >= self._queue_limit:
                raise Overloaded(f"{self._queue_limit} requests are waiting already. Try again later.")
            self._waiting.append(generation)
            self._changed.notify()
        return generation

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    def forget(self, generation: Generation) -> None:
        """Take a request out of the queue, if it is still there, and fail it as cancelled."""
        with self._changed:
            if generation not in self._waiting:
                return
            self._waiting.remove(generation)
        generation.fail(Cancelled("The request was cancelled."))

    def close(self) -> None:
        """Stop after the present step; requests that have not ended fail as cancelled."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _serve(self) -> None:
        while (generation := self._next()) is not None:
            try:
                self._generate(generation)
            except VoiceServerError as error:
                generation.fail(error)
            except Exception as error:
                failure = ModelError(f"The model failed: {error}")
                failure.__cause__ = error
                generation.fail(failure)

    def _next(self) -> Generation | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            if not self._closed:
                return self._waiting.popleft()
            for generation in self._waiting:
                generation.fail(Cancelled("The server is shutting down."))
            self._waiting.clear()
            return None

    @torch.inference_mode()
    def _generate(self, generation: Generation) -> None:
        """Fill the columns of one request and hand its frames out; column 0 is all bos_code."""
        books = self._config.num_codebooks
        sampler = Sampler(
            generation.options, self._config, generation.max_columns, generation.seed, self._device
        )
        rule = DelayRule(self._config, device=self._device)
        columns = torch.full((generation.max_columns, books), self._config.bos_code, device=self._device)
        self._prefill(generation.prompt)
        for column in range(1, generation.max_columns):
            if generation.cancelled or self._closed:
                raise Cancelled("The request was cancelled.")
            logits = self._step(columns[column - 1])
            codes = rule.force(sampler.draw(logits, column), column)
            sampler.remember(codes, column)
            columns[column] = codes[0]
            generation.columns = column + 1
            frame, end = column - books + 1, int(rule.end)
            if 1 <= frame < end:
                generation.put(undo_delay(columns[frame : column + 1]).clamp(max=self._last_code).cpu())
            if frame >= end:
                return generation.finish("stop")
        generation.finish("length")

    def _prefill(self, prompt: Prompt) -> None:
        ids, columns, mask = (
            part[None].to(self._device)
            for part in (prompt.input_ids, prompt.audio_columns, prompt.audio_mask)
        )
        self._cache.clear()
        embeddings = self._model.embed(ids, columns, mask)
        self._model(embeddings, mask, self._positions[:, : len(prompt)], self._cache)

    def _step(self, column: torch.Tensor) -> torch.Tensor:
        """Read one column [K] and return the float32 logits [1, K, V] of the next."""
        at = self._cache.length
        embedding = self._model.embed_audio(column[None, None])
        hidden = self._model(embedding, None, self._positions[:, at : at + 1], self._cache)
        return self._model.audio_logits(hidden[:, 0]).float()
