"""Pseudo-speakers: a warp of pitch, formants, tempo and tone, the same for all utterances of a speaker."""

from dataclasses import dataclass, replace

import numpy as np

from higgs.codecs.vocoder.analysis import BANDS, LOG_FLOOR, STEPS_PER_FRAME, TOP_HZ, Features
from higgs.codecs.vocoder.bands import NARROW, mel
from higgs.codecs.vocoder.speaker import Speaker
from train.speech import Teacher

# Shares of a natural teacher's pseudo-speakers: its own voice, and voices near it.
PLAIN_SHARE, NEAR_SHARE = 0.2, 0.5
BUILT_IN_PLAIN_SHARE = 0.6  # of a built-in voice's: as it is played


@dataclass(frozen=True)
class Warp:
    """How a teacher's speech is changed.

    Attributes:
        teacher: whose speech.
        formants: factor of formant frequencies.
        shift: added to ln f0.
        spread: factor of the pitch range around the teacher's level.
        tempo: factor of duration.
        periodicity: factor of voicing.
        tone: (64,), added to the ln envelope.
    """

    teacher: Teacher
    formants: float = 1.0
    shift: float = 0.0
    spread: float = 1.0
    tempo: float = 1.0
    periodicity: float = 1.0
    tone: np.ndarray | float = 0.0


def draw_warp(teacher: Teacher, rng: np.random.Generator) -> Warp:
    """Draw a pseudo-speaker of a teacher: any human voice or, for a natural teacher, mostly one near it."""
    if teacher.shift is not None and rng.random() < BUILT_IN_PLAIN_SHARE:
        return Warp(teacher, teacher.shift, float(np.log(teacher.shift)), tempo=draw_tempo(rng))
    where = rng.random() if teacher.natural else 1.0
    if where < PLAIN_SHARE:
        return Warp(teacher, tempo=draw_tempo(rng))
    return near(teacher, rng) if where < PLAIN_SHARE + NEAR_SHARE else anywhere(teacher, rng)


def draw_tempo(rng: np.random.Generator) -> float:
    """Draw a tempo, 0.86 to 1.16."""
    return float(np.exp(rng.uniform(-0.15, 0.15)))


def near(teacher: Teacher, rng: np.random.Generator) -> Warp:
    """Draw a body of another size, with the pitch that follows from it, and a recording of another colour."""
    formants = float(np.exp(rng.uniform(np.log(0.82), np.log(1.22))))
    level = teacher.level + 1.3 * np.log(formants) + rng.normal(0, 0.14)
    spread = np.clip(teacher.spread * np.exp(rng.normal(0, 0.3)), 0.06, 0.4) / teacher.spread
    return Warp(
        teacher,
        formants,
        shift=float(np.clip(level, np.log(70), np.log(330)) - teacher.level),
        spread=float(spread),
        tempo=draw_tempo(rng),
        tone=draw_tone(0.5, rng),
    )


def anywhere(teacher: Teacher, rng: np.random.Generator) -> Warp:
    """Draw a voice from 75 to 330 Hz, with formants that loosely follow the pitch."""
    level = rng.uniform(np.log(78), np.log(300))
    drift = 0.35 * (level - teacher.level)
    return Warp(
        teacher,
        formants=float(np.clip(np.exp(drift * 0.6 + rng.normal(0, 0.05)), 0.8, 1.25)),
        shift=float(level - teacher.level),
        # People vary more than synthesisers: every code of level and spread should occur.
        spread=float(np.exp(rng.uniform(np.log(0.06), np.log(0.4))) / teacher.spread),
        tempo=draw_tempo(rng),
        periodicity=float(rng.uniform(0.85, 1.1)),
        tone=draw_tone(0.7, rng),
    )


def draw_tone(strength: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the colour (64,) of a voice and its recording, in ln power: slow waves over the bands."""
    position = np.linspace(0, np.pi, BANDS)
    waves = [rng.normal(0, strength / k**0.5) * np.cos(k * position) for k in range(1, 7)]
    return np.sum(waves, axis=0)


def frames_of(features: np.ndarray, by: Warp) -> int:
    """Return the frames of packed features (F, 70) at a warp's tempo."""
    return max(1, round(len(features) * by.tempo / STEPS_PER_FRAME))


def warp(features: np.ndarray, by: Warp, times: np.ndarray | None = None) -> Features:
    """Apply a warp to packed features (F, 70).

    times: the step, a fraction, that each step of the result is read from; None for evenly spaced ones.
    """
    if times is None:
        times = np.linspace(0, len(features) - 1, frames_of(features, by) * STEPS_PER_FRAME)
    packed = resample_rows(features.astype(np.float32), times)
    centres = NARROW.centres / by.formants
    bands = np.clip(mel(np.minimum(centres, TOP_HZ)) / mel(TOP_HZ) * BANDS - 0.5, 0, BANDS - 1)
    envelope = resample_rows(packed[:, 6:].T, bands).T + by.tone
    level = by.teacher.level
    voiced = (packed[:, 1] > 0.5).astype(np.float32)
    return Features(
        log_f0=(level + by.shift + by.spread * (packed[:, 0] - level)).astype(np.float32),
        voiced=voiced,
        voicing=np.clip(packed[:, 2:6] * by.periodicity, 0, 1) * voiced[:, None],
        envelope=np.maximum(envelope, LOG_FLOOR).astype(np.float32),
    )


def moved(clip: Features, speaker: Speaker, to: Speaker) -> Features:
    """Return a clip of one speaker with the pitch and mean envelope of another."""
    return replace(
        clip,
        log_f0=(to.level + (clip.log_f0 - speaker.level) * to.spread / speaker.spread).astype(np.float32),
        envelope=np.maximum(clip.envelope + to.timbre - speaker.timbre, LOG_FLOOR).astype(np.float32),
    )


def centred(clip: Features, level: float) -> Features:
    """Return the clip with its median pitch at a level (ln Hz).

    Sentences stray from their speaker's level, by more than two semitones if the range is wide; an answer
    should be at its reference's level.
    """
    voiced = clip.log_f0[clip.voiced > 0.5]
    shift = np.float32(level - np.median(voiced)) if len(voiced) else np.float32(0)
    return replace(clip, log_f0=clip.log_f0 + shift)


def resample_rows(rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return rows (N, D) interpolated at fractional indices (M,)."""
    lower = np.minimum(positions.astype(np.int64), max(len(rows) - 2, 0))
    above = (positions - lower)[:, None].astype(rows.dtype)
    return rows[lower] * (1 - above) + rows[np.minimum(lower + 1, len(rows) - 1)] * above


def recorded(features: Features, rng: np.random.Generator) -> Features:
    """Degrade synthetic speech like recordings of people, each degradation at random.

    A room, unsteady pitch and voicing, gaps in the voicing, background noise, and words in an unusual order.
    """
    order, log_f0, voiced = np.arange(len(features.log_f0)), features.log_f0, features.voiced
    voicing, power = features.voicing, np.exp(features.envelope)
    if rng.random() < 0.4:
        power = power + rng.uniform(0.02, 0.2) * wandering(power, np.exp(-0.138 / rng.uniform(0.1, 0.8)))
    if rng.random() < 0.5:
        log_f0 = log_f0 + rng.uniform(0, 0.03) * wandering(rng.normal(size=len(order)), 0.9)
    if rng.random() < 0.5:
        rough = rng.uniform(0, 0.15) * wandering(rng.normal(size=voicing.shape), 0.8)
        whole = wandering(rng.normal(size=len(order)), 0.8) > rng.uniform(-5, 0)
        voicing, voiced = (voicing + rough).clip(0, 1), voiced * whole
    if rng.random() < 0.7:
        slope = rng.uniform(-4, 2) * np.linspace(-0.5, 0.5, BANDS)
        loud = np.percentile(np.log(power).mean(1), 95) - rng.uniform(12, 50) / 4.34
        power = power + np.exp(loud + slope + rng.normal(0, rng.uniform(0.2, 1.0), power.shape))
    if rng.random() < 0.4:
        pieces = np.split(order, np.sort(rng.integers(0, len(order), rng.integers(1, 12))))
        order = np.concatenate([pieces[i] for i in rng.permutation(len(pieces))])
    voicing = voicing * voiced[:, None]
    parts = (log_f0, voiced, voicing, np.log(np.maximum(power, np.exp(LOG_FLOOR))))
    return Features(*(part[order].astype(np.float32) for part in parts))


def wandering(rows: np.ndarray, keep: float) -> np.ndarray:
    """Filter rows (N, …) with a one-pole low-pass of factor `keep`."""
    found = np.zeros_like(rows)
    for step in range(1, len(rows)):
        found[step] = keep * found[step - 1] + rows[step - 1]
    return found
