"""Music detection, alone or under speech: sustained tones, or a regular beat."""

import numpy as np
import soxr

TONE_RATE = 11_025
TONE_FRAME, TONE_STEP = 1024, 256
TONE_BLOCK = 112  # frames, 2.6 s
MIN_BIN = 20  # 215 Hz; below it are mains hum and the pitch of voices
NEIGHBOURS = 21  # bins around a bin whose mean a tone exceeds
STANDS_OUT_DB, QUIETEST_DB = 3.0, -60.0
MAX_TONES = 5
# Measured: human speech 0.7 to 0.9, synthetic speech at most 1.9, music 20 dB below speech 2.2 to 3.2.
HELD_TONES = 2.4

BEAT_RATE = 8_000
BEAT_FRAME, BEAT_STEP = 256, 80
BAND_EDGES = (1, 4, 8, 12, 18, 26, 38, 56, 80, 104)  # spectral bins; bands widen with frequency
MAX_BEAT, MIN_BEAT = 25, 260  # frames of 10 ms
# Measured: speech at most 0.5, a synthesiser repeating the same words 0.9, drums and notes 0.86 to 1.
REGULAR_BEAT = 0.85


def is_music(samples: np.ndarray) -> bool:
    """Return whether float32 samples (N,) at 24 kHz contain music; N is at least 1 s."""
    return held_tones(samples) > HELD_TONES or beat(samples) > REGULAR_BEAT


def held_tones(samples: np.ndarray) -> float:
    """Return how much of the sound stays at the same frequencies: 0 for none, 5 for five constant tones.

    The continuous frequency activation of Seyerlehner, Pohle, Schedl and Widmer, "Automatic music detection
    in television productions" (DAFx 2007): for each frequency, the share of time in which it exceeds its
    neighbours; then the sum of the five highest peaks. Musical tones are constant, a voice's glide. The
    result is the median over blocks of 2.6 s.
    """
    slow = soxr.resample(samples, 24_000, TONE_RATE)
    levels = 10 * np.log10(np.maximum(_spectra(slow, TONE_FRAME, TONE_STEP), 1e-12))
    mean = np.ones(NEIGHBOURS) / NEIGHBOURS
    around = np.apply_along_axis(np.convolve, 1, levels, mean, mode="same")
    tones = (levels - around > STANDS_OUT_DB) & (levels > levels.max() + QUIETEST_DB)
    starts = range(0, max(1, len(tones) - TONE_BLOCK // 2), TONE_BLOCK // 2)
    blocks = [tones[start : start + TONE_BLOCK, MIN_BIN:].mean(axis=0) for start in starts]
    return float(np.median([np.sort(peak_heights(share))[-MAX_TONES:].sum() for share in blocks]))


def peak_heights(curve: np.ndarray) -> np.ndarray:
    """Return how far each peak of a curve (N,) rises above the higher of its two adjacent valleys."""
    moving = curve[np.concatenate([[True], np.diff(curve) != 0])]
    turns = np.flatnonzero(np.diff(np.sign(np.diff(moving)))) + 1
    heights = moving[np.concatenate([[0], turns, [len(moving) - 1]])]
    rises, falls = np.diff(heights)[:-1], -np.diff(heights)[1:]
    return np.minimum(rises, falls)[rises > 0]


def beat(samples: np.ndarray) -> float:
    """Return how periodic the onsets are at periods of 0.25 to 2.6 s: 0 for not at all, 1 for a drum machine.

    The highest autocorrelation of the spectral flux (a tempogram's maximum). Needs two periods of sound.
    """
    slow = soxr.resample(samples, 24_000, BEAT_RATE)
    bands = np.add.reduceat(_spectra(slow, BEAT_FRAME, BEAT_STEP), BAND_EDGES, axis=1)
    levels = 10 * np.log10(bands + 1e-5 * bands.max() + 1e-12)
    onsets = np.maximum(np.diff(levels, axis=0), 0).mean(axis=1)
    onsets -= onsets.mean()
    frames = len(onsets)
    alike = np.fft.irfft(np.abs(np.fft.rfft(onsets, 2 * frames)) ** 2)[:frames]
    alike *= frames / np.arange(frames, 0, -1)
    return float(alike[MAX_BEAT : min(MIN_BEAT, frames // 2)].max() / max(alike[0], 1e-12))


def _spectra(samples: np.ndarray, frame: int, step: int) -> np.ndarray:
    """Return the power spectrum of each frame (frames, bins)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, frame)[::step]
    return np.abs(np.fft.rfft(frames * np.hanning(frame))) ** 2
