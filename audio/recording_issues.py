"""Problems of a voice recording: clipping, hum, a second voice.

Each check uses one simple measure; its docstring says what it can't detect.
"""

from dataclasses import dataclass

import numpy as np
import soxr

from audio.activity import STEP, STEPS_PER_SECOND, joined_runs
from audio.frames import SAMPLE_RATE
from audio.pitch import WINDOW_SECONDS, pitch_track

PITCH_RATE = 8_000
PITCH_CHUNK = 10 * PITCH_RATE

CLIPPED_NEAR_TOP = 0.95

HUM_HZ = (50, 60)
HUM_RATE = 2_000
HUM_WINDOW_SECONDS, HUM_STEP_SECONDS = 0.4, 0.1
HUM_SIDES = (6, 16)  # a tone is compared with what lies this many Hz to either side
QUIETEST = 0.05
HUM_ABOVE_DB = 14.0
HUM_BELOW_SPEECH_DB = 50.0
MIN_HUM_SECONDS = 0.3  # shorter places are between two words

VOICES_APART_SEMITONES = 6.0
VOICES_APART_DEVIATIONS = 3.0
SECOND_VOICE_SHARE = 0.2

APART_SECONDS = 0.5  # places closer together are reported as one


@dataclass(frozen=True)
class Place:
    """A part of a recording, in seconds from its start."""

    start: float
    end: float


@dataclass(frozen=True)
class RecordingIssue:
    """A problem of a recording.

    Attributes:
        name: machine-readable.
        message: for people.
        places: where in the recording it is heard, in order; empty if that can't be told.
    """

    name: str
    message: str
    places: tuple[Place, ...] = ()


def places_of(
    flags: np.ndarray, step_seconds: float = 1 / STEPS_PER_SECOND, offset: float = 0.0
) -> tuple[Place, ...]:
    """Return the places where flags are True; those less than 0.5 s apart as one.

    Args:
        flags: bool (N,), one per step.
        step_seconds: length of a step.
        offset: where in the recording the first step begins, in seconds.
    """
    first, end = joined_runs(flags, round(APART_SECONDS / step_seconds))
    spans = offset + np.stack([first, end], axis=1) * step_seconds
    return tuple(Place(round(start, 2), round(stop, 2)) for start, stop in spans.tolist())


def clipped_share(samples: np.ndarray, loud_frames: np.ndarray) -> np.ndarray:
    """Return, for each 10 ms, the share of samples within 5 % of the recording's own ceiling.

    The ceiling is the 99.9th percentile of the magnitudes in loud frames. Natural speech rarely comes near
    it, clipped speech stays there. This also detects clipping below full scale or followed by MP3 encoding.
    """
    frames = len(loud_frames)
    magnitudes = np.abs(samples[: frames * STEP]).reshape(frames, -1)
    ceiling = np.quantile(magnitudes[loud_frames], 0.999) if loud_frames.any() else np.inf
    return (magnitudes > CLIPPED_NEAR_TOP * ceiling).mean(axis=1)


def pitches_of(samples: np.ndarray, frames: int) -> np.ndarray:
    """Return the pitch in Hz of each 10 ms frame, NaN where unvoiced; computed in chunks to bound memory."""
    slow = soxr.resample(samples, SAMPLE_RATE, PITCH_RATE)
    width = round(WINDOW_SECONDS * PITCH_RATE)
    step = PITCH_RATE // STEPS_PER_SECOND
    found = [
        pitch_track(slow[start : start + PITCH_CHUNK + width], PITCH_RATE)[: PITCH_CHUNK // step]
        for start in range(0, len(slow), PITCH_CHUNK)
    ]
    pitches = np.full(frames, np.nan)
    joined = np.concatenate(found)[:frames]
    pitches[: len(joined)] = joined
    return pitches


def hum_of(samples: np.ndarray, loud: float) -> tuple[int, tuple[Place, ...]] | None:
    """Return the frequency (50 or 60 Hz) of audible mains hum and where it is heard, or None.

    Hum is constant while speech pauses. In the quietest moments, two of the tones f, 2f and 3f must rise 14
    dB above their neighbourhood, and the stronger must be at most 50 dB below the speech. It is heard where
    its tones rise so; speech covers it.

    Args:
        samples: mono float32 (N,) at 24 kHz.
        loud: the level of the speech in dB.
    """
    slow = soxr.resample(samples, SAMPLE_RATE, HUM_RATE)
    window = np.hanning(int(HUM_WINDOW_SECONDS * HUM_RATE))
    frames = np.lib.stride_tricks.sliding_window_view(slow, len(window))[:: int(HUM_STEP_SECONDS * HUM_RATE)]
    # Zero padding to 1 s makes the bins 1 Hz wide; a sine of amplitude A gives A²/2.
    spectra = np.fft.rfft(frames * window, HUM_RATE)[:, : 3 * max(HUM_HZ) + HUM_SIDES[1] + 1]
    power = 20 * np.log10(np.maximum(2**0.5 * np.abs(spectra) / window.sum(), 1e-7))
    levels = np.quantile(power, QUIETEST, axis=0)
    for frequency in HUM_HZ:
        level, above = tones_in(levels, frequency)
        clear = above > HUM_ABOVE_DB
        if clear.sum() >= 2 and level[clear].max() > loud - HUM_BELOW_SPEECH_DB:
            _, above = tones_in(power, frequency)
            heard = (above > HUM_ABOVE_DB).sum(axis=-1) >= 2
            middle = round(HUM_WINDOW_SECONDS / HUM_STEP_SECONDS / 2)
            places = places_of(np.pad(heard, middle, mode="edge"), HUM_STEP_SECONDS)
            return frequency, tuple(place for place in places if place.end - place.start >= MIN_HUM_SECONDS)
    return None


def tones_in(levels: np.ndarray, frequency: int) -> tuple[np.ndarray, np.ndarray]:
    """Measure a frequency and its multiples by 2 and 3 in spectra (..., bins) of 1 Hz bins in dB.

    Returns:
        Their levels in dB (..., 3), and how far they rise above both sides (..., 3).
    """
    near, far = HUM_SIDES
    found = []
    for tone in (frequency, 2 * frequency, 3 * frequency):
        sides = np.r_[tone - far : tone - near, tone + near + 1 : tone + far + 1]
        level = levels[..., tone - 1 : tone + 2].max(axis=-1)
        found.append((level, level - np.median(levels[..., sides], axis=-1)))
    level, above = np.stack(found, axis=-1)
    return level, above


def second_voice(medians: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return which phrases a second voice speaks; all False if there is none.

    Phrases are split into two groups by pitch, which must be six semitones and three standard deviations
    apart; the smaller group has at least a fifth of the time. Two voices of similar pitch are not detected.

    Args:
        medians: median pitch of each phrase in Hz, NaN if unvoiced.
        seconds: length of each phrase.
    """
    semitones, known = 12 * np.log2(medians), ~np.isnan(medians)
    widest, second = 0.0, np.zeros(len(medians), bool)
    for border in np.unique(semitones[known])[1:]:
        groups = [known & (semitones < border), known & (semitones >= border)]
        times = [seconds[group].sum() for group in groups]
        means = [np.average(semitones[group], weights=seconds[group]) for group in groups]
        strays = np.where(groups[0], semitones - means[0], semitones - means[1])[known]
        deviation = np.sqrt(np.average(strays**2, weights=seconds[known]))
        apart = means[1] - means[0]
        clear = apart > max(VOICES_APART_SEMITONES, VOICES_APART_DEVIATIONS * deviation)
        if clear and apart > widest and min(times) > SECOND_VOICE_SHARE * sum(times):
            widest, second = apart, groups[int(np.argmin(times))]
    return second
