"""Mel bands of a spectral envelope, evenly spaced up to a maximum frequency."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audio.frames import SAMPLE_RATE

FFT = 1024
BINS = FFT // 2 + 1
HERTZ = np.arange(BINS) * SAMPLE_RATE / FFT
# The spectrum rolls off from ROLL_OFF_HZ below the top on, by one neper per ROLL_OFF_WIDTH Hz.
ROLL_OFF_HZ, ROLL_OFF_WIDTH = 200.0, 120.0


def mel(hertz: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


@dataclass(frozen=True)
class Bands:
    """`count` bands over 0 to top_hz; log_floor is the minimum ln power of a band."""

    count: int
    top_hz: float
    log_floor: float

    @cached_property
    def centres(self) -> np.ndarray:
        """Centre frequencies (count,) in Hz."""
        middles = (np.arange(self.count) + 0.5) * mel(self.top_hz) / self.count
        return 700.0 * np.expm1(middles / 1127.0)

    @cached_property
    def widths(self) -> np.ndarray:
        """Bandwidths (count,) in Hz."""
        edges = 700.0 * np.expm1(np.linspace(0, mel(self.top_hz), self.count + 1) / 1127.0)
        return np.diff(edges)

    @cached_property
    def weights(self) -> np.ndarray:
        """Triangular weights (513, count) that average the bins of a power spectrum into bands."""
        bins = mel(HERTZ) / mel(self.top_hz) * self.count - 0.5
        weights = np.maximum(0, 1 - np.abs(bins[:, None] - np.arange(self.count)))
        # The lowest bands are narrower than a bin: interpolate the two bins around their centre.
        centre = self.centres * FFT / SAMPLE_RATE
        between = np.maximum(0, 1 - np.abs(np.arange(BINS)[:, None] - centre))
        weights = np.where(weights.sum(0) < 1, between, weights)
        return weights / weights.sum(0)

    @cached_property
    def to_bins(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each bin: lower band, weight of the upper band, and ln of the roll-off at the top."""
        position = np.interp(mel(HERTZ), mel(self.centres), np.arange(self.count))
        lower = np.minimum(position.astype(np.int64), self.count - 2)
        roll_off = -np.maximum(0, HERTZ - (self.top_hz - ROLL_OFF_HZ)) / ROLL_OFF_WIDTH
        return lower, position - lower, roll_off

    def log_spectrum(self, envelope: np.ndarray) -> np.ndarray:
        """Return ln power (F, 513) of band envelopes (F, count), interpolated between band centres."""
        lower, above, roll_off = self.to_bins
        return envelope[:, lower] * (1 - above) + envelope[:, lower + 1] * above + roll_off


NARROW = Bands(64, 8000.0, -16.0)  # of the first codec
WIDE = Bands(80, 12_000.0, -20.0)  # of the second
