"""WAV files that FFmpeg misreads: several in one, and samples that fill less than their container.

Recorders and services hand out WAVs piece by piece, and clients join them header and all; FFmpeg reads the
first and drops the rest. It also takes the valid bits of a sample for its size, so that 24 bits in a
container of 32 come out as noise.
"""

import re
import struct

HEADER = re.compile(rb"(?:RIFF|RF64)....WAVE(?:fmt |JUNK|bext|LIST|ds64)", re.DOTALL)
EXTENSIBLE = 0xFFFE
PCM_FORMATS = (1, EXTENSIBLE)


def wav_parts(data: bytes) -> list[bytes]:
    """The WAV files that stand one behind the other in this one; anything else comes back as it is."""
    if data[:4] not in (b"RIFF", b"RF64"):
        return [data]
    starts = [found.start() for found in HEADER.finditer(data)]
    if not starts or starts[0] != 0:
        return [data]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def with_true_sample_size(data: bytes) -> bytes:
    """The WAV with the size of its PCM samples set to that of their containers, whose top bits they fill."""
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
    """Where the format chunk's content begins, and its size."""
    position = 12
    while position + 24 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        if kind == b"fmt ":
            return (position + 8, size) if 16 <= size <= len(data) - position - 8 else None
        position += 8 + size + size % 2
    return None
