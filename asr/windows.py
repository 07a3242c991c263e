"""Cut a long recording at pauses into windows for a recogniser; silence is left out."""

from collections.abc import Iterator

import numpy as np

from asr.memory import as_float

MAX_SECONDS = 30.0  # what Whisper was trained on
EARLIEST_CUT_SECONDS = 15.0
PAUSE_SECONDS = 0.3
KEPT_SECONDS = 0.25  # margin around speech, for soft beginnings and ends of words
MIN_SECONDS = 0.1  # no word is shorter
FRAMES_PER_SECOND = 50
FRAMES_AT_ONCE = 1_000

# Speech is louder than this, and within 45 dB of the loudest frame; the rest is room noise.
SILENCE_DB = -60.0
SPEECH_RANGE_DB = 45.0


def windows(samples: np.ndarray, sample_rate: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) in samples of each window of a recording (N,); nothing if it is silent."""
    frame = sample_rate // FRAMES_PER_SECOND
    levels = frame_levels(samples, frame)
    threshold = max(SILENCE_DB, float(levels.max(initial=SILENCE_DB)) - SPEECH_RANGE_DB)
    sound = np.flatnonzero(levels > threshold)
    kept, longest = int(KEPT_SECONDS * FRAMES_PER_SECOND), int(MAX_SECONDS * FRAMES_PER_SECOND)
    position = 0
    while len(sound := sound[sound >= position]):
        start = max(position, int(sound[0]) - kept)
        end = len(levels) if len(levels) - start <= longest else start + _best_cut(levels[start:])
        position = end
        last = int(sound[sound < end][-1]) + 1
        stop = min(min(end, last + kept) * frame, len(samples))
        if stop - start * frame >= MIN_SECONDS * sample_rate:
            yield start * frame, stop


def frame_levels(samples: np.ndarray, frame: int) -> np.ndarray:
    """The level of each frame in dBFS, without its DC offset; the last frame may be shorter.

    Computed block by block: for an hour at once, the copies would take gigabytes.
    """
    levels = [np.empty(0)]
    for start in range(0, len(samples), FRAMES_AT_ONCE * frame):
        block = as_float(samples[start : start + FRAMES_AT_ONCE * frame])
        padded = np.pad(block, (0, -len(block) % frame)).reshape(-1, frame)
        power = padded.var(axis=1, dtype=np.float64)
        levels.append(10 * np.log10(np.maximum(power, 1e-12)))
    return np.concatenate(levels)


def _best_cut(levels: np.ndarray) -> int:
    """The middle frame of the quietest pause between 15 and 30 s."""
    first, last = (int(seconds * FRAMES_PER_SECOND) for seconds in (EARLIEST_CUT_SECONDS, MAX_SECONDS))
    width = int(PAUSE_SECONDS * FRAMES_PER_SECOND)
    pauses = np.lib.stride_tricks.sliding_window_view(levels[first:last], width).mean(axis=1)
    return first + int(pauses.argmin()) + width // 2
