"""How a stream's frames are joined to pieces of sound, so that a player is early and never stands still."""

import math
import time
from collections.abc import Callable, Generator, Iterable

import torch

from audio.frames import FRAME_RATE

MAX_CHUNK = 128  # frames
RESERVE = 0.15  # seconds left to play at which what is there is handed out


def playback_chunks(
    stream: Iterable[torch.Tensor], first: int, ahead: int, clock: Callable[[], float] = time.monotonic
) -> Generator[torch.Tensor, None, None]:
    """Join a stream of codes (8, t) to pieces of at least `first` frames, then twice as many each time, up to
    128. Sooner, but of no less than `first`, where a player that began with the first is about to run dry.

    The codec decodes some frames around a piece once more, so small pieces are dear; the first is as small as
    it may be to be early.

    ahead: frames that the codec holds back until it has heard what follows.
    """
    size, held, frames, given = first, [], 0, 0
    begun = math.inf
    for codes in stream:
        held.append(codes)
        frames += codes.shape[1]
        left = begun + (given - ahead) / FRAME_RATE - clock()
        hurried = frames >= first and left < RESERVE
        if frames >= size or hurried:
            begun = min(begun, clock())
            given += frames
            size = size if hurried else min(2 * size, MAX_CHUNK)
            yield torch.cat(held, dim=1)
            held, frames = [], 0
    if held:
        yield torch.cat(held, dim=1)
