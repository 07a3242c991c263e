"""Speed, pitch and volume of speech, changed by FFmpeg's audio filters."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import cast

import av
import av.filter
import numpy as np

from audio.frames import SAMPLE_RATE

MIN_SPEED, MAX_SPEED = 0.25, 4.0
MAX_SEMITONES = 12.0
MIN_VOLUME_DB, MAX_VOLUME_DB = -40.0, 20.0
# One atempo filter covers 0.5 to 2: above 2 it would skip samples.
ONE_TEMPO = 2.0
# 0.3 dB of headroom below full scale, since lossy encoders overshoot a little.
LIMITER = "limit=0.97:attack=5:release=50:level=disabled:latency=1"


@dataclass(frozen=True)
class Delivery:
    """How to deliver speech; None keeps the model's own.

    Attributes:
        speed: tempo factor at constant pitch, 0.25 to 4.
        pitch: shift in semitones at constant tempo, -12 to 12. Formants move along.
        volume: gain in dB, -40 to 20; a limiter keeps peaks below full scale.
        instructions: free text, for models that follow instructions.
    """

    speed: float | None = None
    pitch: float | None = None
    volume: float | None = None
    instructions: str | None = None

    def with_defaults(self, other: "Delivery") -> "Delivery":
        """Return this delivery with `other`'s values for fields that are None."""
        mine = {field.name: getattr(self, field.name) for field in fields(self)}
        return Delivery(
            **{name: getattr(other, name) if value is None else value for name, value in mine.items()}
        )

    @property
    def sound(self) -> tuple[float, float, float]:
        """Speed, pitch and volume; (1, 0, 0) changes nothing."""
        return self.speed or 1.0, self.pitch or 0.0, self.volume or 0.0


def delivered(chunks: Iterable[np.ndarray], sound: tuple[float, float, float]) -> Iterator[np.ndarray]:
    """Apply speed, pitch and volume to a stream of audio.

    Args:
        chunks: float32 samples (n,) at 24 kHz, any n.
        sound: (speed, pitch, volume), see Delivery.

    Yields:
        Float32 samples (m,) at 24 kHz; concatenated, they don't depend on how the input was chunked.
    """
    chain = filters(*sound)
    if not chain:
        yield from chunks
        return
    graph = linked(chain)
    position = 0
    for samples in chunks:
        if len(samples):
            graph.push(frame_of(samples, position))
            position += len(samples)
            yield from ready(graph)
    if position:
        graph.push(None)
        yield from ready(graph)


def filters(speed: float, pitch: float, volume: float) -> list[tuple[str, str]]:
    """Return FFmpeg filters as (name, arguments); empty if nothing changes.

    Pitch is shifted by playing the samples faster, then restoring the tempo with atempo (WSOLA).
    """
    chain = []
    ratio = 2 ** (pitch / 12)
    if pitch:
        chain += [("asetrate", str(round(SAMPLE_RATE * ratio))), ("aresample", str(SAMPLE_RATE))]
    tempo = speed / ratio
    if not math.isclose(tempo, 1.0):
        count = math.ceil(abs(math.log(tempo, ONE_TEMPO)) - 1e-9)
        chain += [("atempo", f"{tempo ** (1 / count):.9f}")] * count
    if volume:
        chain += [("volume", f"{volume}dB:precision=float")]
    if volume > 0:
        chain += [("alimiter", LIMITER)]
    return chain


def linked(chain: list[tuple[str, str]]) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=SAMPLE_RATE, format="flt", layout="mono", time_base=Fraction(1, SAMPLE_RATE)
    )
    nodes = [graph.add(name, arguments) for name, arguments in chain]
    floats = graph.add("aformat", "sample_fmts=flt")
    graph.link_nodes(source, *nodes, floats, graph.add("abuffersink")).configure()
    return graph


def frame_of(samples: np.ndarray, position: int) -> av.AudioFrame:
    plane = np.ascontiguousarray(samples[None], dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(plane, format="flt", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, position, Fraction(1, SAMPLE_RATE)
    return frame


def ready(graph: av.filter.Graph) -> Iterator[np.ndarray]:
    """Yield what the filter graph has finished."""
    while True:
        try:
            yield cast(av.AudioFrame, graph.pull()).to_ndarray()[0]
        except (av.BlockingIOError, av.EOFError):
            return
