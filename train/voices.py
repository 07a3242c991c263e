"""Pseudo-speakers: one warp of pitch, formants, tempo and tone, held over all utterances of a speaker."""

from dataclasses import dataclass, replace

import numpy as np

from higgs.vocoder.analysis import BANDS, LOG_FLOOR, STEPS_PER_FRAME, TOP_HZ, Features, band_centres, mel

# Where each teacher's pitch lies (ln Hz) and how far it strays: a pseudo-speaker can be sent anywhere.
TEACHER_LEVEL = np.log([172.0, 100.0, 125.0, 93.0])
TEACHER_SPREAD = (0.074, 0.144, 0.12, 0.2)


@dataclass(frozen=True)
class Warp:
    """formants: factor of their frequencies; shift: of ln f0; spread: factor of pitch range around the
    teacher's level; tempo: factor of duration; tone (64,): added to the ln envelope; periodicity: factor
    of voicing."""

    voice: int
    formants: float = 1.0
    shift: float = 0.0
    spread: float = 1.0
    tempo: float = 1.0
    periodicity: float = 1.0
    tone: np.ndarray | float = 0.0


def draw_warp(voice: int, rng: np.random.Generator) -> Warp:
    """A pseudo-speaker of one teacher: 75 to 330 Hz, the formants loosely following the pitch."""
    level = rng.uniform(np.log(78), np.log(300))
    drift = 0.35 * (level - TEACHER_LEVEL[voice])
    position = np.linspace(0, np.pi, BANDS)
    tone = sum(rng.normal(0, 0.7 / k**0.5) * np.cos(k * position) for k in range(1, 7))
    return Warp(
        voice,
        formants=float(np.clip(np.exp(drift * 0.6 + rng.normal(0, 0.05)), 0.8, 1.25)),
        shift=float(level - TEACHER_LEVEL[voice]),
        # People stray farther than synthesisers: every code of level and spread is to be met.
        spread=float(np.exp(rng.uniform(np.log(0.06), np.log(0.4))) / TEACHER_SPREAD[voice]),
        tempo=float(np.exp(rng.uniform(-0.15, 0.15))),
        periodicity=float(rng.uniform(0.85, 1.1)),
        tone=tone,
    )


def frames_of(features: np.ndarray, by: Warp) -> int:
    """Frames of packed features (F, 70) at a warp's tempo."""
    return max(1, round(len(features) * by.tempo / STEPS_PER_FRAME))


def warp(features: np.ndarray, by: Warp, times: np.ndarray | None = None) -> Features:
    """Apply a warp to packed features (F, 70).

    times: the step, a fraction, that each step of the result is read at; evenly spaced where None.
    """
    if times is None:
        times = np.linspace(0, len(features) - 1, frames_of(features, by) * STEPS_PER_FRAME)
    packed = resample_rows(features.astype(np.float32), times)
    centres = band_centres() / by.formants
    bands = np.clip(mel(np.minimum(centres, TOP_HZ)) / mel(TOP_HZ) * BANDS - 0.5, 0, BANDS - 1)
    envelope = resample_rows(packed[:, 6:].T, bands).T + by.tone
    level = TEACHER_LEVEL[by.voice]
    voiced = (packed[:, 1] > 0.5).astype(np.float32)
    return Features(
        log_f0=(level + by.shift + by.spread * (packed[:, 0] - level)).astype(np.float32),
        voiced=voiced,
        voicing=np.clip(packed[:, 2:6] * by.periodicity, 0, 1) * voiced[:, None],
        envelope=np.maximum(envelope, LOG_FLOOR).astype(np.float32),
    )


def centred(clip: Features, level: float) -> Features:
    """The clip with its median pitch at a level (ln Hz). Sentences stray from their speaker's level, by more
    than two semitones where the range is wide; an answer is to lie where its reference lies."""
    voiced = clip.log_f0[clip.voiced > 0.5]
    shift = np.float32(level - np.median(voiced)) if len(voiced) else np.float32(0)
    return replace(clip, log_f0=clip.log_f0 + shift)


def resample_rows(rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Rows (N, D) read at fractional row numbers (M,)."""
    lower = np.minimum(positions.astype(np.int64), max(len(rows) - 2, 0))
    above = (positions - lower)[:, None].astype(rows.dtype)
    return rows[lower] * (1 - above) + rows[np.minimum(lower + 1, len(rows) - 1)] * above


def noisy(features: Features, rng: np.random.Generator) -> Features:
    """A recording less clean than a synthesiser: a floor of coloured noise 15 to 50 dB below the speech."""
    loud = np.percentile(features.envelope.mean(1), 95)
    slope = rng.uniform(-2, 1) * np.linspace(-0.5, 0.5, BANDS)
    floor = loud - rng.uniform(15, 50) / 4.34 + slope + rng.normal(0, 0.3, features.envelope.shape)
    envelope = np.logaddexp(features.envelope, floor).astype(np.float32)
    return Features(features.log_f0, features.voiced, features.voicing, envelope)
