"""The constant features of a voice: pitch level, pitch range and mean envelope; removed before coding.

Codebook 1 has pitch level and range, codebook 2 the mean envelope; both have the same code in every frame of
a clip. A language model that continues a clip repeats them, and so keeps the voice.
"""

from dataclasses import dataclass

import numpy as np

from higgs.codecs.vocoder.analysis import Features
from higgs.codecs.vocoder.bands import NARROW, Bands

LEVELS, RANGES = 64, 16
LEVEL_LOW, LEVEL_HIGH = 4.0, 6.2  # ln Hz: 55 to 493 Hz in steps of 0.6 semitones
RANGE_LOW, RANGE_HIGH = 0.05, 0.5  # ln: standard deviation of 0.9 to 8.7 semitones
SPEECH_DEPTH = 5.0  # ln power: steps up to this far below the loud ones count as speech
POWER = -6.4  # ln power of output speech, all bands together
GATE, GATE_RATIO = -6.0, 4.0  # downward expansion below this relative ln power removes coding noise


@dataclass(frozen=True)
class Speaker:
    """level and spread: median and standard deviation of ln f0; timbre (bands,): mean ln envelope."""

    level: float
    spread: float
    timbre: np.ndarray


def speech_steps(envelope: np.ndarray) -> np.ndarray:
    """Return which steps (F,) of an envelope (F, bands) are speech, by their level."""
    level = envelope.mean(1)
    return level > np.percentile(level, 95) - SPEECH_DEPTH


def loudness(envelope: np.ndarray) -> float:
    """Return the mean ln power per band over steps of speech."""
    return float(envelope[speech_steps(envelope)].mean())


def absolute(relative: np.ndarray, timbre: np.ndarray, bands: Bands = NARROW) -> np.ndarray:
    """Return envelopes (F, bands) from ones relative to a timbre, at the same loudness for every voice."""
    total = np.log((np.exp(timbre) * bands.widths).sum(-1, keepdims=True) / bands.top_hz)
    return relative + GATE_RATIO * np.minimum(0, relative - GATE) + timbre - total + POWER


def speaker_of(features: Features) -> Speaker:
    """Measure a voice; a clip without voiced steps gets an average pitch."""
    voiced = features.log_f0[features.voiced > 0.5]
    level, spread = (float(np.median(voiced)), float(voiced.std())) if len(voiced) > 3 else (5.0, 0.15)
    mean = features.envelope[speech_steps(features.envelope)].mean(0)
    return Speaker(level, spread, mean - mean.mean())


def pitch_code(speaker: Speaker) -> int:
    """Return the code, 0 to 1023, of a voice's pitch level and range."""
    level = (speaker.level - LEVEL_LOW) / (LEVEL_HIGH - LEVEL_LOW) * LEVELS
    spread = np.log(max(speaker.spread, 1e-3) / RANGE_LOW) / np.log(RANGE_HIGH / RANGE_LOW) * RANGES
    return int(np.clip(level, 0, LEVELS - 1)) * RANGES + int(np.clip(spread, 0, RANGES - 1))


def pitch_of_codes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return level and spread of pitch codes of any shape."""
    level = LEVEL_LOW + (codes // RANGES + 0.5) * (LEVEL_HIGH - LEVEL_LOW) / LEVELS
    spread = RANGE_LOW * (RANGE_HIGH / RANGE_LOW) ** ((codes % RANGES + 0.5) / RANGES)
    return level, spread
