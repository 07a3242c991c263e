"""Simple measures of speech: recognised words, and the spectral envelope of a voice."""

from itertools import pairwise

import numpy as np
import soxr

from asr.sphinx import recognise
from asr.transcript import SAMPLE_RATE as RECOGNISER_RATE
from asr.words import words_of
from audio.frames import SAMPLE_RATE

WINDOW = 1024
BANDS = 24


def words_heard(samples: np.ndarray) -> list[str]:
    """Return the words that pocketsphinx recognises in float32 mono 24 kHz samples."""
    narrow = soxr.resample(samples, SAMPLE_RATE, RECOGNISER_RATE)
    return words_of(" ".join(word.text for word in recognise(narrow)))


def envelope(samples: np.ndarray) -> np.ndarray:
    """Return the mean spectrum of the speech in 24 mel bands up to 8 kHz, in dB, without its mean level."""
    samples = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[:: WINDOW // 4] * np.hanning(WINDOW)
    loudness = np.square(frames).mean(axis=1)
    power = np.square(np.abs(np.fft.rfft(frames[loudness > 0.1 * loudness.mean()]))).mean(axis=0)
    mels = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), BANDS + 1)
    edges = np.round(700 * (10 ** (mels / 2595) - 1) * WINDOW / SAMPLE_RATE).astype(int)
    bands = [power[low : max(high, low + 1)].mean() for low, high in pairwise(edges)]
    decibels = 10 * np.log10(np.array(bands) + 1e-10)
    return decibels - decibels.mean()


def envelope_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the distance of two voices' envelopes in dB (root mean square over the mel bands)."""
    return float(np.sqrt(np.mean(np.square(envelope(one) - envelope(other)))))
