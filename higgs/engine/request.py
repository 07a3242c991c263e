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

FRAMES_AT_ONCE = 4  # each piece wakes its reader, which costs the engine more than a frame does


class Generation:
    """Iterate over it for frames, int64 (8, t) on the CPU, as they become final.

    The iteration ends when the stream is complete, and raises Cancelled or ModelError when it is not.
    finish_reason: "stop" when the model ended the stream, "length" at max_steps or when it went round in
                   circles; None until the end.
    columns:       columns generated so far, the opening one included.
    seed:          the seed in use, drawn where the options name none.
    frames:        frames handed out so far.
    waited:        seconds in the queue, once it was left.
    worked:        seconds since it was left.
    """

    def __init__(
        self,
        prompt: Prompt,
        options: SamplingOptions,
        max_steps: int,
        forget: Callable[["Generation"], None],
    ) -> None:
        self.prompt, self.options, self.max_steps = prompt, options, max_steps
        self.seed = secrets.randbits(63) if options.seed is None else options.seed
        self.columns = self.frames = 0
        self.waited = 0.0
        self._since = time.monotonic()
        self.finish_reason: str | None = None
        self.cancelled = False
        self._forget = forget
        self._stall = StallDetector()
        self._held: list[list[int]] = []
        self._pieces: queue.SimpleQueue[torch.Tensor | VoiceServerError | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[torch.Tensor]:
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, VoiceServerError):
                raise piece
            yield piece

    def cancel(self) -> None:
        """Stop before the next step; a request that has ended already stays as it is."""
        self.cancelled = True
        self._forget(self)

    @property
    def worked(self) -> float:
        return time.monotonic() - self._since

    def begin(self) -> None:
        """Leave the queue; the engine's, as is `put`."""
        self.waited, self._since = time.monotonic() - self._since, time.monotonic()

    def put(self, frame: list[int]) -> None:
        """Take the 8 codes of one frame."""
        self.frames += 1
        self._held.append(frame)
        self._stall.note(frame[0])
        if len(self._held) == FRAMES_AT_ONCE:
            self._hand_out()

    @property
    def stalled(self) -> bool:
        """It goes round in circles, or is silent, and would to the end of its columns; see StallDetector."""
        return self._stall.stalled

    def finish(self, reason: str) -> None:
        """End well; the engine's, as is `fail`: one of the two, once."""
        self._hand_out()
        self.finish_reason = reason
        self._pieces.put(None)

    def fail(self, error: VoiceServerError) -> None:
        self._pieces.put(error)

    def _hand_out(self) -> None:
        if self._held:
            self._pieces.put(torch.tensor(self._held).T)
            self._held = []
