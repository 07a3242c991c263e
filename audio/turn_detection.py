"""Where somebody begins to speak and where they have ended, in sound that is still coming."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audio.frames import SAMPLE_RATE
from audio.voice_activity import WINDOW_SECONDS, VoiceActivityStream

HYSTERESIS = 0.15  # below the threshold, as Silero's own iterator has it


@dataclass(frozen=True)
class Edge:
    """A beginning or an end of speech, at a sample of the sound pushed so far."""

    kind: Literal["started", "stopped"]
    sample: int


class TurnDetector:
    """Finds the turns of a speaker by the probabilities of Silero VAD.

    threshold: probability from which on a window counts as speech.
    silence_seconds: that end a turn.
    """

    def __init__(self, threshold: float, silence_seconds: float) -> None:
        self._threshold = threshold
        self._patience = max(round(silence_seconds / WINDOW_SECONDS), 1)
        self._activity = VoiceActivityStream(SAMPLE_RATE)
        self._windows = self._quiet = 0
        self.speaking = False

    def push(self, samples: np.ndarray) -> Iterator[Edge]:
        """Take mono float32 samples (n,) at 24 kHz; what they show."""
        for probability in self._activity.push(samples):
            self._windows += 1
            now = round(self._windows * WINDOW_SECONDS * SAMPLE_RATE)
            loud = probability >= self._threshold - (HYSTERESIS if self.speaking else 0.0)
            self._quiet = 0 if loud else self._quiet + 1
            if loud and not self.speaking:
                self.speaking = True
                yield Edge("started", now - round(WINDOW_SECONDS * SAMPLE_RATE))
            elif self.speaking and self._quiet >= self._patience:
                self.speaking = False
                yield Edge("stopped", now)
