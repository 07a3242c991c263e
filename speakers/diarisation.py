"""Who speaks when in a recording.

Voice activity detection finds the phrases; overlapping windows of them are embedded by the speaker encoder
(Wang et al., "Speaker diarization with LSTM", ICASSP 2018); the embeddings are clustered, and the speech is
segmented again by the means of the clusters (speakers.clustering, speakers.segmentation). Each moment has one
speaker: where several talk at once, the most similar one.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from audio.compact import as_float
from audio.turn_detection import turns_of
from concurrency import raise_if_cancelled
from speakers.clustering import clusters_of
from speakers.encoder import LEVEL_DB, SAMPLE_RATE, WINDOW
from speakers.segmentation import STEP, best_path, frames_of, similarities
from speakers.verifier import OVERLAP, SpeakerVerifier, speech, unit, windows

SPEECH, PAUSE_SECONDS, MIN_PHRASE_SECONDS = 0.5, 0.25, 0.2
HOP_SECONDS = 0.4
WINDOW_SECONDS = WINDOW / SAMPLE_RATE
# A window that is shorter says too little to be clustered; a speaker has at least so much clustered speech.
MIN_CLUSTERED_SECONDS, MIN_SPEAKER_SECONDS = 0.8, 2.0
# Clustering needs two matrices of this size squared, 18 MB; of longer recordings not every window is taken.
MAX_CLUSTERED = 1500
BATCH = 64
ROUNDS = 2
# A cluster whose mean is at least this similar to a known speaker's is this speaker. Measured: bench/LOG.md.
KNOWN_SPEAKER = 0.65
# Half of the mean embedding of many voices is taken away: what all have in common tells no one apart.
COHORT_MEAN = np.load(Path(__file__).with_name("cohort_mean.npy")) / 2


@dataclass(frozen=True)
class Turn:
    """Speech of one speaker, from `start` to `end` in seconds."""

    start: float
    end: float
    speaker: int


class Diarisation:
    """The turns of a recording, in their order."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.turns = tuple(turns)
        self._starts = [turn.start for turn in turns]

    def speaker(self, start: float, end: float) -> int:
        """Return who speaks most from `start` to `end`, in seconds.

        In a pause, whose turn is nearest; 0 in a recording without speech.
        """
        first = max(bisect_right(self._starts, start) - 1, 0)
        near = self.turns[first : bisect_right(self._starts, end) + 1]
        spoken: defaultdict[int, float] = defaultdict(float)
        for turn in near:
            spoken[turn.speaker] += max(min(turn.end, end) - max(turn.start, start), 0.0)
        if any(spoken.values()):
            return max(spoken, key=spoken.__getitem__)
        nearest = min(near, key=lambda turn: max(turn.start - end, start - turn.end), default=None)
        return 0 if nearest is None else nearest.speaker


def diarise(
    samples: np.ndarray, sample_rate: int, verifier: SpeakerVerifier, known: Sequence[np.ndarray] = ()
) -> Diarisation:
    """Find who speaks when.

    An hour of speech takes about a minute of a core and, beside the samples, 50 MB.

    Args:
        samples: mono (N,), float32 or int16.
        sample_rate: in Hz.
        verifier: embeds speech.
        known: embeddings (256,) of speakers who may speak; see `known_embedding`.

    Returns:
        Turns; speakers below len(known) are those, and others follow.

    Raises:
        NotInstalled: there is no model of speakers.
        Cancelled: the request was cancelled.
    """
    found = turns_of(samples, sample_rate, SPEECH, PAUSE_SECONDS)
    phrases = [(a, b) for a, b in found if b - a >= MIN_PHRASE_SECONDS * sample_rate]
    if not phrases:
        return Diarisation(())
    spans = [(start / sample_rate, end / sample_rate) for start, end in phrases]
    cut = np.array([window for span in spans for window in windows_of(*span)])
    embeddings = centred(_embedded(samples, sample_rate, cut[:, :2], verifier))
    speakers, means = speakers_of(embeddings, cut, known)
    frames, firsts = frames_of(spans)
    for _ in range(ROUNDS):
        path = best_path(similarities(frames, cut[:, :2], embeddings @ means.T), firsts)
        means = _means_of(path, frames, cut, embeddings, means)
    return Diarisation(_turns(frames, firsts, np.array(speakers)[path]))


def known_embedding(samples: np.ndarray, sample_rate: int, verifier: SpeakerVerifier) -> np.ndarray:
    """Return the embedding (256,) by which `diarise` knows the speaker of a recording.

    Args:
        samples: mono float32 (N,).
        sample_rate: in Hz.

    Raises:
        NotInstalled: there is no model of speakers.
    """
    cut = windows(speech(samples, sample_rate), WINDOW // OVERLAP)
    return unit(centred(verifier.encode(cut)).mean(axis=0))


def centred(embeddings: np.ndarray) -> np.ndarray:
    """Return embeddings (N, 256) of unit norm less what all voices have in common."""
    found = embeddings - COHORT_MEAN
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def windows_of(start: float, end: float) -> Iterator[tuple[float, float, float]]:
    """Yield windows of a phrase, evenly spaced: start, end, and how many seconds of it each stands for."""
    count = max(int(np.ceil((end - start - WINDOW_SECONDS) / HOP_SECONDS)), 0) + 1
    length = min(WINDOW_SECONDS, end - start)
    for first in np.linspace(start, end - length, count):
        yield float(first), float(first) + length, (end - start) / count


def clustered(cut: np.ndarray) -> np.ndarray:
    """Return which windows (N, 3) are clustered: (M,), at most MAX_CLUSTERED, and some if there are any."""
    long = np.flatnonzero(cut[:, 1] - cut[:, 0] >= MIN_CLUSTERED_SECONDS)
    taken = long if len(long) else np.arange(len(cut))
    return taken[:: -(-len(taken) // MAX_CLUSTERED)]


def speakers_of(
    embeddings: np.ndarray, cut: np.ndarray, known: Sequence[np.ndarray]
) -> tuple[list[int], np.ndarray]:
    """Return the numbers of the speakers, as of `diarise`, and their mean embeddings (K, 256).

    Args:
        embeddings: (N, 256), centred.
        cut: (N, 3), as of `windows_of`.
        known: see `diarise`.
    """
    taken = clustered(cut)
    labels = clusters_of(embeddings[taken])
    seconds = np.bincount(labels, cut[taken, 2])
    means = np.stack([unit(embeddings[taken[labels == label]].sum(axis=0)) for label in range(len(seconds))])
    similarity = means @ np.array(known, np.float32).reshape(-1, means.shape[1]).T
    named = (similarity >= KNOWN_SPEAKER).any(axis=1)
    numbers, found = [], []
    for number, embedding in enumerate(known):
        if (similarity[:, number] >= KNOWN_SPEAKER).any():
            own = means[named & (similarity.argmax(axis=1) == number)]
            numbers.append(number)
            found.append(unit(embedding + own.sum(axis=0)))
    for label in np.flatnonzero(~named & (seconds >= min(MIN_SPEAKER_SECONDS, seconds.max()))):
        numbers.append(len(known) + int(label))
        found.append(means[label])
    return numbers, np.stack(found)


def _embedded(
    samples: np.ndarray, sample_rate: int, cut: np.ndarray, verifier: SpeakerVerifier
) -> np.ndarray:
    """Return the embeddings (N, 256) of windows from `cut` (N, 2) in seconds, each at the encoder's level."""
    found = np.empty((len(cut), 256), np.float32)
    full = cut[:, 1] - cut[:, 0] > WINDOW_SECONDS - 0.001
    batches = [np.flatnonzero(full)[start : start + BATCH] for start in range(0, int(full.sum()), BATCH)]
    for batch in [*batches, *np.flatnonzero(~full)[:, None]]:
        raise_if_cancelled()
        size = round(float(cut[batch[0], 1] - cut[batch[0], 0]) * SAMPLE_RATE)
        edges = (cut[batch] * sample_rate).round().astype(int)
        found[batch] = verifier.encode(np.stack([_window(samples[a:b], sample_rate, size) for a, b in edges]))
    return found


def _window(samples: np.ndarray, sample_rate: int, size: int) -> np.ndarray:
    """Return `size` samples of one window at 16 kHz, at the level of the encoder's training data."""
    slow = soxr.resample(as_float(samples), sample_rate, SAMPLE_RATE)
    slow = np.pad(slow, (0, max(size - len(slow), 0)))[:size].astype(np.float32)
    return slow * np.float32(10 ** (LEVEL_DB / 20) / max(float((slow**2).mean()), 1e-12) ** 0.5)


def _means_of(
    path: np.ndarray, frames: np.ndarray, cut: np.ndarray, embeddings: np.ndarray, means: np.ndarray
) -> np.ndarray:
    """Return the mean embeddings (K, 256) by who speaks in each frame; unchanged for who speaks in none."""
    speaks = path[:, None] == np.arange(len(means))
    counts = np.concatenate([np.zeros((1, len(means))), np.cumsum(speaks, axis=0)])
    first, last = np.searchsorted(frames, cut[:, 0]), np.searchsorted(frames, cut[:, 1])
    share = (counts[last] - counts[first]) / np.maximum(last - first, 1)[:, None] * cut[:, 2:]
    sums = share.T @ embeddings
    return np.stack([unit(new) if new.any() else old for new, old in zip(sums, means, strict=True)])


def _turns(frames: np.ndarray, firsts: np.ndarray, speakers: np.ndarray) -> list[Turn]:
    """Return the turns, which end at pauses."""
    begins = firsts | np.concatenate([[True], speakers[1:] != speakers[:-1]])
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(frames)) - 1
    return [
        Turn(float(frames[first]) - STEP / 2, float(frames[last]) + STEP / 2, int(speakers[first]))
        for first, last in zip(starts, ends, strict=True)
    ]
