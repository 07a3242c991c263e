"""Waveform → vocoder features, one step per 10 ms.

The envelope follows CheapTrick in outline (M. Morise, Speech Communication 67, 2015): a window of three pitch
periods, then smoothing of the power spectrum over two thirds of the pitch, which removes the harmonics.
"""

from dataclasses import dataclass

import numpy as np

from audio import pitch
from audio.frames import SAMPLE_RATE
from higgs.codecs.vocoder.bands import FFT, NARROW, Bands

STEP = 240
STEPS_PER_FRAME = 4
BANDS, TOP_HZ = NARROW.count, NARROW.top_hz
VOICING_EDGES = (0.0, 1000.0, 2000.0, 4000.0, 8000.0)
VOICINGS = len(VOICING_EDGES) - 1
LOG_FLOOR = NARROW.log_floor
PITCH_WINDOW = 1024
UNVOICED_HZ = 160.0


@dataclass(frozen=True)
class Features:
    """Features of F steps of 10 ms.

    Attributes:
        log_f0: ln Hz (F,), interpolated over unvoiced steps.
        voiced: 0 or 1 (F,).
        voicing: periodic share of each band, 0 to 1 (F, 4), or (F, 0) if not measured. Synthesis ignores it.
        envelope: ln power per mel band (F, bands).
    """

    log_f0: np.ndarray
    voiced: np.ndarray
    voicing: np.ndarray
    envelope: np.ndarray


def frames_of(waveform: np.ndarray, size: int) -> np.ndarray:
    """Return views (F, size) of the waveform centred on each 10 ms step, zero-padded at its ends."""
    padded = np.pad(waveform, (size // 2 - STEP // 2, size))
    steps = len(waveform) // (STEP * STEPS_PER_FRAME) * STEPS_PER_FRAME
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::STEP][:steps]


def smoothed_power(frames: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """Return power spectra (F, 513) of frames (F, 1024), windowed by three periods of f0 and smoothed."""
    time = np.arange(FFT) - FFT / 2
    reach = np.minimum(1.5 * SAMPLE_RATE / f0, FFT / 2)[:, None]
    window = np.where(np.abs(time) < reach, 0.5 + 0.5 * np.cos(np.pi * time / reach), 0)
    power = np.abs(np.fft.rfft(frames * window / np.sqrt((window**2).sum(1, keepdims=True)))) ** 2
    mirrored = np.concatenate([power[:, 64:0:-1], power, power[:, -2:-66:-1]], axis=1)
    total = np.concatenate([np.zeros((len(power), 1)), np.cumsum(mirrored, axis=1)], axis=1)
    half = np.clip(f0 / 3 * FFT / SAMPLE_RATE, 0.5, 60)[:, None]
    centre = np.arange(FFT // 2 + 1) + 64.5
    return (integral(total, centre + half) - integral(total, centre - half)) / (2 * half)


def integral(total: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Interpolate cumulative sums (F, B + 1) at fractional positions (F, M)."""
    whole = position.astype(np.int64)
    low = np.take_along_axis(total, whole, 1)
    return low + (position - whole) * (np.take_along_axis(total, whole + 1, 1) - low)


def band_voicing(frames: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """Return the share (F, 4) of each band's power that repeats after one period, 0 to 1."""
    size = 2 * PITCH_WINDOW
    window = np.hanning(PITCH_WINDOW + 2)[1:-1]
    power = np.abs(np.fft.rfft(frames * window, size)) ** 2
    lag = SAMPLE_RATE / f0
    correlation_of_window = np.correlate(window, window, "full")[PITCH_WINDOW - 1 :]
    at_lag = np.interp(lag, np.arange(PITCH_WINDOW), correlation_of_window / correlation_of_window[0])
    edges = (np.array(VOICING_EDGES) * size / SAMPLE_RATE).astype(np.int64)
    cosine = np.cos(2 * np.pi / size * lag[:, None] * np.arange(edges[-1]))
    periodic = np.add.reduceat(power[:, : edges[-1]] * cosine, edges[:-1], axis=1)
    whole = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    return np.clip(periodic / np.maximum(whole, 1e-12) / at_lag[:, None], 0, 1)


def bridged(f0: np.ndarray) -> np.ndarray:
    """Return ln of a pitch path (F,), interpolated over unvoiced steps."""
    voiced = np.flatnonzero(f0 > 0)
    if not len(voiced):
        return np.full(len(f0), np.log(UNVOICED_HZ))
    return np.interp(np.arange(len(f0)), voiced, np.log(f0[voiced]))


def analyse(waveform: np.ndarray, bands: Bands = NARROW) -> Features:
    """Return the features of a waveform; voicing only for the narrow bands.

    Args:
        waveform: float (N,) at 24 kHz.
        bands: mel bands of the envelope.

    Returns:
        N // 960 · 4 steps.
    """
    waveform = np.asarray(waveform, np.float32)
    around = frames_of(waveform, PITCH_WINDOW)
    f0 = pitch.track(around, SAMPLE_RATE)
    voiced = f0 > 0
    log_f0 = bridged(f0)
    power = smoothed_power(frames_of(waveform, FFT), np.where(voiced, np.exp(log_f0), UNVOICED_HZ))
    envelope = np.maximum(np.log(np.maximum(power @ bands.weights, 1e-12)), bands.log_floor)
    measured = bands == NARROW
    voicing = band_voicing(around, np.exp(log_f0)) * voiced[:, None] if measured else np.zeros((len(f0), 0))
    as_float = (np.asarray(part, np.float32) for part in (log_f0, voiced, voicing, envelope))
    return Features(*as_float)
