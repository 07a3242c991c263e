"""Conversations of known truth, from the recordings of the bundled model's voices."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import soundfile

from tests.live import BUNDLED_MODEL

RATE = 24_000
PAUSE_SECONDS = 0.4
Said = tuple[str, float, float]  # who, from when to when in seconds


@cache
def voice(name: str) -> np.ndarray:
    """The recording of a built-in voice: float32 at 24 kHz, 5 to 7 s."""
    samples, rate = soundfile.read(BUNDLED_MODEL / "voices" / f"{name}.flac", dtype="float32")
    assert rate == RATE
    return samples


def conversation(*parts: tuple[str, float, float]) -> tuple[np.ndarray, Sequence[Said]]:
    """Parts of voices' recordings, from when to when in seconds, with pauses; and when each is said."""
    pause = np.zeros(int(PAUSE_SECONDS * RATE), np.float32)
    pieces, truth, at = [pause], [], PAUSE_SECONDS
    for name, start, end in parts:
        piece = voice(name)[int(start * RATE) : int(end * RATE)]
        pieces += [piece, pause]
        truth.append((name, at, at + len(piece) / RATE))
        at += len(piece) / RATE + PAUSE_SECONDS
    return np.concatenate(pieces), truth
