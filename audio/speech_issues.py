"""What is wrong with speech that a model has made, as an ear would notice: silence, clipping, loops, length.

Unlike a recording's findings, these are faults of the making: another try may well be without them. Whether
the words are the right ones only a recogniser can tell.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from audio.reference import SAMPLE_RATE, SPEECH_RANGE_DB, STEPS_PER_SECOND, speech_levels

# Speech stands at -30 to -10 dB; what never comes above -50 nobody would hear beside it.
INAUDIBLE_DB = -50.0
LOUD_STEPS = 20  # the loudness is what the loudest 0.2 s reach
MAX_PAUSE_SECONDS = 2.5  # readers pause up to a second between sentences, two between paragraphs

FULL_SCALE = 0.999
CLIPPED_RUN = 3  # samples: a single peak that touches full scale is not flat
CLIPPED_SHARE = 0.0005  # of all samples: half a millisecond in each second, heard as crackling

# Nobody says more than 25 letters a second, and the slowest readers say 5; some silence is always added.
MAX_SPEED, MIN_SPEED = 25.0, 5.0
SPARE_SECONDS = 3.0
# Letters that a character sounds like: digits are said as words, a Chinese or Japanese sign is a syllable.
DIGIT_LETTERS, SIGN_LETTERS = 4, 3

MOST_QUOTED = 60  # characters of a text in a message

HOP, WINDOW, BANDS = SAMPLE_RATE // 50, 1024, 24
FRAMES_PER_SECOND = SAMPLE_RATE // HOP
MIN_LOOP, MAX_LOOP = 0.3, 6.0  # seconds of what is repeated
REPEATED_SECONDS = 3.0  # how long it goes on after the first time: people repeat a word, not that long
REPEATS = 2
# Correlation of two spectrograms: different words are above this for a sixth of a second at most.
ALIKE = 0.8


@dataclass(frozen=True)
class SpeechIssue:
    """One thing wrong: its kind, where it is in seconds, and a sentence for people."""

    kind: Literal["silence", "clipping", "loop", "too_short", "too_long", "missing"]
    start: float
    end: float
    message: str


def find_speech_issues(samples: np.ndarray, text: str) -> list[SpeechIssue]:
    """What is wrong with mono float32 samples (N,) at 24 kHz that should say this text."""
    if len(samples) < SAMPLE_RATE // STEPS_PER_SECOND * LOUD_STEPS * 2:
        return [SpeechIssue("too_short", 0.0, len(samples) / SAMPLE_RATE, "There is hardly any sound.")]
    levels = speech_levels(samples)
    loud = float(np.partition(levels, -LOUD_STEPS)[-LOUD_STEPS])
    if loud < INAUDIBLE_DB:
        return [SpeechIssue("silence", 0.0, len(samples) / SAMPLE_RATE, "Nothing can be heard.")]
    found = [*silences(levels, loud), *clipping(samples), *loops(samples, levels, loud)]
    return [*found, *wrong_length(len(samples) / SAMPLE_RATE, text)]


def silences(levels: np.ndarray, loud: float) -> Iterator[SpeechIssue]:
    """Pauses that no reader makes. levels: of each 10 ms, in dB."""
    sound = np.flatnonzero(levels > loud - SPEECH_RANGE_DB)
    edges = [-1, *sound.tolist(), len(levels)]
    for before, after in pairwise(edges):
        seconds = (after - before - 1) / STEPS_PER_SECOND
        if seconds > MAX_PAUSE_SECONDS:
            start = (before + 1) / STEPS_PER_SECOND
            yield SpeechIssue("silence", start, start + seconds, f"Nothing is said for {seconds:.1f} s.")


def clipping(samples: np.ndarray) -> Iterator[SpeechIssue]:
    """Peaks cut flat at full scale."""
    full = np.abs(samples) >= FULL_SCALE
    flat = np.lib.stride_tricks.sliding_window_view(full, CLIPPED_RUN).all(axis=1)
    share = flat.mean()
    if share > CLIPPED_SHARE:
        where = np.flatnonzero(flat)
        start, end = int(where[0]) / SAMPLE_RATE, int(where[-1] + CLIPPED_RUN) / SAMPLE_RATE
        yield SpeechIssue("clipping", start, end, f"{share:.2%} of the samples are cut off at full scale.")


def wrong_length(seconds: float, text: str) -> Iterator[SpeechIssue]:
    """Speech faster or slower than anyone's."""
    letters = sum(map(_letters, text))
    if seconds < letters / MAX_SPEED:
        yield SpeechIssue("too_short", 0.0, seconds, f"{seconds:.1f} s are too short for all of the text.")
    if seconds > letters / MIN_SPEED + SPARE_SECONDS:
        yield SpeechIssue("too_long", 0.0, seconds, f"{seconds:.1f} s are too long for the text alone.")


def short_texts(texts: Iterable[tuple[str, float, float]]) -> Iterator[SpeechIssue]:
    """Which texts, each with the seconds where it begins and ends, are spoken too fast to be whole."""
    for text, start, end in texts:
        if end - start < sum(map(_letters, text)) / MAX_SPEED:
            yield SpeechIssue(
                "too_short", start, end, f"{end - start:.1f} s are too short for {excerpt(text)}."
            )


def unheard(text: str, start: float, end: float) -> SpeechIssue:
    """A sentence of which a recogniser heard next to nothing."""
    return SpeechIssue("missing", start, end, f"{excerpt(text)} was not heard.")


def excerpt(text: str) -> str:
    """A text in quotes, as much of it as a message holds."""
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= MOST_QUOTED else f'"{line[:MOST_QUOTED].rstrip()}…"'


def _letters(character: str) -> int:
    if not character.isalnum():
        return 0
    if character.isdigit():
        return DIGIT_LETTERS
    return SIGN_LETTERS if unicodedata.east_asian_width(character) in "WF" else 1


def loops(samples: np.ndarray, levels: np.ndarray, loud: float) -> Iterator[SpeechIssue]:
    """The stretch that repeats itself longest, or a sound that is held, if either goes on for 3 s.

    Two moments are alike where their spectra, a third of a second around each, correlate.
    """
    spectra = log_spectra(samples)
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
        yield SpeechIssue("loop", begin, end, f"The same {seconds:.1f} s come again and again.")


def alike(spectra: np.ndarray, energy: np.ndarray, sounding: np.ndarray, lag: int) -> np.ndarray:
    """Which frames are like those `lag` later, judged over 0.3 s around each; silence is like nothing."""
    width = int(MIN_LOOP * FRAMES_PER_SECOND)
    if len(spectra) <= lag + width:
        return np.zeros(0, bool)

    def around(values: np.ndarray) -> np.ndarray:
        return np.convolve(values, np.ones(width), mode="same")

    product = around((spectra[:-lag] * spectra[lag:]).sum(axis=1))
    norm = np.sqrt(around(energy[:-lag]) * around(energy[lag:]))
    heard = around((sounding[:-lag] & sounding[lag:]).astype(float)) > width / 2
    return heard & (product > ALIKE * np.maximum(norm, 1e-9))


def longest_run(flags: np.ndarray) -> tuple[int, int]:
    """Where the longest run of True begins, and its length."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    longest = int(lengths.argmax()) if len(lengths) else 0
    return (int(starts[longest]), int(lengths[longest])) if len(lengths) else (0, 0)


def log_spectra(samples: np.ndarray) -> np.ndarray:
    """The spectrum of each 20 ms in 24 mel bands up to 8 kHz, in dB (frames, 24)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32))))
    mels = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), BANDS + 1)
    edges = np.round(700 * (10 ** (mels / 2595) - 1) * WINDOW / SAMPLE_RATE).astype(int)
    bands = [power[:, low : max(high, low + 1)].mean(axis=1) for low, high in pairwise(edges)]
    return 10 * np.log10(np.stack(bands, axis=1) + 1e-8)
