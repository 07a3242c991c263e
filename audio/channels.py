"""Decoded frames → mono samples at 24 kHz: downmixing and resampling.

Channels are averaged. If they cancel each other out, one channel is used instead.
"""

from collections.abc import Iterator

import av
import numpy as np
import soxr

from audio.frames import SAMPLE_RATE
from audio.unreadable import undecodable

RATES = range(4_000, 768_001)
MAX_CHANNELS = 8
BLOCK_SECONDS = 0.25  # mixed and resampled at once
SAMPLE_TYPES = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "s64": np.int64,
    "flt": np.float32,
    "dbl": np.float64,
}

# The average of n independent channels has the sum of their powers divided by n². Less than a tenth of that
# means cancellation, e.g. by a channel of reversed polarity. Above a fifth the average is used again.
CANCELLED, AUDIBLE_AGAIN = 0.1, 0.2
LOUDER = 4.0  # power ratio at which another channel takes over; hysteresis for channels of equal power
FADE_SECONDS = 0.02


class Downmix:
    """Mix one recording to mono, block by block; keeps the selected channel between blocks."""

    def __init__(self) -> None:
        self._channel: int | None = None
        self._begun = False

    def mono(self, values: np.ndarray, rate: int) -> np.ndarray:
        """Mix a block of float channels (C, n) at `rate` Hz into float32 (n,)."""
        average = values.mean(axis=0)
        if len(values) == 1 or not len(average):
            return average.astype(np.float32)
        before, self._channel = self._channel, self._choice(values, average)
        mixed = average if self._channel is None else values[self._channel].copy()
        if self._begun and self._channel != before:
            count = min(len(mixed), int(FADE_SECONDS * rate))
            fade = np.linspace(0, 1, count, dtype=np.float32)
            left = average[:count] if before is None else values[before, :count]
            mixed[:count] = mixed[:count] * fade + left * (1 - fade)
        self._begun = True
        return mixed.astype(np.float32)

    def _choice(self, values: np.ndarray, average: np.ndarray) -> int | None:
        """Return the channel to use alone, or None for the average; unchanged if the block is silent."""
        powers = np.square(values, dtype=np.float64).mean(axis=1)
        if not powers.any():
            return self._channel
        loudest = int(powers.argmax())
        share = float(np.square(average, dtype=np.float64).mean()) * len(powers) ** 2 / float(powers.sum())
        if self._channel is None:
            return loudest if share < CANCELLED else None
        if share > AUDIBLE_AGAIN:
            return None
        return loudest if powers[loudest] > LOUDER * powers[self._channel] else self._channel


def resampled(frames: Iterator[av.AudioFrame]) -> Iterator[np.ndarray]:
    """Yield mono float32 blocks at 24 kHz; the source's sample rate may change midway."""
    stream: soxr.ResampleStream | None = None
    rate = 0
    for values, its_rate in blocks(frames):
        if stream is None or its_rate != rate:
            if stream is not None:
                yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
            rate, downmix = its_rate, Downmix()
            if rate not in RATES:
                raise undecodable(f"Its sample rate of {rate} Hz is outside {RATES[0]} to {RATES[-1]} Hz.")
            stream = soxr.ResampleStream(rate, SAMPLE_RATE, num_channels=1, dtype="float32")
        with np.errstate(over="ignore", invalid="ignore"):
            mixed = downmix.mono(values, rate)
        yield stream.resample_chunk(mixed)
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def blocks(frames: Iterator[av.AudioFrame]) -> Iterator[tuple[np.ndarray, int]]:
    """Join frames of the same layout and rate into blocks (C, n) of 0.25 s; yield each with its rate."""
    held: list[np.ndarray] = []
    rate = 0
    for frame in frames:
        values = channels_of(frame)
        if held and (frame.sample_rate != rate or len(values) != len(held[0])):
            yield np.concatenate(held, axis=1), rate
            held = []
        rate = frame.sample_rate
        held.append(values)
        if sum(each.shape[1] for each in held) >= BLOCK_SECONDS * rate:
            yield np.concatenate(held, axis=1), rate
            held = []
    if held:
        yield np.concatenate(held, axis=1), rate


def channels_of(frame: av.AudioFrame) -> np.ndarray:
    """Return the frame's channels as floats (C, n), full scale ±1."""
    channels, samples = frame.layout.nb_channels, frame.samples
    if channels > MAX_CHANNELS:
        raise undecodable(f"It has {channels} channels; up to {MAX_CHANNELS} are supported.")
    dtype = SAMPLE_TYPES.get(frame.format.packed.name)
    if dtype is None:
        raise undecodable(f"Its sample format {frame.format.name} is not supported.")
    # Not frame.to_ndarray: it counts planes up to a null pointer, and behind eight planes there is none.
    planes, count = (channels, samples) if frame.format.is_planar else (1, samples * channels)
    values = np.stack([np.frombuffer(memoryview(plane), dtype, count) for plane in frame.planes[:planes]])
    values = values if frame.format.is_planar else values.reshape(samples, channels).T
    if dtype == np.uint8:
        return (values.astype(np.float32) - 128.0) / 128.0
    if values.dtype.kind == "i":
        return values.astype(np.float32) / 2.0 ** (8 * values.dtype.itemsize - 1)
    return values
