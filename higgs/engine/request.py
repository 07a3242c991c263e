"""The handle of one request to the engine."""

import queue
import secrets
import time
from collections.abc import Callable, Iterator

import torch

from errors import VoiceServerError
from higgs.engine.sampler import SamplingOptions
from higgs.engine.stall_detector import StallDetector
from higgs.prompts.v2 import Prompt

FRAMES_AT_ONCE = 4  # delivering wakes the reader's thread, which costs more than generating a frame


class Generation:
    """The handle of a request: iterate over it for frames, int64 (8, t) on the CPU, as they become final.

    The iteration ends when the stream is complete. It raises Cancelled or ModelError otherwise.

    Attributes:
        finish_reason: "stop" if the model ended the stream, "length" at max_steps or if it stalled.
        columns: number of generated columns, including the opening one.
        seed: the seed used, random if the options have none.
        frames: number of delivered frames.
        waited: seconds spent in the queue.
        worked: seconds since it left the queue.
    """

    def __init__(
        self,
        prompt: Prompt,
        options: SamplingOptions,
        max_steps: int,
        min_frames: int,
        forget: Callable[["Generation"], None],
    ) -> None:
        self.prompt, self.options = prompt, options
        self.max_steps, self.min_frames = max_steps, min_frames
        self.seed = secrets.randbits(63) if options.seed is None else options.seed
        self.columns = self.frames = 0
        self.waited = 0.0
        self._since = time.monotonic()
        self.finish_reason: str | None = None
        self.cancelled = False
        self._forget = forget
        self._stall = StallDetector()
        self._held: list[list[int]] = []
        self._queue: queue.SimpleQueue[torch.Tensor | VoiceServerError | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[torch.Tensor]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, VoiceServerError):
                raise item
            yield item

    def cancel(self) -> None:
        """Stop before the next step; no effect once the request has ended."""
        self.cancelled = True
        self._forget(self)

    @property
    def worked(self) -> float:
        return time.monotonic() - self._since

    def begin(self) -> None:
        """Leave the queue. Called by the engine, as are `put`, `finish` and `fail`."""
        self.waited, self._since = time.monotonic() - self._since, time.monotonic()

    def put(self, frame: list[int]) -> None:
        """Add the 8 codes of a frame."""
        self.frames += 1
        self._held.append(frame)
        self._stall.note(frame[0])
        if len(self._held) == FRAMES_AT_ONCE:
            self._hand_out()

    @property
    def stalled(self) -> bool:
        """Whether it is stuck in silence or a loop; see StallDetector."""
        return self._stall.stalled

    def finish(self, reason: str) -> None:
        """Complete the stream; either this or `fail` is called, once."""
        self._hand_out()
        self.finish_reason = reason
        self._queue.put(None)

    def fail(self, error: VoiceServerError) -> None:
        self._queue.put(error)

    def _hand_out(self) -> None:
        if self._held:
            self._queue.put(torch.tensor(self._held).T)
            self._held = []


Ended = Callable[[Generation], None]


def ignored(generation: Generation) -> None:
    """What is done about the end of a request where nobody asks."""
