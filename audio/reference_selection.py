"""Select the best part of a long recording as a voice reference: clean speech of one voice at a steady level.

The recording is split into phrases at its pauses. Each phrase scores its length times its quality. The run
of whole phrases with the highest score that fits the model's maximum is selected.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audio.activity import SPEECH_RANGE_DB, STEP, STEPS_PER_SECOND, joined_runs, loudness_of, speech_levels
from audio.frames import SAMPLE_RATE
from audio.loudness import at_usual_loudness
from audio.music import is_music
from audio.recording_issues import (
    QUIETEST,
    Place,
    RecordingIssue,
    clipped_share,
    hum_of,
    pitches_of,
    places_of,
    second_voice,
)
from audio.reference import (
    KEPT_AFTER,
    KEPT_BEFORE,
    MAX_SECONDS,
    MIN_VOICE_SECONDS,
    SILENCE_DB,
    no_voice,
    prepare_reference,
)
from audio.voice_activity import SPOKEN, WINDOW_SECONDS, speech_probabilities
from errors import InvalidAudio

MIN_SECONDS = 2.0
MIN_SPEECH_SECONDS = 1.0
# A phrase is louder than the pauses around it. Pauses are at least 0.25 s, and sounds below 0.1 s are clicks.
ABOVE_FLOOR_DB, BELOW_LOUD_DB = 8.0, 12.0
PAUSE_FRAMES, CLICK_FRAMES = 25, 10

CLIPPED, CLIPPED_BEYOND_USE = 0.01, 0.15
OFF_LEVEL_DB = 8.0
NO_VOICE = 0.3  # share of speech in a phrase below which it is noise, tones or music
NOISY_DB = 15.0
STRAY_SECONDS = 1.7  # where speakers alternate, one window of the speaker model belongs to both
# Score per second of a phrase, by its worst problem; a pause costs its time beyond one second.
GOOD, UNFIT, CLIPPED_WORTH, OTHER_VOICE = 1.0, -0.5, -1.0, -2.0
PAUSE_WORTH = -0.3

# Phrases (P arrays of samples) → the share of each that a second speaker says (P,).
SecondSpeaker = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class ReferenceSelection:
    """The selected part of a recording, at normal loudness, ready for the codec.

    Attributes:
        samples: float32 mono 24 kHz.
        start_seconds, end_seconds: the used part of the recording.
        source_seconds: the recording's duration.
        whole: whether the part has all of the recording's speech.
        issues: problems of the recording; empty for a good one.
    """

    samples: np.ndarray
    start_seconds: float
    end_seconds: float
    source_seconds: float
    whole: bool
    issues: tuple[RecordingIssue, ...]


@dataclass(frozen=True)
class Phrases:
    """The phrases of a recording, one per row (P,).

    Attributes:
        first, end: 10 ms frames.
        level: in dB.
        clipped, spoken: shares of the phrase, 0 to 1.
        pitch: median in Hz, NaN if unvoiced.
    """

    first: np.ndarray
    end: np.ndarray
    level: np.ndarray
    clipped: np.ndarray
    spoken: np.ndarray
    pitch: np.ndarray

    @property
    def seconds(self) -> np.ndarray:
        return (self.end - self.first) / STEPS_PER_SECOND


def select_reference(
    samples: np.ndarray,
    second_speaker: SecondSpeaker | None = None,
    max_seconds: float = MAX_SECONDS,
) -> ReferenceSelection:
    """Select the best part of a recording, and report the recording's problems.

    Args:
        samples: mono float32 (N,) at 24 kHz, at least 2 s.
        second_speaker: detects a second speaker; None compares pitches instead.
        max_seconds: maximum length of the part.

    Raises:
        InvalidAudio: audio_too_short, audio_silent, audio_not_finite, audio_no_speech or audio_clipped.
    """
    seconds = len(samples) / SAMPLE_RATE
    if seconds < MIN_SECONDS:
        raise _too_short(f"The recording is {seconds:.2f} s long; at least {MIN_SECONDS:g} s are needed")
    prepare_reference(samples)  # rejects silence and recordings without a voice
    levels = speech_levels(samples)
    loud = loudness_of(levels)
    phrases = phrases_of(samples, levels, loud)
    if not len(phrases.first) or phrases.spoken @ phrases.seconds < MIN_VOICE_SECONDS:
        raise no_voice("the recording")
    if second_speaker is None:
        other = second_voice(phrases.pitch, phrases.seconds).astype(float)
    else:
        spans = zip(phrases.first * STEP, phrases.end * STEP, strict=True)
        other = second_speaker([samples[begin:stop] for begin, stop in spans])
    first, last = best_window(phrases, worths(phrases, other > 0.5), max_seconds)
    chosen = slice(first, last + 1)
    start = max(int(phrases.first[first]) * STEP - KEPT_BEFORE, 0)
    end = min(int(phrases.end[last]) * STEP + KEPT_AFTER, len(samples))
    hum = hum_of(samples, loud)
    offset = start / SAMPLE_RATE
    issues = _issues(samples[start:end], offset, phrases, chosen, other, loud, hum)
    used = prepare_reference(at_usual_loudness(samples[start:end]), max_seconds)
    left_out = float(np.delete(phrases.seconds * phrases.spoken, np.arange(first, last + 1)).sum())
    return ReferenceSelection(
        used.samples,
        offset + used.start_seconds,
        offset + used.end_seconds,
        seconds,
        left_out < MIN_VOICE_SECONDS and not used.trimmed,
        issues,
    )


def _issues(
    samples: np.ndarray,
    offset: float,
    phrases: Phrases,
    chosen: slice,
    other: np.ndarray,
    loud: float,
    hum: tuple[int, tuple[Place, ...]] | None,
) -> tuple[RecordingIssue, ...]:
    """Return the problems of the selected part. Raises InvalidAudio if it can't be used.

    Args:
        samples: the selected samples.
        offset: where they begin in the recording, in seconds.
        phrases: all phrases.
        chosen: which phrases are selected.
        other: share of each phrase that a second voice says.
        loud: the recording's loudness in dB.
        hum: in Hz, and where; None if there is none.
    """
    seconds = phrases.seconds[chosen]
    if seconds.sum() < MIN_SPEECH_SECONDS:
        raise _too_short(f"The recording holds only {seconds.sum():.1f} s of good speech")
    clipped = float(np.average(phrases.clipped[chosen], weights=seconds))
    if clipped > CLIPPED_BEYOND_USE:
        message = "The recording is clipped throughout; record it again, farther from the microphone."
        raise InvalidAudio(message, code="audio_clipped")
    levels = speech_levels(samples)
    above = loud - float(np.quantile(levels, QUIETEST))
    found = []
    if clipped > CLIPPED:
        places = places_of(clipped_share(samples, levels > loud - BELOW_LOUD_DB) > CLIPPED, offset=offset)
        found.append(RecordingIssue("clipping", f"{clipped:.0%} of the samples are clipped.", places))
    if hum is not None:
        found.append(RecordingIssue("hum", f"There is a hum of {hum[0]} Hz in the background.", hum[1]))
    if is_music(samples):
        everywhere = places_of(np.ones(len(levels), bool), offset=offset)
        message = "There is music or singing in it; speech alone is better."
        found.append(RecordingIssue("music", message, everywhere))
    elif above < NOISY_DB:
        loud_pauses = ~spoken_steps(samples, len(levels)) & (levels > loud - NOISY_DB)
        message = f"The background is only {above:.0f} dB below the speech."
        found.append(RecordingIssue("noise", message, places_of(loud_pauses, offset=offset)))
    if other.any():
        both_used = float(other[chosen] @ seconds) > STRAY_SECONDS
        found.append(RecordingIssue("two_voices", _two_voices(both_used), _places_of_phrases(phrases, other)))
    return tuple(found)


def _places_of_phrases(phrases: Phrases, other: np.ndarray) -> tuple[Place, ...]:
    """Return the places of the phrases that a second voice says most of."""
    spoken = other >= min(0.5, float(other.max()))
    spans = zip(phrases.first[spoken].tolist(), phrases.end[spoken].tolist(), strict=True)
    return tuple(Place(first / STEPS_PER_SECOND, end / STEPS_PER_SECOND) for first, end in spans)


def _two_voices(both_used: bool) -> str:
    used = "both are in the part that was used" if both_used else "only one is in the part that was used"
    return f"Two voices were heard; {used}."


def phrases_of(samples: np.ndarray, levels: np.ndarray, loud: float) -> Phrases:
    """Split a recording, whose loudest frames have the level `loud`, into phrases and measure each."""
    floor = float(np.quantile(levels, 0.1))
    threshold = max(loud - SPEECH_RANGE_DB, min(floor + ABOVE_FLOOR_DB, loud - BELOW_LOUD_DB), SILENCE_DB)
    first, end = phrase_runs(levels >= threshold)
    clipped = clipped_share(samples, levels > loud - BELOW_LOUD_DB)
    spans = [slice(*span) for span in zip(first, end, strict=True)]
    pitches, spoken = pitches_of(samples, len(levels)), spoken_steps(samples, len(levels))
    voiced = [~np.isnan(pitches[span]) for span in spans]
    return Phrases(
        first,
        end,
        np.array([10 * np.log10(np.mean(10 ** (levels[span] / 10))) for span in spans]),
        np.array([clipped[span].mean() for span in spans]),
        np.array([spoken[span].mean() for span in spans]),
        np.array(
            [
                np.median(pitches[span][there]) if there.any() else np.nan
                for span, there in zip(spans, voiced, strict=True)
            ]
        ),
    )


def spoken_steps(samples: np.ndarray, steps: int) -> np.ndarray:
    """Return for each 10 ms whether it is speech."""
    probabilities = speech_probabilities(samples, SAMPLE_RATE)
    windows = (np.arange(steps) / STEPS_PER_SECOND / WINDOW_SECONDS).astype(int)
    return probabilities[np.minimum(windows, len(probabilities) - 1)] > SPOKEN


def phrase_runs(loud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first and end frame of each run of loud frames, with short pauses bridged and clicks removed."""
    first, end = joined_runs(loud, PAUSE_FRAMES)
    whole = end - first >= CLICK_FRAMES
    return first[whole], end[whole]


def worths(phrases: Phrases, other: np.ndarray) -> np.ndarray:
    """Return the score per second of each phrase."""
    clipped = phrases.clipped > CLIPPED
    fit = (phrases.spoken >= NO_VOICE) & ~clipped & ~other
    judges = fit if fit.any() else np.ones_like(fit)
    usual = np.median(np.repeat(phrases.level, np.where(judges, phrases.end - phrases.first, 0)))
    fit &= np.abs(phrases.level - usual) <= OFF_LEVEL_DB
    return np.select([other, clipped, ~fit], [OTHER_VOICE, CLIPPED_WORTH, UNFIT], GOOD)


def best_window(phrases: Phrases, worth: np.ndarray, max_seconds: float) -> tuple[int, int]:
    """Return the first and last phrase of the best run within max_seconds, or of one longer phrase."""
    gaps = np.concatenate([[0.0], (phrases.first[1:] - phrases.end[:-1]) / STEPS_PER_SECOND])
    total = np.cumsum(worth * phrases.seconds)
    pauses = np.cumsum(np.maximum(gaps - 1, 0) * PAUSE_WORTH)
    best, chosen = -np.inf, (0, 0)
    for first in range(len(gaps)):
        ends = phrases.end[first:] - phrases.first[first] <= max_seconds * STEPS_PER_SECOND
        lasts = slice(first, first + max(int(ends.sum()), 1))
        before = total[first] - worth[first] * phrases.seconds[first] + pauses[first]
        counts = total[lasts] + pauses[lasts] - before
        if counts.max() > best:
            best, chosen = counts.max(), (first, first + int(counts.argmax()))
    return chosen


def _too_short(finding: str) -> InvalidAudio:
    return InvalidAudio(f"{finding}; 5 to 15 s are best.", code="audio_too_short")
