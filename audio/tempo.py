"""Speech made faster or slower at the same pitch, with FFmpeg's atempo (WSOLA)."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import cast

import av
import av.filter
import numpy as np

SAMPLE_RATE = 24_000
SLOWEST, FASTEST = 0.25, 4.0
# One atempo goes down to 0.5, and above 2 it would leave samples out.
ONE_FILTER = (0.5, 2.0)


def at_speed(pieces: Iterable[np.ndarray], speed: float) -> Iterator[np.ndarray]:
    """Samples float32 (n,) at 24 kHz, `speed` times as fast (0.25 to 4), piece by piece."""
    if speed == 1:
        yield from pieces
        return
    graph = filters(speed)
    position = 0
    for samples in pieces:
        if len(samples):
            graph.push(frame_of(samples, position))
            position += len(samples)
            yield from ready(graph)
    graph.push(None)
    yield from ready(graph)


def filters(speed: float) -> av.filter.Graph:
    """A chain of as many filters as the speed needs, each of the same share of it."""
    slowest, fastest = ONE_FILTER
    count = 1 if slowest <= speed <= fastest else 2
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=SAMPLE_RATE, format="flt", layout="mono", time_base=Fraction(1, SAMPLE_RATE)
    )
    tempos = [graph.add("atempo", f"{speed ** (1 / count):.9f}") for _ in range(count)]
    graph.link_nodes(source, *tempos, graph.add("abuffersink")).configure()
    return graph


def frame_of(samples: np.ndarray, position: int) -> av.AudioFrame:
    plane = np.ascontiguousarray(samples[None], dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(plane, format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, position, Fraction(1, SAMPLE_RATE)
    return frame


def ready(graph: av.filter.Graph) -> Iterator[np.ndarray]:
    """What the filters have finished."""
    while True:
        try:
            yield cast(av.AudioFrame, graph.pull()).to_ndarray()[0]
        except (av.BlockingIOError, av.EOFError):
            return
