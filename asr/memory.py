"""How many recordings stand in memory while they are listened to, and how large they are there.

Only one window is heard at a time, so that a crowd of long recordings gains nothing by being decoded early:
an hour of float samples is 345 MB. Short recordings are decoded as they come; the long ones take turns.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from concurrency import one_of
from errors import InvalidAudio

# Mono float32 samples (N,) of a recording that is no longer than so many seconds; else InvalidAudio.
Decode = Callable[[float], np.ndarray]

LONG_SECONDS = 120.0
LONG_AT_ONCE, DECODED_AT_ONCE = 3, 2
BLOCK = 2**20  # samples converted at once


class RecordingMemory:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._decoding = threading.BoundedSemaphore(DECODED_AT_ONCE)
        self._long, self._decoding_long = threading.BoundedSemaphore(LONG_AT_ONCE), threading.Lock()

    @contextmanager
    def held(self, decode: Decode, longest: float) -> Iterator[np.ndarray]:
        """The samples, float32 or of a long recording int16, while the block runs.

        Errors as of `decode`; Cancelled if the work under way is called off while it waits its turn.
        """
        samples = self._short(decode, min(LONG_SECONDS, longest), longest)
        if samples is not None:
            yield samples
            return
        with one_of(self._long):
            with one_of(self._decoding), self._decoding_long:
                samples = compact(decode(longest))
            yield samples

    def _short(self, decode: Decode, seconds: float, longest: float) -> np.ndarray | None:
        """The samples of a recording of so many seconds at most; None of a longer one."""
        try:
            with one_of(self._decoding):
                return decode(seconds)
        except InvalidAudio as error:
            if error.code != "audio_too_long" or seconds == longest:
                raise
            return None


def compact(samples: np.ndarray) -> np.ndarray:
    """Float samples (N,) as int16: half the memory, and as fine as recordings are."""
    found = np.empty(len(samples), np.int16)
    for start in range(0, len(samples), BLOCK):
        found[start : start + BLOCK] = np.clip(samples[start : start + BLOCK], -1, 1) * 32_767
    return found


def as_float(samples: np.ndarray) -> np.ndarray:
    """Samples (n,) as float32, whichever of the two they are."""
    return samples if samples.dtype == np.float32 else samples.astype(np.float32) / 32_767
