"""Vocoder features → waveform, in pieces: minimum-phase pulses plus noise, overlap-added.

After WORLD (M. Morise et al., IEICE Transactions E99-D, 2016). Pulse times are fractions of a sample and
phase, noise and overlaps are carried from piece to piece, so that any split gives the same samples.
"""

import numpy as np

from higgs.codecs.vocoder.analysis import (
    BANDS,
    FFT,
    SAMPLE_RATE,
    STEP,
    VOICING_EDGES,
    Features,
    band_centres,
    mel,
)

BINS = FFT // 2 + 1
HERTZ = np.arange(BINS) * SAMPLE_RATE / FFT
VOICED_AT = 0.5
NOISE_SEED = 20_250_101


def band_to_bins() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each spectrum bin: lower band, weight of the band above it, and ln of the roll-off over 8 kHz."""
    position = np.interp(mel(HERTZ), mel(band_centres()), np.arange(BANDS))
    lower = np.minimum(position.astype(np.int64), BANDS - 2)
    return lower, position - lower, -np.maximum(0, HERTZ - 7800.0) / 120.0


LOWER, ABOVE, ROLL_OFF = band_to_bins()
VOICING_CENTRES = np.sqrt(np.maximum(VOICING_EDGES[:-1], 250.0) * np.array(VOICING_EDGES[1:]))


def log_spectrum(envelope: np.ndarray) -> np.ndarray:
    """ln power (F, 513) of band envelopes (F, 64), straight lines between band centres."""
    return envelope[:, LOWER] * (1 - ABOVE) + envelope[:, LOWER + 1] * ABOVE + ROLL_OFF


def periodic_share(voicing: np.ndarray) -> np.ndarray:
    """The periodic share of power (F, 513) out of four band voicings (F, 4)."""
    position = np.interp(HERTZ, VOICING_CENTRES, np.arange(len(VOICING_CENTRES)))
    lower = np.minimum(position.astype(np.int64), len(VOICING_CENTRES) - 2)
    share = voicing[:, lower] * (1 - position + lower) + voicing[:, lower + 1] * (position - lower)
    return np.clip(share, 1e-3, 1 - 1e-3)


def below_voice(log_f0: np.ndarray) -> np.ndarray:
    """ln power (F, 513) of a roll-off below the pitch (F,) in ln Hz: a train of pulses would have as much at
    0 Hz, which no voice has, as at its fundamental."""
    octaves = (2 * HERTZ / np.exp(log_f0)[:, None]) ** 4
    return np.log(octaves / (1 + octaves) + 1e-4)


def minimum_phase(log_power: np.ndarray) -> np.ndarray:
    """Complex spectra (F, 513) of least phase for ln power spectra (F, 513), through the folded cepstrum."""
    cepstrum = np.fft.irfft(0.5 * log_power, FFT)
    cepstrum[:, 1 : FFT // 2] *= 2
    cepstrum[:, FFT // 2 + 1 :] = 0
    return np.exp(np.fft.rfft(cepstrum))


def joined(one: Features, other: Features) -> Features:
    """Two runs of steps, end to end."""
    return Features(
        *(np.concatenate(pair) for pair in zip(vars(one).values(), vars(other).values(), strict=True))
    )


def final_step(features: Features) -> Features:
    return Features(*(part[-1:] for part in vars(features).values()))


def synthesise(features: Features) -> np.ndarray:
    """The waveform of F steps as a whole, float32 (240·F,)."""
    return Synthesis().push(features, last=True)


class Synthesis:
    """One stream. A step is settled once the next has begun, because its noise reaches back into it."""

    def __init__(self) -> None:
        self._noise = np.random.Generator(np.random.PCG64(NOISE_SEED))
        self._last_noise = np.zeros(STEP)
        self._previous: Features | None = None
        self._phase = 0.0
        self._tail = np.zeros(FFT)

    def push(self, features: Features, last: bool = False) -> np.ndarray:
        """The samples, float32, that F ≥ 1 more steps settle: 240 a step, one step behind until the last."""
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
        return out[STEP if first else 0 : settled].astype(np.float32)

    def _noise_segments(self, steps: int) -> np.ndarray:
        """White noise (F, 480) in overlapping pieces, two steps each."""
        fresh = self._noise.standard_normal(steps * STEP).reshape(steps, STEP)
        before = np.concatenate([self._last_noise[None], fresh[:-1]])
        self._last_noise = fresh[-1]
        return np.concatenate([before, fresh], axis=1)

    def _add_noise(self, out: np.ndarray, features: Features, noise: np.ndarray) -> None:
        """Filter each step's noise by the aperiodic part of its spectrum and add it from one step before
        it."""
        voiced = features.voiced[:, None] > VOICED_AT
        share = np.where(voiced, periodic_share(features.voicing), 1e-3)
        log_power = log_spectrum(features.envelope) + np.log(1 - share) + below_voice(features.log_f0)
        window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(2 * STEP) + 0.5) / (2 * STEP)))
        spectrum = np.fft.rfft(noise * window, FFT) * minimum_phase(log_power)
        for step, samples in enumerate(np.fft.irfft(spectrum, FFT)):
            out[step * STEP : step * STEP + FFT] += samples

    def _add_pulses(self, out: np.ndarray, known: Features) -> None:
        """Place a pulse wherever the pitch phase passes a whole number, shaped by the spectrum at that
        instant."""
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
        log_power = log_spectrum(envelope) + np.log(periodic_share(known.voicing[nearest]))
        log_power += below_voice(np.log(f0[sample]))
        gain = np.sqrt(SAMPLE_RATE / f0[sample])[:, None]
        delay = np.exp(-2j * np.pi / FFT * np.arange(BINS) * (1 - early)[:, None])
        for start, pulse in zip(
            sample, np.fft.irfft(minimum_phase(log_power) * gain * delay, FFT), strict=True
        ):
            out[start : start + FFT] += pulse
