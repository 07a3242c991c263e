"""The pitch of a voice, for tests and comparison tables.

Boersma, "Accurate short-term analysis of the fundamental frequency …" (1993): the autocorrelation of a
Hann-windowed frame divided by the window's own, so that the peak at the period is not tapered away.
"""

import numpy as np

FLOOR_HZ = 65.0
CEILING_HZ = 500.0
STEP_SECONDS = 0.01
VOICED = 0.5
# A frame this far below the loudest is silence, however periodic.
SILENCE_RATIO = 0.03
# Each octave down costs a candidate so much, so that a multiple of the period does not win by a hair.
OCTAVE_COST = 0.02


def median_pitch(samples: np.ndarray, sample_rate: int) -> float | None:
    """The median fundamental frequency in Hz of the voiced frames of mono samples (N,); None without any."""
    pitches = pitch_track(samples, sample_rate)
    voiced = pitches[~np.isnan(pitches)]
    return float(np.median(voiced)) if len(voiced) else None


def pitch_track(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """The fundamental frequency in Hz of each frame, one per 10 ms; NaN where the frame is not voiced."""
    frames = overlapping_frames(samples, sample_rate)
    correlation, shortest = normalised_autocorrelation(frames, sample_rate)
    if not len(correlation):
        return np.zeros(0)
    lags = shortest + np.arange(correlation.shape[1])
    strength = correlation - OCTAVE_COST * np.log2(lags / shortest)
    peak = strength[:, 1:-1].argmax(axis=1) + 1
    rows = np.arange(len(peak))
    before, at, after = (correlation[rows, peak + offset] for offset in (-1, 0, 1))
    is_peak = (at >= before) & (at >= after) & (at > VOICED)
    curvature = np.minimum(before - 2 * at + after, -1e-9)
    period = lags[peak] + 0.5 * (before - after) / curvature
    loudness = np.abs(frames).max(axis=1)
    return np.where(is_peak & (loudness > SILENCE_RATIO * loudness.max()), sample_rate / period, np.nan)


def overlapping_frames(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Frames of three periods of the lowest pitch [frames, width], without their mean."""
    width, step = int(3 * sample_rate / FLOOR_HZ), int(STEP_SECONDS * sample_rate)
    if len(samples) < width:
        return np.zeros((0, width))
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), width)[::step]
    return frames - frames.mean(axis=1, keepdims=True)


def normalised_autocorrelation(frames: np.ndarray, sample_rate: int) -> tuple[np.ndarray, int]:
    """Boersma's r(lag) [frames, lags] for the lags of the pitch range, and the first of these lags."""
    width = frames.shape[1]
    size = 1 << (2 * width - 1).bit_length()
    window = np.hanning(width)

    def autocorrelation(values: np.ndarray) -> np.ndarray:
        spectrum = np.fft.rfft(values, size)
        products = np.fft.irfft(spectrum * spectrum.conj(), size)
        return products / np.maximum(products[..., :1], 1e-20)

    shortest, longest = int(sample_rate / CEILING_HZ), int(sample_rate / FLOOR_HZ)
    lags = slice(shortest, longest + 1)
    return autocorrelation(frames * window)[:, lags] / autocorrelation(window)[lags], shortest
