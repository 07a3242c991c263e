"""The loudness of a recording as people hear it: ITU-R BS.1770-4, its integrated loudness and true peak.

Written here since FFmpeg's own meter reports through its log, which all threads of the process share.
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
# The head's shelf and the high-pass of the K-weighting, by frequency in Hz, gain in dB and quality, since the
# standard's coefficients hold at 48 kHz only (Brecht De Man, "Evaluation of implementations of the EBU R128
# loudness measurement", 2018).
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
PASS_HZ, PASS_Q = 38.13547087602444, 0.5003270373238773
RINGING_SECONDS = 1.0  # behind which the filters are silent


def at_usual_loudness(samples: np.ndarray) -> np.ndarray:
    """Bring float32 samples (N,) at 24 kHz to -20 LUFS by one gain, less where a peak would pass -1 dB.

    One gain leaves the voice's own dynamics alone. What is too short or too quiet to measure stays as it is.
    """
    loudness, peak = measured(samples)
    if not np.isfinite([loudness, peak]).all():
        return samples
    gain = min(TARGET_LUFS - loudness, MAX_PEAK_DB - peak, MAX_GAIN_DB)
    return (samples * 10 ** (gain / 20)).astype(np.float32)


def measured(samples: np.ndarray) -> tuple[float, float]:
    """Integrated loudness in LUFS and true peak in dB of full scale; -inf where there is none."""
    return integrated_loudness(samples), true_peak(samples)


def integrated_loudness(samples: np.ndarray) -> float:
    """LUFS of mono samples (N,) at 24 kHz: the mean power of the blocks of 0.4 s that both gates let pass."""
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
    """The highest peak between the samples too, in dB of full scale."""
    if not len(samples):
        return -np.inf
    peak = float(np.abs(soxr.resample(samples, SAMPLE_RATE, OVERSAMPLED * SAMPLE_RATE)).max(initial=0))
    return 20 * np.log10(max(peak, float(np.abs(samples).max()))) if peak > 0 else -np.inf


def k_weighted(samples: np.ndarray) -> np.ndarray:
    """The samples as the head and the ear weigh them, float64 (N,).

    Two filters of second order, applied as their response to the spectrum: the sound is followed by silence,
    in which what they ring dies away.
    """
    length = len(samples) + int(RINGING_SECONDS * SAMPLE_RATE)
    size = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(samples.astype(np.float64), size)
    return np.fft.irfft(spectrum * _response(size), size)[: len(samples)]


def _response(size: int) -> np.ndarray:
    """The K-weighting at the frequencies of a spectrum of this size, complex (size // 2 + 1,)."""
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
