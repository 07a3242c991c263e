"""Vocoder features → waveform, streaming: minimum-phase pulses plus noise, overlap-added.

After WORLD (M. Morise et al., IEICE Transactions E99-D, 2016). Pulse times are fractions of a sample. Phase,
noise and overlaps are kept between chunks, so that chunking doesn't change the samples.
"""

import numpy as np

from audio.frames import SAMPLE_RATE
from higgs.codecs.vocoder.analysis import STEP, Features
from higgs.codecs.vocoder.bands import BINS, FFT, HERTZ, NARROW, Bands

VOICED_AT = 0.5
NOISE_SEED = 20_250_101
KNEE = 0.7


# Noise in voiced speech, in dB of its power: almost none at low harmonics, half of it from 6 kHz on. The
# coded voicing isn't used: reverberation, noise and coding errors look like breath there, and made every
# voice hoarse (train/LOG.md, seventh session).
NOISE_HERTZ, NOISE_DB = (0.0, 3000.0, 6000.0, 9000.0, 12000.0), (-60.0, -4.8, -3.1, -2.9, 0.0)
NOISE_SHARE = np.clip(10 ** (np.interp(HERTZ, NOISE_HERTZ, NOISE_DB) / 10), 1e-3, 1 - 1e-3)
LOG_PERIODIC, LOG_NOISE = np.log(1 - NOISE_SHARE), np.log(NOISE_SHARE)


def below_voice(log_f0: np.ndarray) -> np.ndarray:
    """Return ln power (F, 513) of a roll-off below the pitch (F,) in ln Hz.

    A pulse train has as much power at 0 Hz as at its fundamental, a voice has none.
    """
    octaves = (2 * HERTZ / np.exp(log_f0)[:, None]) ** 4
    return np.log(octaves / (1 + octaves) + 1e-4)


def minimum_phase(log_power: np.ndarray) -> np.ndarray:
    """Return complex minimum-phase spectra (F, 513) of ln power spectra (F, 513), via the folded cepstrum."""
    cepstrum = np.fft.irfft(0.5 * log_power, FFT)
    cepstrum[:, 1 : FFT // 2] *= 2
    cepstrum[:, FFT // 2 + 1 :] = 0
    return np.exp(np.fft.rfft(cepstrum))


def joined(one: Features, other: Features) -> Features:
    """Concatenate two runs of steps."""
    return Features(
        *(np.concatenate(pair) for pair in zip(vars(one).values(), vars(other).values(), strict=True))
    )


def final_step(features: Features) -> Features:
    return Features(*(part[-1:] for part in vars(features).values()))


def limited(samples: np.ndarray) -> np.ndarray:
    """Bend what is beyond KNEE towards full scale, sample by sample, so that loud syllables don't clip."""
    beyond = np.maximum(np.abs(samples) - KNEE, 0)
    bent = KNEE + (1 - KNEE) * np.tanh(beyond / (1 - KNEE))
    return np.where(beyond > 0, np.copysign(bent, samples), samples)


def synthesise(features: Features, bands: Bands = NARROW) -> np.ndarray:
    """Return the waveform of F steps, float32 (240·F,)."""
    return Synthesis(bands).push(features, last=True)


class Synthesis:
    """One stream. A step is final once the next one has begun, because that one's noise overlaps it."""

    def __init__(self, bands: Bands = NARROW) -> None:
        self._bands = bands
        self._noise = np.random.Generator(np.random.PCG64(NOISE_SEED))
        self._last_noise = np.zeros(STEP)
        self._previous: Features | None = None
        self._phase = 0.0
        self._tail = np.zeros(FFT)

    def push(self, features: Features, last: bool = False) -> np.ndarray:
        """Add F ≥ 1 steps; return the final float32 samples, 240 per step, one step behind until `last`."""
        if last:
            features = joined(features, final_step(features))
        first = self._previous is None
        known = joined(self._previous or Features(*(part[:1] for part in vars(features).values())), features)
        self._previous = final_step(features)
        settled = len(features.log_f0) * STEP
        out = np.concatenate([self._tail, np.zeros(settled)])
        self._add_pulses(out, known)
        self._add_noise(out, features, self._noise_segments(len(features.log_f0)))
        self._tail = out[settled:]
        return limited(out[STEP if first else 0 : settled]).astype(np.float32)

    def _noise_segments(self, steps: int) -> np.ndarray:
        """Return white noise (F, 480) in overlapping segments of two steps."""
        fresh = self._noise.standard_normal(steps * STEP).reshape(steps, STEP)
        before = np.concatenate([self._last_noise[None], fresh[:-1]])
        self._last_noise = fresh[-1]
        return np.concatenate([before, fresh], axis=1)

    def _add_noise(self, out: np.ndarray, features: Features, noise: np.ndarray) -> None:
        """Add each step's noise, filtered by the aperiodic part of its spectrum, or all of it if unvoiced."""
        share = np.where(features.voiced[:, None] > VOICED_AT, LOG_NOISE, 0.0)
        log_power = self._bands.log_spectrum(features.envelope) + share + below_voice(features.log_f0)
        # Neighbours share their noise, so their amplitudes must add up to one, not their powers.
        window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(2 * STEP) + 0.5) / (2 * STEP))
        spectrum = np.fft.rfft(noise * window, FFT) * minimum_phase(log_power)
        for step, samples in enumerate(np.fft.irfft(spectrum, FFT)):
            out[step * STEP : step * STEP + FFT] += samples

    def _add_pulses(self, out: np.ndarray, known: Features) -> None:
        """Add a pulse wherever the pitch phase crosses an integer, shaped by the spectrum at that time."""
        steps = len(known.log_f0) - 1
        at = (np.arange(steps * STEP) + 1) / STEP
        f0 = np.exp(np.interp(at, np.arange(steps + 1), known.log_f0))
        phase = self._phase + np.cumsum(f0) / SAMPLE_RATE
        whole = np.floor(np.concatenate([[self._phase], phase]))
        self._phase = phase[-1] - np.floor(phase[-1])
        sample = np.flatnonzero(np.diff(whole) > 0)
        early = (phase[sample] - whole[sample + 1]) * SAMPLE_RATE / f0[sample]
        moment = at[sample] - early / STEP
        lower = np.clip(moment.astype(np.int64), 0, steps - 1)
        nearest = np.minimum(np.round(moment).astype(np.int64), steps)
        keep = known.voiced[nearest] > VOICED_AT
        sample, early, lower, nearest = sample[keep], early[keep], lower[keep], nearest[keep]
        above = (moment[keep] - lower)[:, None]
        if not len(sample):
            return
        envelope = known.envelope[lower] * (1 - above) + known.envelope[lower + 1] * above
        log_power = self._bands.log_spectrum(envelope) + LOG_PERIODIC + below_voice(np.log(f0[sample]))
        gain = np.sqrt(SAMPLE_RATE / f0[sample])[:, None]
        delay = np.exp(-2j * np.pi / FFT * np.arange(BINS) * (1 - early)[:, None])
        for start, pulse in zip(
            sample, np.fft.irfft(minimum_phase(log_power) * gain * delay, FFT), strict=True
        ):
            out[start : start + FFT] += pulse
