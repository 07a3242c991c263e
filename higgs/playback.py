"""Group a stream's frames into chunks, so that playback starts early and never stalls."""

import math
import time
from collections.abc import Callable, Generator, Iterable

import torch

from audio.frames import FRAME_RATE

MAX_CHUNK = 128  # frames
RESERVE = 0.15  # when this many seconds are left to play, available frames are released


def playback_chunks(
    stream: Iterable[torch.Tensor], first: int, ahead: int, clock: Callable[[], float] = time.monotonic
) -> Generator[torch.Tensor, None, None]:
    """Group a stream of codes (8, t) into chunks of `first` frames, doubling each time up to 128.

    If a client that started playing with the first chunk is about to run dry, a chunk is released sooner,
    with at least `first` frames. The codec decodes some context around each chunk again, so small chunks are
    expensive.

    Args:
        stream: codes (8, t).
        first: size of the first chunk in frames.
        ahead: frames that the codec holds back; see CodecDecoder.
        clock: in seconds.
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
