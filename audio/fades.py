"""Fades at the start and the end of sound: a cut at any other amplitude than zero clicks."""

import numpy as np

from audio.frames import SAMPLE_RATE

# Factors of the first samples: of generated speech, 10 ms, and of sound behind a cut, 5 ms.
START = np.arange(SAMPLE_RATE // 100, dtype=np.float32) / (SAMPLE_RATE // 100)
CUT = np.linspace(0, 1, SAMPLE_RATE // 200, dtype=np.float32)


def fade_in(samples: np.ndarray, ramp: np.ndarray, before: int = 0) -> np.ndarray:
    """Fade in the start of a stream.

    Args:
        samples: float32 (n,), a part of the stream.
        ramp: the factors of the stream's first samples.
        before: number of samples of the stream that preceded these.
    """
    count = min(max(len(ramp) - before, 0), len(samples))
    if not count:
        return samples
    changed = samples.astype(np.float32)
    changed[:count] *= ramp[before : before + count]
    return changed


def fade_out(samples: np.ndarray, ramp: np.ndarray) -> np.ndarray:
    """Fade out the end of samples (n,); ramp: as of `fade_in`."""
    return fade_in(samples[::-1], ramp)[::-1]
