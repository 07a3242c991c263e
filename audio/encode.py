"""Mono 24 kHz samples → a file in one of the formats of the OpenAI API, whole or streamed."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import SEEK_END, BytesIO, RawIOBase
from typing import Any, BinaryIO, cast

import av
import numpy as np
import soxr

from audio.frames import SAMPLE_RATE
from errors import InvalidRequest

BLOCK = 10 * SAMPLE_RATE  # samples encoded at once
INFO_NAMES = {"title": b"INAM", "comment": b"ICMT"}  # of a WAV file's tags


@dataclass(frozen=True)
class Format:
    """A file format: FFmpeg's names of its container and codec."""

    content_type: str
    container: str
    codec: str
    sample_format: str = "s16"
    rate: int = SAMPLE_RATE
    bit_rate: int | None = None


# AAC at 48 kHz: ADTS can't declare the encoder's delay of 1024 samples, which is only 21 ms at that rate.
FORMATS = {
    "wav": Format("audio/wav", "wav", "pcm_s16le"),
    "mp3": Format("audio/mpeg", "mp3", "libmp3lame", "fltp", bit_rate=96_000),
    "flac": Format("audio/flac", "flac", "flac"),
    "opus": Format("audio/ogg", "ogg", "libopus", "flt", 48_000, 64_000),
    "aac": Format("audio/aac", "adts", "aac", "fltp", 48_000, 96_000),
    "pcm16": Format("audio/pcm", "s16le", "pcm_s16le"),
}
# Raw sound of the telephone, for Realtime sessions only.
G711_FORMATS = {
    "pcmu": Format("audio/pcmu", "mulaw", "pcm_mulaw", rate=8_000),
    "pcma": Format("audio/pcma", "alaw", "pcm_alaw", rate=8_000),
}
ALIASES = {"pcm": "pcm16"}
# No encoder tags: the same samples give the same bytes, and a WAV header has the usual 44.
OPTIONS = {"fflags": "bitexact"}
# Flush each packet at once, and an Ogg page every 100 ms instead of every second.
STREAMED = OPTIONS | {"flush_packets": "1"}
STREAMED_OGG = STREAMED | {"page_duration": "100000"}
# ADTS has no tags of its own; players skip an ID3 tag before it, as before an MP3.
TAGGED_ADTS = {"write_id3v2": "1"}
NO_TAGS: Mapping[str, str] = {}


@dataclass(frozen=True)
class EncodedAudio:
    data: bytes
    content_type: str


def encode_audio(samples: np.ndarray, format: str, tags: Mapping[str, str] = NO_TAGS) -> EncodedAudio:
    """Encode samples as a file.

    Args:
        samples: float32 (N,) at 24 kHz, clipped to ±1.
        format: "wav", "flac" (16-bit), "mp3", "opus" (in Ogg), "aac" (in ADTS), "pcm16" or "pcm" (raw,
            little-endian).
        tags: see Encoder.

    Raises:
        InvalidRequest: unsupported_format.
    """
    output, known = BytesIO(), format_named(format)
    encoder = Encoder(output, known, OPTIONS, tags=tags)
    encoder.write(samples)
    encoder.close()
    return EncodedAudio(output.getvalue(), known.content_type)


def encode_stream(
    chunks: Iterable[np.ndarray],
    format: Format,
    *,
    tags: Mapping[str, str] = NO_TAGS,
    chapters: Sequence[Any] = (),
) -> Iterator[bytes]:
    """Encode a stream of samples chunk by chunk.

    The joined bytes are the file that `encode_audio` returns, except for a header that can't state the
    length: WAV has 0xFFFFFFFF there, which players accept for live audio, FLAC has zero, and MP3 has no Xing
    header.

    Args:
        chunks: float32 samples (n,) at 24 kHz.
        format: of the file.
        tags, chapters: see Encoder.
    """
    output = Pipe()
    options = STREAMED_OGG if format.container == "ogg" else STREAMED
    encoder = Encoder(output, format, options, tags=tags, chapters=chapters)
    for samples in chunks:
        encoder.write(samples)
        if data := output.take():
            yield data
    encoder.close()
    if data := output.take():
        yield data


def format_named(name: str) -> Format:
    """Return the format of this name. Raises InvalidRequest (unsupported_format)."""
    known = (FORMATS | G711_FORMATS).get(ALIASES.get(name, name))
    if known is None:
        message = f"Unknown audio format {name!r}; choose one of {', '.join(FORMATS)}."
        raise InvalidRequest(message, code="unsupported_format")
    return known


class Encoder:
    """Writes samples (n,) at 24 kHz to an output; completes the file's header if the output is seekable.

    tags (by FFmpeg's names: title, comment) and chapters (as set_chapters of PyAV takes them) are written if
    the format has them. A WAV file has its tags behind the samples, since many clients take what is behind
    byte 44 for samples; a streamed one has none.
    """

    def __init__(
        self,
        output: BinaryIO | RawIOBase,
        format: Format,
        options: dict[str, str],
        *,
        tags: Mapping[str, str] = NO_TAGS,
        chapters: Sequence[Any] = (),
    ) -> None:
        self._format, self._output, self._tags = format, output, tags
        if tags and format.container == "adts":
            options = options | TAGGED_ADTS
        self._container = av.open(output, mode="w", format=format.container, container_options=options)
        if chapters:
            self._container.set_chapters(list(chapters))
        self._stream = cast(
            av.AudioStream, self._container.add_stream(format.codec, rate=format.rate, layout="mono")
        )
        # The comments of an Ogg file belong to its stream.
        if format.container != "wav":
            (self._stream if format.container == "ogg" else self._container).metadata.update(tags)
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
        """Encode samples (n,), in blocks to bound memory."""
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
        """Encode what is left and finish the file."""
        self._write(np.empty(0, np.float32), last=True)
        self._container.mux(self._stream.encode(None))
        self._container.close()
        if self._format.container == "wav" and self._tags and self._output.seekable():
            append_info(self._output, self._tags)

    def _encode(self, samples: np.ndarray) -> None:
        if self._format.sample_format == "s16":
            samples = np.round(samples * 32_767).astype(np.int16)
        plane = np.ascontiguousarray(samples[None])
        frame = av.AudioFrame.from_ndarray(plane, format=self._format.sample_format, layout="mono")
        frame.sample_rate, frame.pts = self._format.rate, self._written
        self._written += len(samples)
        self._container.mux(self._stream.encode(frame))


def append_info(output: BinaryIO | RawIOBase, tags: Mapping[str, str]) -> None:
    """Append tags to a finished WAV file: a LIST chunk of type INFO."""
    info = b"INFO"
    for name, value in tags.items():
        text = value.encode() + b"\0"
        info += INFO_NAMES[name] + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
    end = output.seek(0, SEEK_END)
    output.write(b"LIST" + struct.pack("<I", len(info)) + info)
    output.seek(4)
    output.write(struct.pack("<I", end + len(info)))  # RIFF's size counts neither its name nor itself
    output.seek(0, SEEK_END)


class FlacRecorder:
    """Encodes samples (n,) at 24 kHz to FLAC as they arrive."""

    def __init__(self) -> None:
        self._output = BytesIO()
        self._encoder = Encoder(self._output, FORMATS["flac"], OPTIONS)

    def write(self, samples: np.ndarray) -> None:
        self._encoder.write(samples)

    def close(self) -> bytes:
        """Finish the file and return it."""
        self._encoder.close()
        return self._output.getvalue()


class Pipe(RawIOBase):
    """A non-seekable output; `take` returns what was written since the last call."""

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
