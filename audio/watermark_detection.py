"""Is speech marked by audio.watermark, and where? A correlation with the pattern, with bounded false alarms.

The logarithmic spectrogram is whitened: a linear predictor, fitted to the recording itself, predicts each
value from its neighbours, and only its errors are kept: noise, and perhaps the mark. The score of an offset
is the sum of the pattern's signs times the errors in their tiles, over the root of the sum of their squares.
The signs are random and independent of an unmarked recording. So for any such recording a score above z has a
probability below exp(-z² / 2) (Hoeffding 1963); over all offsets, windows and speeds tried, at most their
number times that.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audio.frames import SAMPLE_RATE
from audio.watermark import PERIOD, TILE, band_weights, signs

HOP = 240  # samples
FRAME, TRANSFORM = 960, 1_024
TILE_HOPS = TILE // HOP
OFFSETS = PERIOD * TILE_HOPS
WINDOW, STEP = 1_500, 750  # hops: 15 s are looked at together
MIN_SECONDS = 0.5
MAX_FALSE_ALARM = 1e-6  # per recording
LOUD_DB, FLOOR_DB = 60.0, 70.0  # below the loudest tile; what is quieter says nothing
MAX_DEVIATIONS = 2.5
SMOOTHED = (15, 3)  # hops and bands over which the variance of the residual is taken
FITTED = 3  # every third hop
# Times as fast, and whether frequencies moved along, as by a player's speed; a change of tempo moves none.
Speed = tuple[float, bool]
AS_SPOKEN: Speed = (1.0, False)
SPEEDS = tuple((1 + step / 250, moves) for step in range(-25, 26) if step for moves in (False, True))
# Neighbours that predict a level, as (hops, bands): at other times, and in other bands.
_APART = (TILE_HOPS, TILE_HOPS + 1, TILE_HOPS + 2, 2 * TILE_HOPS, 3 * TILE_HOPS)
_BESIDE = (0, TILE_HOPS // 2, TILE_HOPS, 2 * TILE_HOPS)
NEIGHBOURS = [(hops * sign, 0) for hops in _APART for sign in (-1, 1)] + sorted(
    {(hops * sign, band) for hops in _BESIDE for sign in (-1, 1) for band in (-3, -2, -1, 1, 2, 3)}
)
MARGIN, BANDS_BESIDE = 3 * TILE_HOPS, 3


@dataclass(frozen=True)
class Detection:
    """What was found.

    Attributes:
        false_alarm: upper bound of the probability that a recording without the mark scores so high.
        score: the highest one, in standard deviations.
        speed: times as fast as it was spoken.
        spans: from where to where windows of 15 s have the mark, in seconds.
    """

    false_alarm: float
    score: float
    speed: float = 1.0
    spans: tuple[tuple[float, float], ...] = ()

    @property
    def found(self) -> bool:
        return self.false_alarm <= MAX_FALSE_ALARM


def detect_watermark(samples: np.ndarray) -> Detection:
    """Look for the mark in float32 samples (N,) at 24 kHz, half a second or more.

    Where none is found, the 15 s that have most sound are searched for one of speech that was made up to 10 %
    faster or slower.
    """
    windows = [Window(samples[start:end], start) for start, end in _bounds(len(samples))]
    windows = [window for window in windows if window.sounding]
    if not windows:
        return Detection(1.0, 0.0)
    plain = _judged(windows, AS_SPOKEN)
    if plain.found:
        return plain
    most = max(windows, key=lambda window: window.sounding)
    score, speed = max(zip(most.scores(SPEEDS), SPEEDS, strict=True))
    if _false_alarm(score, len(SPEEDS)) > MAX_FALSE_ALARM:
        return plain if plain.score >= score else Detection(_false_alarm(score, len(SPEEDS)), score)
    found = _judged(windows, speed)
    return replace(found, false_alarm=_false_alarm(score, len(SPEEDS)), score=score)


def _judged(windows: "list[Window]", speed: Speed) -> Detection:
    scores, tried = [window.scores([speed])[0] for window in windows], len(windows)
    spans: list[tuple[float, float]] = []
    for window, score in zip(windows, scores, strict=True):
        if _false_alarm(score, tried) <= MAX_FALSE_ALARM:
            joins = spans and window.start <= spans[-1][1]
            spans[-1:] = [(spans[-1][0], window.end)] if joins else [*spans[-1:], (window.start, window.end)]
    return Detection(_false_alarm(max(scores), tried), max(scores), speed[0], tuple(spans))


def _false_alarm(score: float, tried: int) -> float:
    """Return the bound for the highest of `tried` times OFFSETS scores; speeds have half of it."""
    return min(2 * tried * OFFSETS * math.exp(-(max(score, 0.0) ** 2) / 2), 1.0)


def _bounds(length: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last sample of each window; the last one ends with the recording."""
    window, step = WINDOW * HOP, STEP * HOP
    for start in range(0, max(length - window, 0) + step, step):
        if start == 0 or start + window - step < length:
            yield start, min(start + window, length)


class Window:
    """Up to 15 s of a recording.

    start, end: in seconds. sounding: number of tiles that are loud enough to say something.
    """

    def __init__(self, samples: np.ndarray, start: int) -> None:
        self.start, self.end = start / SAMPLE_RATE, (start + len(samples)) / SAMPLE_RATE
        self._samples, self._bands = samples, _banded(_power(samples), 1.0)
        levels, loud = _levels(self._bands, 1.0)
        self.sounding = int(loud.sum())
        self._predictor = _fitted(levels, loud) if self.sounding else np.empty(0)

    def scores(self, speeds: Sequence[Speed]) -> list[float]:
        """Return for each speed the highest score of all offsets of the pattern."""
        power = _power(self._samples) if any(moves for _, moves in speeds) else None
        found = []
        for speed, moves in speeds:
            bands = _banded(power, speed) if moves and power is not None else self._bands
            levels, loud = _levels(bands, speed)
            found.append(float(_scores(_evidence(levels, loud, self._predictor)).max()))
        return found


def _banded(power: np.ndarray, speed: float) -> np.ndarray:
    """Return the power (hops, bands) of a spectrogram whose frequencies were multiplied by `speed`."""
    frequencies = np.fft.rfftfreq(TRANSFORM, 1 / SAMPLE_RATE)
    return power @ band_weights(frequencies / speed).T.astype(np.float32)


def _levels(bands: np.ndarray, speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Return levels (hops, bands) in dB, as before the speech was made faster, and which of them are loud."""
    most = bands.max(initial=1e-20)
    levels = 10 * np.log10(bands / most + 10 ** (-FLOOR_DB / 10))
    if speed != 1.0:
        places = np.arange(int((len(levels) - 1) * speed)) / speed
        before, share = places.astype(int), (places % 1.0)[:, None]
        levels = (1 - share) * levels[before] + share * levels[before + 1]
    return levels, (levels > -LOUD_DB) & (most > 1e-12)


def _power(samples: np.ndarray) -> np.ndarray:
    """Return the power spectrogram, (hops, TRANSFORM // 2 + 1)."""
    padded = np.pad(samples, (FRAME // 2, FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][: len(samples) // HOP]
    spectrum = np.fft.rfft(frames * np.hanning(FRAME).astype(np.float32), TRANSFORM)
    return np.square(np.abs(spectrum))


def _neighbours(levels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the levels (hops, bands) beside each level, for each of NEIGHBOURS."""
    padded = np.pad(levels, ((MARGIN, MARGIN), (BANDS_BESIDE, BANDS_BESIDE)), mode="edge")
    hops, bands = levels.shape
    for hop, band in NEIGHBOURS:
        yield padded[MARGIN + hop : MARGIN + hop + hops, BANDS_BESIDE + band : BANDS_BESIDE + band + bands]


def _fitted(levels: np.ndarray, loud: np.ndarray) -> np.ndarray:
    """Return the weights of NEIGHBOURS that predict the loud levels best (ridge regression)."""
    chosen = loud[::FITTED]
    beside = np.stack([each[::FITTED][chosen] for each in _neighbours(levels)], axis=1)
    beside = np.column_stack([beside, np.ones(len(beside))])
    squares = beside.T @ beside + 10 * np.eye(beside.shape[1])
    return np.linalg.solve(squares, beside.T @ levels[::FITTED][chosen])[:-1]


def _evidence(levels: np.ndarray, loud: np.ndarray, predictor: np.ndarray) -> np.ndarray:
    """Return how much each level (hops, bands) speaks for a sign of +1 in its place: a matched filter."""
    beside = zip(predictor, _neighbours(levels), strict=True)
    residual = levels - sum(weight * each for weight, each in beside)
    variance = _smoothed(_smoothed(np.square(residual), SMOOTHED[0], 0), SMOOTHED[1], 1) + 1.0
    deviation = np.sqrt(variance)
    weighed = np.clip(residual / deviation, -MAX_DEVIATIONS, MAX_DEVIATIONS) / deviation * loud
    # What the predictor took from a level by its neighbours, it gives back to them.
    padded = np.pad(weighed, ((MARGIN, MARGIN), (BANDS_BESIDE, BANDS_BESIDE)))
    hops, bands = levels.shape
    evidence = weighed.copy()
    for weight, (hop, band) in zip(predictor, NEIGHBOURS, strict=True):
        first, left = MARGIN - hop, BANDS_BESIDE - band
        evidence -= weight * padded[first : first + hops, left : left + bands]
    return evidence


def _smoothed(values: np.ndarray, count: int, axis: int) -> np.ndarray:
    """Return the running mean of `count` values, an odd number."""
    padded = np.pad(
        values, [(count // 2, count // 2) if each == axis else (0, 0) for each in (0, 1)], mode="edge"
    )
    return np.lib.stride_tricks.sliding_window_view(padded, count, axis).mean(-1)


def _scores(evidence: np.ndarray) -> np.ndarray:
    """Return the score of each offset of the pattern in hops, (OFFSETS,)."""
    hops, bands = evidence.shape
    folded = np.zeros((-(-hops // OFFSETS), OFFSETS, bands))
    folded.reshape(-1, bands)[:hops] = evidence
    period = folded.sum(0)
    tiles = sum(np.roll(period, -hop, 0) for hop in range(TILE_HOPS)).reshape(PERIOD, TILE_HOPS, bands)
    norms = np.sqrt(np.square(tiles).sum((0, 2))) + 1e-12
    pattern = np.conj(np.fft.rfft(signs(), axis=0))[:, None]
    sums = np.fft.irfft((np.fft.rfft(tiles, axis=0) * pattern).sum(2), PERIOD, axis=0)
    return (sums / norms).ravel()
