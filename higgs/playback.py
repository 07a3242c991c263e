"""Group a stream's frames into chunks, so that playback starts early and never stalls."""

import math
import time
from collections.abc import Callable, Generator, Iterable

import torch

from audio.frames import FRAME_RATE

MAX_CHUNK = 128  # frames
RESERVE = 0.15  # when this many seconds are left to play, available frames are released


class Playback:
    """What a client has to play of a stream that is spoken in runs. clock: in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun, self._seconds = math.inf, 0.0  # when playing began, and how much was given out
        self._size = 0

    def note_pause(self, seconds: float) -> None:
        """Count silence that is given out between two runs."""
        self._seconds += seconds

    def chunks(
        self, run: Iterable[torch.Tensor], first: int, ahead: int
    ) -> Generator[torch.Tensor, None, None]:
        """Group a run's codes (8, t) into chunks of `first` frames, doubling each time up to 128.

        If a client that started playing with the first chunk is about to run dry, a chunk is released sooner,
        with at least `first` frames. The codec decodes some context around each chunk again, so small chunks
        are expensive.

        Args:
            run: codes (8, t).
            first: size of the stream's first chunk in frames.
            ahead: frames that the codec holds back; see CodecDecoder.
        """
        self._size = max(self._size, first)
        held, frames = [], 0
        for codes in run:
            held.append(codes)
            frames += codes.shape[1]
            left = self._begun + self._seconds - ahead / FRAME_RATE - self._clock()
            hurried = frames >= first and left < RESERVE
            if frames >= self._size or hurried:
                self._give_out(frames)
                self._size = self._size if hurried else min(2 * self._size, MAX_CHUNK)
                yield torch.cat(held, dim=1)
                held, frames = [], 0
        if held:
            self._give_out(frames)
            yield torch.cat(held, dim=1)

    def _give_out(self, frames: int) -> None:
        self._begun = min(self._begun, self._clock())
        self._seconds += frames / FRAME_RATE
