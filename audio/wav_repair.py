"""WAV files that FFmpeg misreads: concatenated ones, and samples with fewer valid bits than their container.

Recorders and services send WAVs in parts, and clients concatenate them with their headers; FFmpeg reads only
the first. FFmpeg also takes the valid bits per sample as its size, so that 24 bits in a 32-bit container
become noise.
"""

import re
import struct

HEADER = re.compile(rb"(?:RIFF|RF64)....WAVE(?:fmt |JUNK|bext|LIST|ds64)", re.DOTALL)
EXTENSIBLE = 0xFFFE
PCM_FORMATS = (1, EXTENSIBLE)


def wav_parts(data: bytes) -> list[bytes]:
    """Split concatenated WAV files; other data is returned as one part."""
    if data[:4] not in (b"RIFF", b"RF64"):
        return [data]
    starts = [found.start() for found in HEADER.finditer(data)]
    if not starts or starts[0] != 0:
        return [data]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def with_true_sample_size(data: bytes) -> bytes:
    """Return the WAV with its PCM sample size set to the container's, whose top bits the samples use."""
    if data[:4] not in (b"RIFF", b"RF64") or data[8:12] != b"WAVE":
        return data
    chunk = _format_chunk(data)
    if chunk is None:
        return data
    start, size = chunk
    kind, channels, _, _, block, bits = struct.unpack_from("<HHIIHH", data, start)
    if kind not in PCM_FORMATS or not channels or block % channels:
        return data
    container = block // channels * 8
    extended = kind == EXTENSIBLE and size >= 40
    if extended and data[start + 24 : start + 26] != b"\x01\x00":  # the sub-format: PCM is 1
        return data
    valid = struct.unpack_from("<H", data, start + 18)[0] if extended else bits
    if container not in (8, 16, 24, 32) or (bits == container and (valid + 7) // 8 * 8 == container):
        return data
    mended = bytearray(data[: start + size])
    struct.pack_into("<H", mended, start + 14, container)
    if extended:
        struct.pack_into("<H", mended, start + 18, container)
    return bytes(mended) + data[start + size :]


def _format_chunk(data: bytes) -> tuple[int, int] | None:
    """Return the position and size of the format chunk's content."""
    position = 12
    while position + 24 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        if kind == b"fmt ":
            return (position + 8, size) if 16 <= size <= len(data) - position - 8 else None
        position += 8 + size + size % 2
    return None
