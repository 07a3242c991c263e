"""What happens to speech after it has left: codecs, other rates, cuts, gains, noise."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import soxr

from audio.decode import decode_audio
from audio.encode import Encoder, Format
from audio.frames import SAMPLE_RATE

# Takes and returns float32 samples (n,) at 24 kHz.
Harm = Callable[[np.ndarray], np.ndarray]


def coded(container: str, codec: str, rate: int, bit_rate: int) -> Harm:
    """Encoded by FFmpeg's codec, and decoded again."""
    sample_format = "flt" if codec == "libopus" else "fltp"

    def work(samples: np.ndarray) -> np.ndarray:
        output = BytesIO()
        encoder = Encoder(output, Format("", container, codec, sample_format, rate, bit_rate), {})
        encoder.write(samples)
        encoder.close()
        return decode_audio(output.getvalue())

    return work


def at_rate(rate: int) -> Harm:
    return lambda samples: soxr.resample(soxr.resample(samples, SAMPLE_RATE, rate), rate, SAMPLE_RATE)


def with_noise(decibels: float) -> Harm:
    """With white noise so many dB below."""

    def work(samples: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(3).standard_normal(len(samples)).astype(np.float32)
        return samples + noise * samples.std() * np.float32(10 ** (-decibels / 20))

    return work


def cut(seconds: float) -> Harm:
    """What remains are so many seconds from somewhere in the first half."""
    length = round(seconds * SAMPLE_RATE)
    return lambda samples: samples[(first := max(len(samples) - length, 0) // 3) : first + length]


HARMS: dict[str, Harm] = {
    "none": lambda samples: samples,
    "mp3 64k": coded("mp3", "libmp3lame", 24_000, 64_000),
    "mp3 32k": coded("mp3", "libmp3lame", 24_000, 32_000),
    "aac 48k": coded("adts", "aac", 48_000, 48_000),
    "opus 24k": coded("ogg", "libopus", 48_000, 24_000),
    "opus 12k": coded("ogg", "libopus", 48_000, 12_000),
    "8 kHz": at_rate(8_000),
    "16 kHz": at_rate(16_000),
    "48 kHz": at_rate(48_000),
    "cut to 2 s": cut(2.0),
    "louder, clipped": lambda samples: np.clip(3 * samples, -1, 1),
    "26 dB softer, 16 bits": lambda samples: np.round(samples * 0.05 * 32_767) / np.float32(32_768),
    "noise 25 dB below": with_noise(25),
    "between silences": lambda samples: np.pad(samples, (31_111, 70_000)),
}
