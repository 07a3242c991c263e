"""Limits how many decoded recordings are in memory at once, and stores long ones compactly.

An hour of float samples is 345 MB. Only one window is transcribed at a time, so decoding many long recordings
early gains nothing. Short recordings are decoded on arrival; long ones wait their turn.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from audio.compact import compact
from concurrency import acquired
from errors import InvalidAudio

# Maximum seconds → mono float32 samples (N,). Raises InvalidAudio if the recording is longer.
Decode = Callable[[float], np.ndarray]

LONG_SECONDS = 120.0
LONG_AT_ONCE, DECODED_AT_ONCE = 3, 2


class RecordingMemory:
    """Thread-safe."""

    def __init__(self) -> None:
        self._decoding = threading.BoundedSemaphore(DECODED_AT_ONCE)
        self._long, self._decoding_long = threading.BoundedSemaphore(LONG_AT_ONCE), threading.Lock()

    @contextmanager
    def held(self, decode: Decode, longest: float) -> Iterator[np.ndarray]:
        """Decode a recording and hold it in memory while the block runs.

        Args:
            decode: decodes the recording up to the given number of seconds.
            longest: maximum duration in seconds.

        Yields:
            Samples (N,): float32, or int16 for a recording longer than LONG_SECONDS.

        Raises:
            InvalidAudio: from `decode`.
            Cancelled: the request was cancelled while waiting.
        """
        samples = self._short(decode, min(LONG_SECONDS, longest), longest)
        if samples is not None:
            yield samples
            return
        with acquired(self._long):
            with acquired(self._decoding), self._decoding_long:
                samples = compact(decode(longest))
            yield samples

    def _short(self, decode: Decode, seconds: float, longest: float) -> np.ndarray | None:
        """Decode a recording of at most `seconds`; return None if it is longer."""
        try:
            with acquired(self._decoding):
                return decode(seconds)
        except InvalidAudio as error:
            if error.code != "audio_too_long" or seconds == longest:
                raise
            return None
