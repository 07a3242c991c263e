"""Long recordings in memory: int16 instead of float32, converted back chunk by chunk.

An hour of float32 samples is 345 MB.
"""

from collections.abc import Iterator

import numpy as np

BLOCK = 2**20  # samples converted at once


def compact(samples: np.ndarray) -> np.ndarray:
    """Convert float samples (N,) to int16: half the memory, at the precision of recordings."""
    found = np.empty(len(samples), np.int16)
    for start in range(0, len(samples), BLOCK):
        found[start : start + BLOCK] = np.clip(samples[start : start + BLOCK], -1, 1) * 32_767
    return found


def as_float(samples: np.ndarray) -> np.ndarray:
    """Convert float32 or int16 samples (n,) to float32."""
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / 32_767
    return samples.astype(np.float32, copy=False)


def float_blocks(samples: np.ndarray, size: int = BLOCK) -> Iterator[np.ndarray]:
    """Yield float32 or int16 samples (N,) as float32, `size` at once."""
    for start in range(0, len(samples), size):
        yield as_float(samples[start : start + size])
