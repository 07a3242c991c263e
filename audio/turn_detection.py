"""Where somebody begins to speak and where they have ended, in sound that is still coming."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audio.compact import float_blocks
from audio.frames import SAMPLE_RATE
from audio.voice_activity import WINDOW_SECONDS, VoiceActivityStream
from concurrency import raise_if_cancelled

HYSTERESIS, MIN_THRESHOLD = 0.15, 0.01  # below the threshold, and at least, as Silero's own iterator has it
BLOCK_SECONDS = 20


@dataclass(frozen=True)
class Edge:
    """A beginning or an end of speech, at a sample of the sound pushed so far."""

    kind: Literal["started", "stopped"]
    sample: int


class TurnDetector:
    """Finds the turns of a speaker by the probabilities of Silero VAD.

    threshold: probability from which on a window counts as speech.
    silence_seconds: that end a turn.
    sample_rate: of what is pushed, in Hz.
    """

    def __init__(self, threshold: float, silence_seconds: float, sample_rate: int = SAMPLE_RATE) -> None:
        self._threshold, self._lower = threshold, max(threshold - HYSTERESIS, MIN_THRESHOLD)
        self._sample_rate = sample_rate
        self.patience = max(round(silence_seconds / WINDOW_SECONDS), 1)
        self._activity = VoiceActivityStream(sample_rate)
        self._windows = self._quiet = 0
        self.speaking = False

    def push(self, samples: np.ndarray) -> Iterator[Edge]:
        """Take mono float32 samples (n,); what they show."""
        for probability in self._activity.push(samples):
            self._windows += 1
            now = round(self._windows * WINDOW_SECONDS * self._sample_rate)
            loud = probability >= (self._lower if self.speaking else self._threshold)
            self._quiet = 0 if loud else self._quiet + 1
            if loud and not self.speaking:
                self.speaking = True
                yield Edge("started", now - round(WINDOW_SECONDS * self._sample_rate))
            elif self.speaking and self._quiet >= self.patience:
                self.speaking = False
                yield Edge("stopped", now)


def turns_of(
    samples: np.ndarray, sample_rate: int, threshold: float, silence_seconds: float
) -> Iterator[tuple[int, int]]:
    """Yield the start and end, in samples, of each turn of a whole recording; for options see TurnDetector.

    Args:
        samples: mono (N,), float32 or int16. Its blocks are worked on one by one.
        sample_rate: in Hz.
    """
    detector = TurnDetector(threshold, silence_seconds, sample_rate)
    silence, start = detector.patience * WINDOW_SECONDS * sample_rate, 0
    for block in float_blocks(samples, BLOCK_SECONDS * sample_rate):
        raise_if_cancelled()
        for edge in detector.push(block):
            if edge.kind == "started":
                start = edge.sample
            else:
                yield start, edge.sample - round(silence)
    if detector.speaking:
        yield start, len(samples)
