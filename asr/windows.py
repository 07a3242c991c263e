"""Split a long recording at pauses into windows for a recogniser, leaving out silence."""

from collections.abc import Iterator

import numpy as np

from asr.transcript import Chunking
from audio.activity import STEPS_PER_SECOND, LevelMeter
from audio.compact import float_blocks
from audio.turn_detection import turns_of

MAX_SECONDS = 30.0  # what Whisper was trained on
EARLIEST_CUT_SECONDS = 15.0
PAUSE_SECONDS = 0.3
KEPT_SECONDS = 0.25  # margin around speech, for soft beginnings and ends of words
MIN_SECONDS = 0.1  # no word is shorter
BLOCK_SECONDS = 20

# Speech is above -60 dB and within 45 dB of the loudest frame; the rest is room noise.
SILENCE_DB = -60.0
SPEECH_RANGE_DB = 45.0


def windows(samples: np.ndarray, sample_rate: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end, in samples, of each window of a recording (N,); nothing if it is silent."""
    levels, step = levels_of(samples, sample_rate), sample_rate // STEPS_PER_SECOND
    threshold = max(SILENCE_DB, float(levels.max(initial=SILENCE_DB)) - SPEECH_RANGE_DB)
    sound, steps = np.flatnonzero(levels > threshold), -(-len(samples) // step)
    kept, longest = int(KEPT_SECONDS * STEPS_PER_SECOND), int(MAX_SECONDS * STEPS_PER_SECOND)
    position = 0
    while len(sound := sound[sound >= position]):
        start = max(position, int(sound[0]) - kept)
        end = steps if steps - start <= longest else start + _best_cut(levels[start:])
        position = end
        last = int(sound[sound < end][-1]) + 2  # a level spans two steps
        stop = min(min(end, last + kept) * step, len(samples))
        if stop - start * step >= MIN_SECONDS * sample_rate:
            yield start * step, stop


def chunks(samples: np.ndarray, sample_rate: int, chunking: Chunking) -> Iterator[tuple[int, int]]:
    """Yield the start and end, in samples, of each chunk that voice activity detection finds.

    A chunk that is too long for a recogniser is cut as `windows` cuts a recording.
    """
    padding, kept = (
        round(seconds * sample_rate)
        for seconds in (chunking.padding_seconds, min(chunking.silence_seconds, KEPT_SECONDS))
    )
    position = 0
    for first, last in turns_of(samples, sample_rate, chunking.threshold, chunking.silence_seconds):
        start, end = max(first - padding, position), min(last + kept, len(samples))
        position = end
        if end - start > MAX_SECONDS * sample_rate:
            cut = windows(samples[start:end], sample_rate)
            yield from ((start + one, start + other) for one, other in cut)
        elif end - start >= MIN_SECONDS * sample_rate:
            yield start, end


def levels_of(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the level in dBFS of 20 ms frames, one every 10 ms.

    Works block by block: copies of a whole hour would need gigabytes.
    """
    meter = LevelMeter(sample_rate)
    for block in float_blocks(samples, BLOCK_SECONDS * sample_rate):
        meter.push(block)
    return meter.levels


def _best_cut(levels: np.ndarray) -> int:
    """Return the middle step of the quietest pause between 15 and 30 s."""
    first, last = (int(seconds * STEPS_PER_SECOND) for seconds in (EARLIEST_CUT_SECONDS, MAX_SECONDS))
    width = int(PAUSE_SECONDS * STEPS_PER_SECOND)
    pauses = np.lib.stride_tricks.sliding_window_view(levels[first:last], width).mean(axis=1)
    return first + int(pauses.argmin()) + width // 2
