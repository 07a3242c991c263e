"""Which speaker talks in each 0.1 s of speech: Viterbi over the similarities of overlapping windows.

A hidden Markov model whose states are the speakers smooths the decisions, as in Landini et al., "Bayesian HMM
clustering of x-vector sequences (VBx)" (2022), here with a constant price of a change of speakers.
"""

from collections.abc import Sequence

import numpy as np

STEP = 0.1  # seconds
# What a change of speakers costs, in steps of a similarity of 1: within a phrase, and at a pause.
CHANGE, CHANGE_AT_PAUSE = 2.0, 0.25
FULL_SECONDS = 1.6  # a shorter window counts for less
Span = tuple[float, float]


def frames_of(phrases: Sequence[Span]) -> tuple[np.ndarray, np.ndarray]:
    """Return the middles (F,), in seconds, of 0.1 s steps through the phrases, and which ones begin one."""
    middles, firsts = [], []
    for start, end in phrases:
        count = max(round((end - start) / STEP), 1)
        middles.append(start + (np.arange(count) + 0.5) * (end - start) / count)
        firsts.append(np.arange(count) == 0)
    return np.concatenate(middles), np.concatenate(firsts)


def similarities(frames: np.ndarray, windows: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the similarity (F, K) of each frame to each speaker: the mean over the windows around it.

    The nearer a frame is to a window's middle, the more the window counts.

    Args:
        frames: middles (F,) in seconds, ascending; each lies in a window.
        windows: starts and ends (N, 2) in seconds.
        scores: similarity (N, K) of each window to each speaker.
    """
    found, weights = np.zeros((len(frames), scores.shape[1])), np.zeros((len(frames), 1))
    for (start, end), score in zip(windows, scores, strict=True):
        first, last = np.searchsorted(frames, (start, end))
        half = (end - start) / 2
        near = np.maximum(1 - np.abs(frames[first:last] - start - half) / half, 0.01)[:, None]
        found[first:last] += near * score * min(end - start, FULL_SECONDS) / FULL_SECONDS
        weights[first:last] += near
    return found / np.maximum(weights, 1e-9)


def best_path(similarity: np.ndarray, pauses: np.ndarray) -> np.ndarray:
    """Return the speaker (F,) of each frame.

    Args:
        similarity: (F, K) of each frame to each speaker.
        pauses: (F,), True where a pause precedes the frame.
    """
    price = np.where(pauses, CHANGE_AT_PAUSE, CHANGE)
    came_from = np.zeros(similarity.shape, np.int32)
    score = similarity[0].copy()
    stay = np.arange(similarity.shape[1])
    for frame in range(1, len(similarity)):
        best = int(score.argmax())
        changed = score[best] - price[frame]
        came_from[frame] = np.where(score >= changed, stay, best)
        score = np.maximum(score, changed) + similarity[frame]
    path = np.empty(len(similarity), np.int64)
    path[-1] = score.argmax()
    for frame in range(len(path) - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path
