"""Prepare a decoded recording as a voice reference: check it, trim it, normalise its level."""

from dataclasses import dataclass, replace

import numpy as np

from audio.activity import SPEECH_RANGE_DB, STEP, STEPS_PER_SECOND, loudness_of, sound_bounds, speech_levels
from audio.frames import HOP, SAMPLE_RATE
from audio.voice_activity import SPOKEN, WINDOW_SECONDS, speech_probabilities, voice_seconds
from errors import InvalidAudio

MIN_SECONDS = 1.0
MIN_SOUND_SECONDS = 0.5
MAX_SECONDS = 30.0  # for any model; VoiceCloner.max_reference_seconds is the loaded model's
EARLIEST_CUT = 0.5  # share of the maximum; cutting at an earlier pause would lose too much
SILENCE_DB = -60.0
# Measured: in voice recordings at least half of the time is speech, in others at most 0.06 s (bench/LOG.md).
MIN_VOICE_SECONDS = 0.3

KEPT_BEFORE = SAMPLE_RATE // 10
KEPT_AFTER = SAMPLE_RATE // 5
PAUSE_SECONDS = 0.3

QUIETEST_SPEECH_DB = -32.0
MAX_SPEECH_DB = -8.0
MAX_PEAK = 0.98


@dataclass(frozen=True)
class PreparedReference:
    """Samples ready for the codec, and their place in the recording.

    Attributes:
        samples: float32 mono 24 kHz, 1 s to the requested maximum, a multiple of 960 samples.
        start_seconds, end_seconds: the used part of the recording.
        source_seconds: the recording's duration.
        trimmed: whether speech was left out because the recording was longer than the maximum.
    """

    samples: np.ndarray
    start_seconds: float
    end_seconds: float
    source_seconds: float
    trimmed: bool


def prepare_reference(
    samples: np.ndarray, max_seconds: float = MAX_SECONDS, check_voice: bool = True
) -> PreparedReference:
    """Check and prepare a recording for the codec.

    Silence before and after the speech is removed. A longer recording is cut at the best pause in the second
    half of `max_seconds`. If that part has no speech, the reference starts where speech does.

    Args:
        samples: mono float32 (N,) at 24 kHz.
        max_seconds: maximum length of the result.
        check_voice: reject recordings without a voice.

    Raises:
        InvalidAudio: audio_too_short, audio_silent, audio_no_speech or audio_not_finite.
    """
    seconds = len(samples) / SAMPLE_RATE
    if not np.isfinite(samples).all():
        raise InvalidAudio("The reference audio has NaN or infinite samples.", code="audio_not_finite")
    if seconds < MIN_SECONDS:
        raise too_short(f"The reference audio is {seconds:.2f} s long")
    levels = speech_levels(samples)
    loud = loudness_of(levels)
    if loud < SILENCE_DB:
        message = "The reference audio is silent; send a recording of a voice."
        raise InvalidAudio(message, code="audio_silent")
    start, end, trimmed = used_part(levels, loud, len(samples), max_seconds)
    used = at_sane_level(samples[start:end], loud)
    if check_voice and voice_seconds(used, SAMPLE_RATE) < MIN_VOICE_SECONDS:
        later = voice_onset(samples[end:]) if trimmed else None
        if later is None:
            raise no_voice("the reference audio")
        return _later(samples, end + later, max_seconds)
    return PreparedReference(used, start / SAMPLE_RATE, end / SAMPLE_RATE, seconds, trimmed)


def _later(samples: np.ndarray, start: int, max_seconds: float) -> PreparedReference:
    """Prepare the reference from sample `start` on; times refer to the whole recording."""
    start = max(start - KEPT_BEFORE, 0)
    found, offset = prepare_reference(samples[start:], max_seconds), start / SAMPLE_RATE
    return replace(
        found,
        start_seconds=offset + found.start_seconds,
        end_seconds=offset + found.end_seconds,
        source_seconds=len(samples) / SAMPLE_RATE,
        trimmed=True,
    )


def voice_onset(samples: np.ndarray) -> int | None:
    """Return the sample where at least 0.3 s of speech within one second begin; None if there is none."""
    if len(samples) < MIN_SECONDS * SAMPLE_RATE:
        return None
    spoken = speech_probabilities(samples, SAMPLE_RATE) > SPOKEN
    needed, second = round(MIN_VOICE_SECONDS / WINDOW_SECONDS) + 1, round(1 / WINDOW_SECONDS)
    total = np.concatenate([[0], np.cumsum(np.pad(spoken, (0, second)))])
    begun = np.flatnonzero(spoken & (total[second:-1] - total[: -second - 1] >= needed))
    return int(begun[0] * WINDOW_SECONDS * SAMPLE_RATE) if len(begun) else None


def used_part(levels: np.ndarray, loud: float, length: int, max_seconds: float) -> tuple[int, int, bool]:
    """Return start and end of the part to use (whole codec frames, at least 1 s), and if it is trimmed."""
    threshold = max(loud - SPEECH_RANGE_DB, SILENCE_DB)
    first, last = sound_bounds(levels, threshold)
    if last - first < MIN_SOUND_SECONDS * SAMPLE_RATE:
        raise too_short(f"The reference audio holds only {(last - first) / SAMPLE_RATE:.2f} s of sound")
    shortest = int(MIN_SECONDS * SAMPLE_RATE)
    start = min(max(first - KEPT_BEFORE, 0), length - shortest)
    end = max(min(last + KEPT_AFTER, length), start + shortest)
    trimmed = end - start > max_seconds * SAMPLE_RATE
    if trimmed:
        end = pause_before_limit(levels, threshold, start, max_seconds)
    return start, start + (end - start) // HOP * HOP, trimmed


def pause_before_limit(levels: np.ndarray, threshold: float, start: int, max_seconds: float) -> int:
    """Return a sample in the last pause, or the quietest moment, of the second half of max_seconds."""
    width = int(PAUSE_SECONDS * STEPS_PER_SECOND)
    first = start // STEP + int(EARLIEST_CUT * max_seconds * STEPS_PER_SECOND)
    last = start // STEP + int(max_seconds * STEPS_PER_SECOND)
    window = np.lib.stride_tricks.sliding_window_view(np.maximum(levels[first:last], threshold), width)
    loudness = window.mean(axis=1)
    latest_quietest = len(loudness) - 1 - int(np.argmin(loudness[::-1]))
    middle = first + latest_quietest + width // 2
    _, last_sound = sound_bounds(levels[:middle], threshold)
    return min(middle * STEP, last_sound + KEPT_AFTER)


def at_sane_level(samples: np.ndarray, loud: float) -> np.ndarray:
    """Bring very quiet or very loud speech to the edge of the usual range; leave the rest unchanged.

    A very quiet reference would give very quiet speech, and the codec has seen little audio of such levels.
    """
    gain = 10 ** ((min(max(loud, QUIETEST_SPEECH_DB), MAX_SPEECH_DB) - loud) / 20)
    peak = float(np.abs(samples).max())
    return (samples * min(gain, MAX_PEAK / peak)).astype(np.float32) if gain != 1 or peak > 1 else samples


def no_voice(where: str) -> InvalidAudio:
    message = f"No voice was detected in {where}, only noise, tones or music; send someone speaking."
    return InvalidAudio(message, code="audio_no_speech")


def too_short(finding: str) -> InvalidAudio:
    return InvalidAudio(f"{finding}; at least 1 s is needed, 3 s or more are better.", code="audio_too_short")
