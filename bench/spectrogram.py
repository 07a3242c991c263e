"""Pictures of sound for the eye: a spectrogram up to 6 kHz, with lines at given times."""

import struct
import zlib
from collections.abc import Iterable

import numpy as np

from audio.frames import SAMPLE_RATE

STEP, WINDOW, FFT = SAMPLE_RATE // 200, 256, 1024  # a column is 5 ms
TOP_HZ, RANGE_DB, ENLARGED = 6_000, 60.0, 2
LINE, TENTH = (255, 40, 40), (90, 200, 255)


def spectrogram(samples: np.ndarray, times: Iterable[float]) -> bytes:
    """A PNG of float samples (N,) at 24 kHz; red lines at the times, in seconds, blue marks at each 0.1 s."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, WINDOW // 2), WINDOW)[::STEP]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(WINDOW), FFT)))
    level = 10 * np.log10(power[:, : TOP_HZ * FFT // SAMPLE_RATE] + 1e-10)
    grey = ((level - level.max()) / RANGE_DB + 1).clip(0, 1).T[::-1]
    picture = np.repeat(255 - (255 * grey[..., None]).astype(np.uint8), 3, axis=2)
    picture = picture.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    width = picture.shape[1]
    for time in times:
        picture[:, min(round(time * SAMPLE_RATE / STEP * ENLARGED), width - 1)] = LINE
    for tenth in range(0, width, ENLARGED * SAMPLE_RATE // STEP // 10):
        picture[-8 if tenth % (10 * ENLARGED * SAMPLE_RATE // STEP // 10) else -24 :, tenth] = TENTH
    return png(picture)


def png(picture: np.ndarray) -> bytes:
    """A picture (height, width, 3) of bytes as PNG."""
    height, width, _ = picture.shape
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
