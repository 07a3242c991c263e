"""Runs of sound: the text chunks that one decoder speaks, and the fades around the pauses between runs."""

from collections.abc import Iterator, Sequence

import numpy as np

from higgs.segments import TextChunk

FADE = np.linspace(0, 1, 120, dtype=np.float32)  # 5 ms at 24 kHz


def runs_of(chunks: range, texts: Sequence[TextChunk]) -> Iterator[range]:
    """Split chunks where a pause follows one: a decoder that heard the end of a sentence would blur the
    first sound of the next."""
    begin = chunks.start
    for index in chunks:
        if texts[index].pause or index == chunks[-1]:
            yield range(begin, index + 1)
            begin = index + 1


def fade_in(samples: np.ndarray) -> np.ndarray:
    """Fade in the first 5 ms of samples (n,), or as many as there are."""
    count = min(len(FADE), len(samples))
    return np.concatenate([samples[:count] * FADE[:count], samples[count:]])


def fade_out(samples: np.ndarray) -> np.ndarray:
    """Fade out the last 5 ms."""
    return fade_in(samples[::-1])[::-1]
