"""Pseudo-speakers: a warp of pitch, formants, tempo and tone, the same for all speech of a voice."""

from dataclasses import dataclass

import numpy as np

from higgs.codecs.vocoder.analysis import STEPS_PER_FRAME, Features
from higgs.codecs.vocoder.bands import WIDE, mel
from higgs.codecs.vocoder.speaker import Speaker
from higgs.codecs.vocoder.v2.network import reading_code
from train.v2.features import Utterance
from train.voices import resample_rows, wandering

MIN_LEVEL, MAX_LEVEL = np.log(70), np.log(320)
MIN_SPREAD, MAX_SPREAD = 0.07, 0.35
PLAIN_SHARE = 0.25  # of the speakers: the teacher as it is
FASTEST = 1.0  # of the teacher's durations, at least: an answer is clear, however hurried its recording is


@dataclass(frozen=True)
class Warp:
    """How a teacher's speech is changed.

    Attributes:
        formants: factor of formant frequencies.
        level: ln Hz to which the median pitch is moved.
        spread: standard deviation of ln pitch there.
        tempo: factor of durations.
        tone: (80,), added to the ln envelope.
    """

    formants: float
    level: float
    spread: float
    tempo: float
    tone: np.ndarray


def draw_warp(of: Utterance, rng: np.random.Generator) -> Warp:
    """Draw a pseudo-speaker of a voice: formants from 0.82 to 1.2, with a pitch that loosely follows them."""
    tempo = float(np.exp(rng.uniform(np.log(FASTEST), 0.25)))
    if rng.random() < PLAIN_SHARE:
        return Warp(1.0, of.level, of.spread, tempo, np.zeros(WIDE.count))
    formants = float(np.exp(rng.uniform(np.log(0.82), np.log(1.2))))
    level = of.level + 1.3 * np.log(formants) + rng.normal(0, 0.14)
    spread = of.spread * np.exp(rng.normal(0, 0.3))
    position = np.linspace(0, np.pi, WIDE.count)
    tone = sum(rng.normal(0, 0.6 / k**0.5) * np.cos(k * position) for k in range(1, 7))
    return Warp(
        formants,
        float(np.clip(level, MIN_LEVEL, MAX_LEVEL)),
        float(np.clip(spread, MIN_SPREAD, MAX_SPREAD)),
        tempo,
        np.asarray(tone),
    )


def warped_bands(envelope: np.ndarray, by: Warp) -> np.ndarray:
    """Return envelopes (F, 80) with moved formants and added tone."""
    sources = np.minimum(WIDE.centres / by.formants, WIDE.top_hz)
    bands = np.clip(mel(sources) / mel(WIDE.top_hz) * WIDE.count - 0.5, 0, WIDE.count - 1)
    return resample_rows(envelope.T.astype(np.float32), bands).T + by.tone


def speaker(of: Utterance, by: Warp) -> tuple[Speaker, float]:
    """Return the voice of a warped utterance and its loudness, without warping all of it."""
    mean = warped_bands(of.mean[None], by)[0]
    return Speaker(by.level, by.spread, mean - mean.mean()), float(mean.mean())


def warp(of: Utterance, by: Warp, times: np.ndarray) -> Features:
    """Return the steps of a warped utterance at `times` (M,), fractional steps."""
    log_f0 = resample_rows(of.log_f0.astype(np.float32)[:, None], times)[:, 0]
    voiced = of.voiced[np.round(times).astype(np.int64)].astype(np.float32)
    envelope = warped_bands(resample_rows(of.envelope.astype(np.float32), times), by)
    moved = by.level + (log_f0 - of.level) * (by.spread / max(of.spread, 1e-3))
    return Features(
        moved.astype(np.float32),
        voiced,
        np.zeros((len(times), 0), np.float32),
        np.maximum(envelope, WIDE.log_floor).astype(np.float32),
    )


def frame_symbols(of: Utterance, tempo: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the symbols and times of an utterance's frames at a tempo.

    Each symbol starts on a frame and gets at least one.

    Returns:
        Each frame's symbol (T,) by its index, the symbol's frames left (T,), and the times of the 4·T steps.
    """
    begins = of.timing.begins
    frames = max(len(begins), round(of.steps * tempo / STEPS_PER_FRAME))
    order = np.arange(len(begins))
    at = np.round(begins * frames / of.steps).astype(np.int64)
    at[0] = 0
    at = np.maximum.accumulate(at - order) + order
    at = np.minimum(at, frames - len(begins) + order)
    numbers = np.searchsorted(at, np.arange(frames), side="right") - 1
    ends = np.append(at[1:], frames)
    left = ends[numbers] - 1 - np.arange(frames)
    lasts = np.bincount(numbers, minlength=len(begins))[numbers]
    quarters = (np.arange(STEPS_PER_FRAME) + 0.5) / STEPS_PER_FRAME
    shares = ((lasts - 1 - left)[:, None] + quarters) / lasts[:, None]
    lengths = np.diff(begins, append=of.steps)[numbers]
    times = begins[numbers][:, None] + shares * lengths[:, None] - 0.5
    return numbers, left, times.ravel().clip(0, of.steps - 1)


def read_frames(of: Utterance, tempo: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what frame_symbols does, but for the frames left codebook 0's codes (T,)."""
    numbers, left, times = frame_symbols(of, tempo)
    codes = reading_code(of.timing.symbols[numbers], of.timing.words[numbers], left)
    return numbers, codes, times


def even_times(of: Utterance, tempo: float) -> np.ndarray:
    """Return the times of an utterance's steps at a tempo, evenly spaced in whole frames."""
    frames = max(1, round(of.steps * tempo / STEPS_PER_FRAME))
    return np.linspace(0, of.steps - 1, frames * STEPS_PER_FRAME)


def recorded(clip: Features, rng: np.random.Generator) -> Features:
    """Degrade synthetic speech like recordings of people, each degradation at random.

    A room, unsteady pitch, gaps in the voicing, a telephone's band, clipping, and background noise.
    """
    power, log_f0, voiced = np.exp(clip.envelope), clip.log_f0, clip.voiced
    level = np.log(power).mean(1)
    loud = float(np.percentile(level, 95))
    if rng.random() < 0.4:
        power = power + rng.uniform(0.02, 0.2) * wandering(power, np.exp(-0.138 / rng.uniform(0.1, 0.8)))
    if rng.random() < 0.5:
        log_f0 = log_f0 + rng.uniform(0, 0.03) * wandering(rng.normal(size=len(log_f0)), 0.9)
    if rng.random() < 0.4:
        voiced = voiced * (wandering(rng.normal(size=len(voiced)), 0.8) > rng.uniform(-5, -1))
    if rng.random() < 0.15:
        low, high = rng.uniform(150, 400), rng.uniform(3200, 7500)
        outside = (
            np.maximum(0, np.log(low / WIDE.centres)) * 4 + np.maximum(0, np.log(WIDE.centres / high)) * 12
        )
        power = power * np.exp(-outside)
    if rng.random() < 0.1:
        flat = rng.uniform(-30, -15) / 4.34 + level[:, None] + np.zeros(WIDE.count)
        power = power + np.exp(flat) * (level > loud - 1.5)[:, None]
    if rng.random() < 0.6:
        slope = rng.uniform(-4, 2) * np.linspace(-0.5, 0.5, WIDE.count)
        floor = loud - rng.uniform(15, 50) / 4.34 + slope
        power = power + np.exp(floor + rng.normal(0, rng.uniform(0.2, 1.0), power.shape))
    envelope = np.log(np.maximum(power, np.exp(WIDE.log_floor)))
    return Features(*(part.astype(np.float32) for part in (log_f0, voiced, clip.voicing, envelope)))
