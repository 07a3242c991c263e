"""Pitch tracking by Boersma's window-corrected autocorrelation and dynamic programming.

P. Boersma, "Accurate short-term analysis of the fundamental frequency …", IFA Proceedings 17, 1993.
"""

import numpy as np

FLOOR, CEILING = 60.0, 500.0
STEP_SECONDS = 0.01
WINDOW_SECONDS = 1024 / 24_000  # 2.6 periods of the lowest pitch
CANDIDATES = 6
OCTAVE_COST, JUMP_COST, VOICING_COST = 0.01, 0.35, 0.14
VOICING_THRESHOLD, SILENCE_THRESHOLD = 0.45, 0.03


def autocorrelation(frames: np.ndarray, window: np.ndarray, size: int) -> np.ndarray:
    """Return the normalised, window-corrected autocorrelation (F, size // 2) of frames (F, N)."""
    power = np.abs(np.fft.rfft((frames - frames.mean(1, keepdims=True)) * window, size)) ** 2
    correlation = np.fft.irfft(power, size)[:, : size // 2]
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2, size)[: size // 2]
    return correlation / np.maximum(correlation[:, :1], 1e-10) / np.maximum(of_window / of_window[0], 0.05)


def candidates(correlation: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the strongest peaks of each frame: frequencies in Hz and strengths, each (F, CANDIDATES)."""
    low, high = int(sample_rate / CEILING), int(sample_rate / FLOOR)
    left, middle, right = (correlation[:, low + shift : high + shift] for shift in (-1, 0, 1))
    curvature = np.minimum(left - 2 * middle + right, -1e-9)
    offset = np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)
    peak = np.minimum(middle - 0.25 * (left - right) * offset, 1.0)
    frequency = sample_rate / (np.arange(low, high) + offset)
    strength = peak + OCTAVE_COST * np.log2(frequency / FLOOR)
    strength = np.where((middle >= left) & (middle > right) & (middle > 0.2), strength, -1.0)
    best = np.argpartition(-strength, CANDIDATES, axis=1)[:, :CANDIDATES]
    return np.take_along_axis(frequency, best, 1), np.take_along_axis(strength, best, 1)


def best_path(frequency: np.ndarray, strength: np.ndarray, unvoiced: np.ndarray) -> np.ndarray:
    """Return the lowest-cost pitch path (F,) in Hz, 0 where unvoiced (Viterbi)."""
    octave = np.log2(frequency)
    jump = JUMP_COST * np.abs(octave[:-1, :, None] - octave[1:, None, :])
    scores = np.concatenate([unvoiced[:, None], strength], axis=1)
    cost = np.full((len(scores) - 1, CANDIDATES + 1, CANDIDATES + 1), VOICING_COST, np.float32)
    cost[:, 1:, 1:] = jump
    cost[:, 0, 0] = 0
    back = np.zeros(scores.shape, np.int64)
    total = scores[0]
    for frame in range(1, len(scores)):
        reach = total[:, None] - cost[frame - 1]
        back[frame] = reach.argmax(0)
        total = reach.max(0) + scores[frame]
    path = np.zeros(len(scores), np.int64)
    path[-1] = total.argmax()
    for frame in range(len(scores) - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return np.where(path > 0, frequency[np.arange(len(path)), np.maximum(path - 1, 0)], 0.0)


def track(frames: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the pitch in Hz of frames (F, N) 10 ms apart, 0 where unvoiced. N spans at least 2.4 periods."""
    if not len(frames):
        return np.zeros(0)
    window = np.hanning(frames.shape[1] + 2)[1:-1]
    size = 1 << (frames.shape[1] + int(sample_rate / FLOOR)).bit_length()
    frequency, strength = candidates(autocorrelation(frames, window, size), sample_rate)
    peak = np.abs(frames).max(1)
    loudness = peak / max(peak.max(), 1e-6)
    quiet = 2 - loudness / (SILENCE_THRESHOLD / (1 + VOICING_THRESHOLD))
    return best_path(frequency, strength, VOICING_THRESHOLD + np.maximum(0, quiet))


def pitch_track(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the fundamental frequency in Hz of each 10 ms frame, NaN where unvoiced."""
    frames = overlapping_frames(samples, sample_rate)
    pitches = track(frames, sample_rate)
    return np.where(pitches > 0, pitches, np.nan)


def median_pitch(samples: np.ndarray, sample_rate: int) -> float | None:
    """Return the median pitch in Hz of the voiced frames of mono samples (N,); None if none is voiced."""
    pitches = pitch_track(samples, sample_rate)
    voiced = pitches[~np.isnan(pitches)]
    return float(np.median(voiced)) if len(voiced) else None


def overlapping_frames(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return all complete frames of 43 ms (F, N), one every 10 ms."""
    width, step = round(WINDOW_SECONDS * sample_rate), int(STEP_SECONDS * sample_rate)
    if len(samples) < width:
        return np.zeros((0, width))
    return np.lib.stride_tricks.sliding_window_view(samples, width)[::step]
