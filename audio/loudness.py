"""Loudness by ITU-R BS.1770-4: integrated loudness and true peak.

FFmpeg's own meter reports through its log, which all threads of the process share.
"""

import numpy as np
import soxr

from audio.frames import SAMPLE_RATE

TARGET_LUFS = -20.0
MAX_PEAK_DB = -1.0  # true peak, dB of full scale
MAX_GAIN_DB = 40.0

BLOCK_SECONDS, STEP_SECONDS = 0.4, 0.1
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0
OFFSET_DB = -0.691
OVERSAMPLED = 4
# The K-weighting's shelf and high-pass filters as frequency in Hz, gain in dB and Q, because the standard's
# coefficients hold for 48 kHz only (Brecht De Man, "Evaluation of implementations of the EBU R128 loudness
# measurement", 2018).
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
PASS_HZ, PASS_Q = 38.13547087602444, 0.5003270373238773
RINGING_SECONDS = 1.0  # after which the filters' impulse responses have decayed


def at_usual_loudness(samples: np.ndarray) -> np.ndarray:
    """Scale float32 samples (N,) at 24 kHz to -20 LUFS, or less if the true peak would exceed -1 dBFS.

    A single gain keeps the voice's dynamics. Audio too short or too quiet to measure is returned unchanged.
    """
    loudness, peak = measured(samples)
    if not np.isfinite([loudness, peak]).all():
        return samples
    gain = min(TARGET_LUFS - loudness, MAX_PEAK_DB - peak, MAX_GAIN_DB)
    return (samples * 10 ** (gain / 20)).astype(np.float32)


def measured(samples: np.ndarray) -> tuple[float, float]:
    """Return integrated loudness in LUFS and true peak in dBFS; -inf if it can't be measured."""
    return integrated_loudness(samples), true_peak(samples)


def integrated_loudness(samples: np.ndarray) -> float:
    """Return the LUFS of mono samples (N,) at 24 kHz: the mean power of 0.4 s blocks that pass both gates."""
    block, step = int(BLOCK_SECONDS * SAMPLE_RATE), int(STEP_SECONDS * SAMPLE_RATE)
    if len(samples) < block:
        return -np.inf
    total = np.concatenate([[0.0], np.cumsum(np.square(k_weighted(samples)))])
    starts = np.arange(0, len(samples) - block + 1, step)
    power = np.maximum((total[starts + block] - total[starts]) / block, 1e-20)
    kept = power[_lufs(power) > ABSOLUTE_GATE]
    if not len(kept):
        return -np.inf
    return float(_lufs(kept[_lufs(kept) > _lufs(kept.mean()) + RELATIVE_GATE].mean()))


def true_peak(samples: np.ndarray) -> float:
    """Return the peak in dBFS, including peaks between samples."""
    if not len(samples):
        return -np.inf
    peak = float(np.abs(soxr.resample(samples, SAMPLE_RATE, OVERSAMPLED * SAMPLE_RATE)).max(initial=0))
    return 20 * np.log10(max(peak, float(np.abs(samples).max()))) if peak > 0 else -np.inf


def k_weighted(samples: np.ndarray) -> np.ndarray:
    """Apply the K-weighting; float64 (N,).

    Both second-order filters are applied as their frequency response; zero padding holds their ringing.
    """
    length = len(samples) + int(RINGING_SECONDS * SAMPLE_RATE)
    size = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(samples.astype(np.float64), size)
    return np.fft.irfft(spectrum * _response(size), size)[: len(samples)]


def _response(size: int) -> np.ndarray:
    """Return the K-weighting's frequency response, complex (size // 2 + 1,)."""
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    k = np.tan(np.pi * SHELF_HZ / SAMPLE_RATE)
    high = 10 ** (SHELF_DB / 20)
    middle = high**0.4996667741545416
    shelf = (high + middle * k / SHELF_Q + k * k) + 2 * (k * k - high) * z
    shelf += (high - middle * k / SHELF_Q + k * k) * z**2
    shelf /= (1 + k / SHELF_Q + k * k) + 2 * (k * k - 1) * z + (1 - k / SHELF_Q + k * k) * z**2
    k = np.tan(np.pi * PASS_HZ / SAMPLE_RATE)
    norm = 1 + k / PASS_Q + k * k
    high_pass = (1 - 2 * z + z**2) / (1 + 2 * (k * k - 1) / norm * z + (1 - k / PASS_Q + k * k) / norm * z**2)
    return shelf * high_pass


def _lufs(power: np.ndarray) -> np.ndarray:
    return OFFSET_DB + 10 * np.log10(power)
