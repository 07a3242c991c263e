"""A long recording in windows that a recogniser can hear at once, cut at pauses; silence is left out."""

from collections.abc import Iterator

import numpy as np

MAX_SECONDS = 30.0  # what Whisper was trained on
EARLIEST_CUT_SECONDS = 15.0
PAUSE_SECONDS = 0.3
KEPT_SECONDS = 0.25  # around speech: soft beginnings and ends of words
MIN_SECONDS = 0.1  # nobody says a word in less
FRAMES_PER_SECOND = 50

# Below this no recorder's speech is found; and 45 dB below the loudest there is only the room.
SILENCE_DB = -60.0
SPEECH_RANGE_DB = 45.0


def windows(samples: np.ndarray, sample_rate: int) -> Iterator[tuple[int, int]]:
    """Where the windows begin and end (samples) in a recording (N,): none where it is silent all through."""
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
    """The level of each frame in dB of full scale, its offset taken out; the last frame may be shorter."""
    padded = np.pad(samples, (0, -len(samples) % frame)).reshape(-1, frame)
    power = padded.var(axis=1, dtype=np.float64)
    return 10 * np.log10(np.maximum(power, 1e-12))


def _best_cut(levels: np.ndarray) -> int:
    """The frame in the middle of the quietest moment 15 to 30 s on."""
    first, last = (int(seconds * FRAMES_PER_SECOND) for seconds in (EARLIEST_CUT_SECONDS, MAX_SECONDS))
    width = int(PAUSE_SECONDS * FRAMES_PER_SECOND)
    pauses = np.lib.stride_tricks.sliding_window_view(levels[first:last], width).mean(axis=1)
    return first + int(pauses.argmin()) + width // 2
