"""Mono 24 kHz samples → a file of one of the formats of the OpenAI API."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import cast

import av
import numpy as np
import soundfile
import soxr

from errors import InvalidRequest

SAMPLE_RATE = 24_000
FORMATS = ("wav", "mp3", "flac", "opus", "aac", "pcm16")
ALIASES = {"pcm": "pcm16"}
CONTENT_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "pcm16": "audio/pcm",
}


@dataclass(frozen=True)
class Codec:
    container: str
    name: str
    sample_format: str
    rate: int
    bit_rate: int


# AAC at 48 kHz, because ADTS can't declare the encoder's 1024 samples of run-in: there they last 21 ms.
CODECS = {
    "mp3": Codec("mp3", "libmp3lame", "fltp", SAMPLE_RATE, 96_000),
    "opus": Codec("ogg", "libopus", "flt", 48_000, 64_000),
    "aac": Codec("adts", "aac", "fltp", 48_000, 96_000),
}


@dataclass(frozen=True)
class EncodedAudio:
    data: bytes
    content_type: str


def encode_audio(samples: np.ndarray, format: str) -> EncodedAudio:
    """Encode float32 samples (N,) at 24 kHz; beyond ±1 they are clipped.

    wav and flac are 16-bit, pcm16 (or pcm) is raw little-endian, opus is in Ogg, aac in ADTS.
    Raises InvalidRequest (unsupported_format).
    """
    name = ALIASES.get(format, format)
    if name not in FORMATS:
        message = f"Unknown audio format {format!r}; choose one of {', '.join(FORMATS)}."
        raise InvalidRequest(message, code="unsupported_format")
    clipped = np.clip(samples, -1.0, 1.0).astype(np.float32)
    return EncodedAudio(encode(clipped, name), CONTENT_TYPES[name])


def encode(samples: np.ndarray, name: str) -> bytes:
    if name in CODECS:
        return compressed(samples, CODECS[name])
    integers = np.round(samples * 32_767).astype("<i2")
    if name == "pcm16":
        return integers.tobytes()
    output = BytesIO()
    soundfile.write(output, integers, SAMPLE_RATE, format=name.upper(), subtype="PCM_16")
    return output.getvalue()


def compressed(samples: np.ndarray, codec: Codec) -> bytes:
    output = BytesIO()
    with av.open(output, mode="w", format=codec.container) as container:
        stream = cast(av.AudioStream, container.add_stream(codec.name, rate=codec.rate, layout="mono"))
        context = stream.codec_context
        context.bit_rate = codec.bit_rate
        context.format = av.AudioFormat(codec.sample_format)
        context.open()
        for frame in frames(soxr.resample(samples, SAMPLE_RATE, codec.rate), codec, context.frame_size):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return output.getvalue()


def frames(samples: np.ndarray, codec: Codec, size: int) -> Iterator[av.AudioFrame]:
    """Cut samples into frames of the encoder's size; the last may be shorter."""
    for start in range(0, len(samples), size):
        part = np.ascontiguousarray(samples[None, start : start + size])
        frame = av.AudioFrame.from_ndarray(part, format=codec.sample_format, layout="mono")
        frame.sample_rate, frame.pts = codec.rate, start
        yield frame
