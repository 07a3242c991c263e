"""Whether there is music in a recording, by itself or under speech: tones that are held, or a beat."""

import numpy as np
import soxr

TONE_RATE = 11_025
TONE_FRAME, TONE_STEP = 1024, 256
TONE_BLOCK = 112  # frames, 2.6 s
MIN_BIN = 20  # 215 Hz; below lie the hum of mains and the pitch of voices
NEIGHBOURS = 21  # bins around a bin, above whose mean a tone stands out
STANDS_OUT_DB, QUIETEST_DB = 3.0, -60.0
MAX_TONES = 5
# Speech of people gave 0.7 to 0.9 and of synthesisers at most 1.9; music 20 dB below speech 2.2 to 3.2.
HELD_TONES = 2.4

BEAT_RATE = 8_000
BEAT_FRAME, BEAT_STEP = 256, 80
BAND_EDGES = (1, 4, 8, 12, 18, 26, 38, 56, 80, 104)  # of a spectrum's bins, wider upwards
MAX_BEAT, MIN_BEAT = 25, 260  # frames of 10 ms
# Speech gave at most 0.5, a synthesiser that says the same words again 0.9, drums and played notes 0.86 to 1.
REGULAR_BEAT = 0.85


def is_music(samples: np.ndarray) -> bool:
    """Whether float32 samples (N,) at 24 kHz, at least 1 s of them, hold music."""
    return held_tones(samples) > HELD_TONES or beat(samples) > REGULAR_BEAT


def held_tones(samples: np.ndarray) -> float:
    """How much of the sound stays at the same frequencies: 0 for none, 5 for five tones that never move.

    The continuous frequency activation of Seyerlehner, Pohle, Schedl and Widmer, "Automatic music detection
    in television productions" (DAFx 2007): the share of time in which a frequency stands out, and the five
    highest peaks of it. Tones of music stay, and those of a voice glide. The median of blocks of 2.6 s.
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
    """How far each peak of a curve (N,) stands above the higher of the two valleys beside it."""
    moving = curve[np.concatenate([[True], np.diff(curve) != 0])]
    turns = np.flatnonzero(np.diff(np.sign(np.diff(moving)))) + 1
    heights = moving[np.concatenate([[0], turns, [len(moving) - 1]])]
    rises, falls = np.diff(heights)[:-1], -np.diff(heights)[1:]
    return np.minimum(rises, falls)[rises > 0]


def beat(samples: np.ndarray) -> float:
    """How alike the onsets are that a beat of 0.25 to 2.6 s would part: 1 for a drum machine's, 0 for none.

    The highest autocorrelation of the spectral flux, which a tempogram shows; it needs twice a beat's time.
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
    """The power of each bin (frames, bins)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, frame)[::step]
    return np.abs(np.fft.rfft(frames * np.hanning(frame))) ** 2
