"""Make a decoded recording fit to be a voice reference: check it, trim it, and bring it to a sane level.

Times are found on the speech level: the power of 20 ms frames, every 10 ms, in dB of full scale.
"""

from dataclasses import dataclass

import numpy as np

from errors import InvalidAudio

SAMPLE_RATE = 24_000
HOP = 960  # the codec's frame; its two published encoders agree only on whole frames
MIN_SECONDS = 1.0
MIN_SOUND_SECONDS = 0.5
MAX_SECONDS = 30.0
EARLIEST_CUT_SECONDS = 15.0
SILENCE_DB = -60.0

FRAME = SAMPLE_RATE // 50
STEP = SAMPLE_RATE // 100
STEPS_PER_SECOND = SAMPLE_RATE // STEP
# The loudness of a recording is the level that its loudest 0.2 s reach; 40 dB below it there is no speech.
LOUD_FRAMES = 20
SPEECH_RANGE_DB = 40.0
KEPT_BEFORE = SAMPLE_RATE // 10
KEPT_AFTER = SAMPLE_RATE // 5
PAUSE_SECONDS = 0.3

QUIETEST_SPEECH_DB = -32.0
MAX_SPEECH_DB = -8.0
MAX_PEAK = 0.98


@dataclass(frozen=True)
class PreparedReference:
    """Samples ready for the codec, and where in the recording they stood.

    samples: float32 mono 24 kHz, a multiple of 960 samples, 1 to 30 s.
    start_seconds, end_seconds: the used part of the recording.
    trimmed: whether speech was left out because the recording was longer than 30 s.
    """

    samples: np.ndarray
    start_seconds: float
    end_seconds: float
    source_seconds: float
    trimmed: bool


def prepare_reference(samples: np.ndarray) -> PreparedReference:
    """Check and prepare mono float32 samples (N,) at 24 kHz.

    Silence before and after the speech goes; more than 30 s are cut at the best pause between 15 and 30 s.
    Raises InvalidAudio: audio_too_short, audio_silent, audio_not_finite.
    """
    seconds = len(samples) / SAMPLE_RATE
    if not np.isfinite(samples).all():
        raise InvalidAudio("The reference audio holds NaN or infinite samples.", code="audio_not_finite")
    if seconds < MIN_SECONDS:
        raise too_short(f"The reference audio is {seconds:.2f} s long")
    levels = speech_levels(samples)
    loud = float(np.partition(levels, -LOUD_FRAMES)[-LOUD_FRAMES])
    if loud < SILENCE_DB:
        message = "The reference audio is silent; send a recording of a voice."
        raise InvalidAudio(message, code="audio_silent")
    start, end, trimmed = used_part(levels, loud, len(samples))
    used = at_sane_level(samples[start:end], loud)
    return PreparedReference(used, start / SAMPLE_RATE, end / SAMPLE_RATE, seconds, trimmed)


def used_part(levels: np.ndarray, loud: float, length: int) -> tuple[int, int, bool]:
    """Which samples to use, whole codec frames and at least 1 s of them; and whether speech is left out."""
    threshold = max(loud - SPEECH_RANGE_DB, SILENCE_DB)
    first, last = speech_bounds(levels, threshold)
    if last - first < MIN_SOUND_SECONDS * SAMPLE_RATE:
        raise too_short(f"The reference audio holds only {(last - first) / SAMPLE_RATE:.2f} s of sound")
    shortest = int(MIN_SECONDS * SAMPLE_RATE)
    start = min(max(first - KEPT_BEFORE, 0), length - shortest)
    end = max(min(last + KEPT_AFTER, length), start + shortest)
    trimmed = end - start > MAX_SECONDS * SAMPLE_RATE
    if trimmed:
        end = pause_before_limit(levels, threshold, start)
    return start, start + (end - start) // HOP * HOP, trimmed


def speech_levels(samples: np.ndarray) -> np.ndarray:
    """The level of each 20 ms frame in dB, one frame per 10 ms; without its mean, which no ear hears."""
    starts = np.arange(0, len(samples) - FRAME + 1, STEP)

    def means(values: np.ndarray) -> np.ndarray:
        total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        return (total[starts + FRAME] - total[starts]) / FRAME

    centred = samples - samples.mean(dtype=np.float64)
    return 10 * np.log10(np.maximum(means(centred**2) - means(centred) ** 2, 1e-12))


def speech_bounds(levels: np.ndarray, threshold: float) -> tuple[int, int]:
    """First and last sample of what is louder than the threshold."""
    loud_frames = np.flatnonzero(levels >= threshold)
    return int(loud_frames[0]) * STEP, int(loud_frames[-1]) * STEP + FRAME


def pause_before_limit(levels: np.ndarray, threshold: float, start: int) -> int:
    """A sample in the last pause 15 to 30 s after start, or in the quietest moment where none is."""
    width = int(PAUSE_SECONDS * STEPS_PER_SECOND)
    first = start // STEP + int(EARLIEST_CUT_SECONDS * STEPS_PER_SECOND)
    last = start // STEP + int(MAX_SECONDS * STEPS_PER_SECOND)
    window = np.lib.stride_tricks.sliding_window_view(np.maximum(levels[first:last], threshold), width)
    loudness = window.mean(axis=1)
    latest_quietest = len(loudness) - 1 - int(np.argmin(loudness[::-1]))
    middle = first + latest_quietest + width // 2
    _, last_sound = speech_bounds(levels[:middle], threshold)
    return min(middle * STEP, last_sound + KEPT_AFTER)


def at_sane_level(samples: np.ndarray, loud: float) -> np.ndarray:
    """Bring very quiet or very loud speech to the edge of the usual range; leave the rest as it was recorded.

    A recording whispered by its microphone would give a whispering answer, and the codec has heard little
    of such levels; one gain for the whole clip changes nothing else of the voice.
    """
    gain = 10 ** ((min(max(loud, QUIETEST_SPEECH_DB), MAX_SPEECH_DB) - loud) / 20)
    peak = float(np.abs(samples).max())
    return (samples * min(gain, MAX_PEAK / peak)).astype(np.float32) if gain != 1 or peak > 1 else samples


def too_short(finding: str) -> InvalidAudio:
    return InvalidAudio(f"{finding}; at least 1 s is needed, 3 s or more are better.", code="audio_too_short")
