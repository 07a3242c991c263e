"""Audible faults of generated speech: silence, clipping, loops, wrong length.

Another attempt may not have them. Whether the words are right, only a recogniser can tell.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audio.activity import LOUD_FRAMES, SPEECH_RANGE_DB, STEPS_PER_SECOND, loudness_of, runs
from audio.frames import SAMPLE_RATE
from audio.speech_track import HOP, SpeechTrack

# Speech is at -30 to -10 dB; sound below -50 dB is inaudible beside it.
INAUDIBLE_DB = -50.0
HEARD_FRAMES = STEPS_PER_SECOND // 10  # minimum of sound: the word "a" has 0.18 s
MAX_PAUSE_SECONDS = 2.5  # readers pause up to a second between sentences, two between paragraphs

CLIPPED_SHARE = 0.0005  # of all samples: 0.5 ms per second, audible as crackling

# Letters per second: the fastest speakers reach 25, the slowest 5. Some silence is always added.
MAX_SPEED, MIN_SPEED = 25.0, 5.0
SPARE_SECONDS = 3.0
# Spoken length in letters: a digit is read as a word, a Chinese or Japanese character as a syllable.
DIGIT_LETTERS, SIGN_LETTERS = 4, 3

MAX_QUOTED = 60  # characters of a text in a message

FRAMES_PER_SECOND = SAMPLE_RATE // HOP
MIN_LOOP, MAX_LOOP = 0.3, 6.0  # length of the repeated part in seconds
REPEATED_SECONDS = 3.0  # minimum length of all repetitions; people also repeat single words
REPEATS = 2
# Correlation of spectrograms; different words exceed it for at most 0.17 s.
ALIKE = 0.8


@dataclass(frozen=True)
class SpeechIssue:
    """A fault of generated speech: its kind, start and end in seconds, and a message for people."""

    kind: Literal["silence", "clipping", "loop", "too_short", "too_long", "missing"]
    start: float
    end: float
    message: str


def find_speech_issues(samples: np.ndarray, text: str) -> list[SpeechIssue]:
    """Return the faults of mono float32 samples (N,) at 24 kHz that should say `text`."""
    track = SpeechTrack()
    track.push(samples)
    track.close()
    return speech_issues_in(track, text)


def speech_issues_in(track: SpeechTrack, text: str) -> list[SpeechIssue]:
    """Return the faults of recorded speech that should say `text`; see find_speech_issues."""
    seconds = track.samples / SAMPLE_RATE
    if track.samples < SAMPLE_RATE // STEPS_PER_SECOND * LOUD_FRAMES * 2:
        return [SpeechIssue("too_short", 0.0, seconds, "There is hardly any sound.")]
    levels = track.levels
    loud = loudness_of(levels)
    if loudness_of(levels, HEARD_FRAMES) < INAUDIBLE_DB:
        return [SpeechIssue("silence", 0.0, seconds, "Nothing can be heard.")]
    found = [*silences(levels, loud), *clipping(track), *loops(track.spectra, levels, loud)]
    return [*found, *wrong_length(seconds, text)]


def silences(levels: np.ndarray, loud: float) -> Iterator[SpeechIssue]:
    """Yield pauses longer than 2.5 s; `levels` in dB, one per 10 ms."""
    for first, end in zip(*runs(levels <= loud - SPEECH_RANGE_DB), strict=True):
        start, seconds = int(first) / STEPS_PER_SECOND, int(end - first) / STEPS_PER_SECOND
        if seconds > MAX_PAUSE_SECONDS:
            yield SpeechIssue("silence", start, start + seconds, f"Nothing is said for {seconds:.1f} s.")


def clipping(track: SpeechTrack) -> Iterator[SpeechIssue]:
    """Yield peaks that are cut flat at full scale."""
    share = track.flat / track.samples
    if share > CLIPPED_SHARE:
        start, end = track.first_flat / SAMPLE_RATE, track.last_flat / SAMPLE_RATE
        yield SpeechIssue("clipping", start, end, f"{share:.2%} of the samples are cut off at full scale.")


def wrong_length(seconds: float, text: str) -> Iterator[SpeechIssue]:
    """Yield an issue if the speech is faster or slower than people speak."""
    letters = sum(map(_letters, text))
    if seconds < letters / MAX_SPEED:
        yield SpeechIssue("too_short", 0.0, seconds, f"{seconds:.1f} s are too short for all of the text.")
    if seconds > letters / MIN_SPEED + SPARE_SECONDS:
        yield SpeechIssue("too_long", 0.0, seconds, f"{seconds:.1f} s are too long for the text alone.")


def short_texts(texts: Iterable[tuple[str, float, float]]) -> Iterator[SpeechIssue]:
    """Yield an issue for each (text, start, end), in seconds, that is too short to have all of its text."""
    for text, start, end in texts:
        if end - start < sum(map(_letters, text)) / MAX_SPEED:
            yield SpeechIssue(
                "too_short", start, end, f"{end - start:.1f} s are too short for {excerpt(text)}."
            )


def unheard(text: str, start: float, end: float) -> SpeechIssue:
    """Return the issue of a sentence that the recogniser didn't find."""
    return SpeechIssue("missing", start, end, f"{excerpt(text)} was not heard.")


def cut_off(seconds: float) -> SpeechIssue:
    """Return the issue of speech that a limit ended, and not the model."""
    return SpeechIssue("too_long", 0.0, seconds, f"The speech went on and was cut off at {seconds:.1f} s.")


def excerpt(text: str) -> str:
    """Quote a text, shortened for a message."""
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= MAX_QUOTED else f'"{line[:MAX_QUOTED].rstrip()}…"'


def _letters(character: str) -> int:
    if not character.isalnum():
        return 0
    if character.isdigit():
        return DIGIT_LETTERS
    return SIGN_LETTERS if unicodedata.east_asian_width(character) in "WF" else 1


def loops(spectra: np.ndarray, levels: np.ndarray, loud: float) -> Iterator[SpeechIssue]:
    """Yield the longest repetition, or sustained sound, of at least 3 s.

    Two moments match if their spectra correlate over 0.3 s around each.
    """
    sounding = levels[:: STEPS_PER_SECOND // FRAMES_PER_SECOND][: len(spectra)] > loud - SPEECH_RANGE_DB
    spectra = spectra[: len(sounding)]
    spectra = (spectra - spectra[sounding].mean(axis=0)) * sounding[:, None]
    energy = np.square(spectra).sum(axis=1)
    best: tuple[int, int, int] | None = None
    for lag in range(int(MIN_LOOP * FRAMES_PER_SECOND), int(MAX_LOOP * FRAMES_PER_SECOND)):
        start, length = longest_run(alike(spectra, energy, sounding, lag))
        enough = max(REPEATED_SECONDS * FRAMES_PER_SECOND, REPEATS * lag)
        if length >= enough and (best is None or length > best[1] + lag):
            best = start, length, lag
    if best is not None:
        start, length, lag = best
        seconds = lag / FRAMES_PER_SECOND
        begin, end = start / FRAMES_PER_SECOND, (start + length + lag) / FRAMES_PER_SECOND
        yield SpeechIssue("loop", begin, end, f"The same {seconds:.1f} s repeat over and over.")


def alike(spectra: np.ndarray, energy: np.ndarray, sounding: np.ndarray, lag: int) -> np.ndarray:
    """Return which frames match those `lag` frames later, judged over 0.3 s; silence never matches."""
    width = int(MIN_LOOP * FRAMES_PER_SECOND)
    if len(spectra) <= lag + width:
        return np.zeros(0, bool)

    def around(values: np.ndarray) -> np.ndarray:
        total = np.cumsum(np.pad(values, (width // 2 + 1, width // 2)), dtype=np.float64)
        return total[width:] - total[:-width]

    product = around(np.einsum("ij,ij->i", spectra[:-lag], spectra[lag:]))
    norm = np.sqrt(np.maximum(around(energy[:-lag]) * around(energy[lag:]), 0))
    heard = around((sounding[:-lag] & sounding[lag:]).astype(float)) > width / 2
    return heard & (product > ALIKE * np.maximum(norm, 1e-9))


def longest_run(flags: np.ndarray) -> tuple[int, int]:
    """Return the start and length of the longest run of True."""
    starts, ends = runs(flags)
    lengths = ends - starts
    longest = int(lengths.argmax()) if len(lengths) else 0
    return (int(starts[longest]), int(lengths[longest])) if len(lengths) else (0, 0)
