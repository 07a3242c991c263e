"""Mono 24 kHz samples → a file of one of the formats of the OpenAI API, whole or piece by piece."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO, RawIOBase
from typing import Any, BinaryIO, cast

import av
import numpy as np
import soxr

from audio.frames import SAMPLE_RATE
from errors import InvalidRequest

BLOCK = 10 * SAMPLE_RATE  # samples encoded at once


@dataclass(frozen=True)
class Format:
    """A file format: its container and its codec, by FFmpeg's names."""

    content_type: str
    container: str
    codec: str
    sample_format: str = "s16"
    rate: int = SAMPLE_RATE
    bit_rate: int | None = None


# AAC at 48 kHz, because ADTS can't declare the encoder's 1024 samples of run-in: there they last 21 ms.
FORMATS = {
    "wav": Format("audio/wav", "wav", "pcm_s16le"),
    "mp3": Format("audio/mpeg", "mp3", "libmp3lame", "fltp", bit_rate=96_000),
    "flac": Format("audio/flac", "flac", "flac"),
    "opus": Format("audio/ogg", "ogg", "libopus", "flt", 48_000, 64_000),
    "aac": Format("audio/aac", "adts", "aac", "fltp", 48_000, 96_000),
    "pcm16": Format("audio/pcm", "s16le", "pcm_s16le"),
}
ALIASES = {"pcm": "pcm16"}
# No tags that name the encoder: the same samples are the same bytes, and a WAV header has its usual 44.
OPTIONS = {"fflags": "bitexact"}
# A piece leaves as soon as it is encoded; a page of Ogg after 100 ms, not after a second.
STREAMED = OPTIONS | {"flush_packets": "1"}
STREAMED_OGG = STREAMED | {"page_duration": "100000"}


@dataclass(frozen=True)
class EncodedAudio:
    data: bytes
    content_type: str


def encode_audio(samples: np.ndarray, format: str) -> EncodedAudio:
    """Encode float32 samples (N,) at 24 kHz; beyond ±1 they are clipped.

    wav and flac are 16-bit, pcm16 (or pcm) is raw little-endian, opus is in Ogg, aac in ADTS.
    Raises InvalidRequest (unsupported_format).
    """
    output, known = BytesIO(), format_named(format)
    encoder = Encoder(output, known, OPTIONS)
    encoder.write(samples)
    encoder.close()
    return EncodedAudio(output.getvalue(), known.content_type)


def encode_pieces(pieces: Iterable[np.ndarray], format: str) -> Iterator[bytes]:
    """Encode samples as they come; the bytes joined are the file, as of `encode_audio` but for its header.

    That can't say how long the file will be: WAV has 0xFFFFFFFF there, as FFmpeg writes and players
    expect of live sound, FLAC zero, and MP3 no header of its own.
    """
    output, known = Pipe(), format_named(format)
    encoder = Encoder(output, known, STREAMED_OGG if known.container == "ogg" else STREAMED)
    for samples in pieces:
        encoder.write(samples)
        if data := output.take():
            yield data
    encoder.close()
    if data := output.take():
        yield data


def format_named(name: str) -> Format:
    """The format of this name; InvalidRequest (unsupported_format) where there is none."""
    known = FORMATS.get(ALIASES.get(name, name))
    if known is None:
        message = f"Unknown audio format {name!r}; choose one of {', '.join(FORMATS)}."
        raise InvalidRequest(message, code="unsupported_format")
    return known


class Encoder:
    """Writes samples (n,) at 24 kHz to an output; its header is set right at the end where that can seek."""

    def __init__(self, output: BinaryIO | RawIOBase, format: Format, options: dict[str, str]) -> None:
        self._format = format
        self._container = av.open(output, mode="w", format=format.container, container_options=options)
        self._stream = cast(
            av.AudioStream, self._container.add_stream(format.codec, rate=format.rate, layout="mono")
        )
        context = self._stream.codec_context
        context.format = av.AudioFormat(format.sample_format)
        if format.bit_rate:
            context.bit_rate = format.bit_rate
        context.open()
        self._frame_size = context.frame_size
        self._resampler = soxr.ResampleStream(SAMPLE_RATE, format.rate, num_channels=1, dtype="float32")
        self._held = np.empty(0, np.float32)
        self._written = 0

    def write(self, samples: np.ndarray) -> None:
        """In blocks, so that no second whole of the samples is made."""
        for start in range(0, len(samples), BLOCK):
            self._write(samples[start : start + BLOCK])

    def _write(self, samples: np.ndarray, *, last: bool = False) -> None:
        clipped = np.clip(samples, -1.0, 1.0).astype(np.float32)
        if self._format.rate != SAMPLE_RATE:
            clipped = self._resampler.resample_chunk(clipped, last=last)
        self._held = np.concatenate([self._held, clipped])
        size = self._frame_size or len(self._held)
        while len(self._held) >= (1 if last else max(size, 1)):
            self._encode(self._held[:size])
            self._held = self._held[size:]

    def close(self) -> None:
        """Write what is still held, and the end of the file."""
        self._write(np.empty(0, np.float32), last=True)
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def _encode(self, samples: np.ndarray) -> None:
        if self._format.sample_format == "s16":
            samples = np.round(samples * 32_767).astype(np.int16)
        plane = np.ascontiguousarray(samples[None])
        frame = av.AudioFrame.from_ndarray(plane, format=self._format.sample_format, layout="mono")
        frame.sample_rate, frame.pts = self._format.rate, self._written
        self._written += len(samples)
        self._container.mux(self._stream.encode(frame))


class FlacRecorder:
    """Samples (n,) at 24 kHz that become a FLAC file as they come."""

    def __init__(self) -> None:
        self._output = BytesIO()
        self._encoder = Encoder(self._output, FORMATS["flac"], OPTIONS)

    def write(self, samples: np.ndarray) -> None:
        self._encoder.write(samples)

    def close(self) -> bytes:
        """The file, when all is written."""
        self._encoder.close()
        return self._output.getvalue()


class Pipe(RawIOBase):
    """An output that can't seek; what was written since the last time is there to take."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken
