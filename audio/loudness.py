"""The loudness of a recording as people hear it, measured by FFmpeg's loudnorm (EBU R 128)."""

import json
from io import BytesIO

import av
import numpy as np
import soundfile
from av.filter.loudnorm import stats

SAMPLE_RATE = 24_000
TARGET_LUFS = -20.0
MAX_PEAK_DB = -1.0  # true peak, dB of full scale
MAX_GAIN_DB = 40.0


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
    """Integrated loudness in LUFS and true peak in dB of full scale; not finite where there is none."""
    wav = BytesIO()
    soundfile.write(wav, samples, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    wav.seek(0)
    with av.open(wav, mode="r", format="wav") as container:
        report = json.loads(stats("print_format=json", container.streams.audio[0]))
    return float(report["input_i"]), float(report["input_tp"])
