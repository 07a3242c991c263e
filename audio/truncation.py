"""Detect files that were cut off.

FFmpeg plays what is there, so half a file would pass as a shorter one. Three signs are used: the container's
own sizes (RIFF, ISO, Ogg, Matroska), a duration declared in a header (FLAC, AIFF, AU, MP3 with a Xing
header), and otherwise a last packet that doesn't decode. Estimated durations and a live recording's
placeholders are ignored: an intact file of any format must pass.
"""

import re
import struct
from dataclasses import dataclass

import av

from audio import mp3

# Live recorders write sizes of at least 1 GiB as placeholders; no request is that large.
PLACEHOLDER = 2**30
COMMENTS = re.compile(rb"LIST(....)INFO", re.DOTALL)
DECLARED_LENGTH = {"flac", "aiff", "au"}
ISO_BOXES = {b"moov", b"mdat", b"moof"}
# Some encoders omit the last bytes of the last frame; truncated files usually miss more.
MISSING_BYTES = 3


def ends_early(data: bytes) -> bool:
    """Return whether the container's structure extends beyond the end of the data."""
    if data[:4] in (b"RIFF", b"RF64", b"RIFX") and comments_overrun(data):
        return True
    if data[:4] == b"RIFF" and data[8:12] in (b"WAVE", b"AVI "):
        return riff_ends_early(data)
    if data[4:8] == b"ftyp":
        return iso_ends_early(data)
    if data[:4] == b"OggS":
        return ogg_ends_early(data)
    if data[:4] == b"\x1aE\xdf\xa3":
        return matroska_ends_early(data)
    return False


def comments_overrun(data: bytes) -> bool:
    """Return whether a comment list claims to be longer than the file; FFmpeg would allocate all of it."""
    return any(
        found.start() + 8 + int.from_bytes(found[1], "little") > len(data) + 512
        for found in COMMENTS.finditer(data)
    )


def riff_ends_early(data: bytes) -> bool:
    """Return whether the samples of a WAV or AVI are cut off; live recordings have no known length."""
    position = 12
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        samples = kind == b"data" or data[position + 8 : position + 12] == b"movi"
        if samples and (size == 0 or size >= PLACEHOLDER):
            return False
        missing = position + 8 + size - len(data)
        # Some writers include the header in the size: less than 1 % is not truncation.
        if samples and missing > max(512, size // 100):
            return True
        position += 8 + size + size % 2
    return False


def iso_ends_early(data: bytes) -> bool:
    """Return whether a box of MP4, M4A or MOV is cut off, or the index (moov) is missing."""
    position, seen = 0, set()
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        seen.add(kind)
        if size == 1 and position + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, position + 8)
        if size < 8:
            break
        position += size
        if position > len(data) and kind in ISO_BOXES:
            return True
    return b"moov" not in seen


def ogg_ends_early(data: bytes) -> bool:
    """Return whether the last page is cut off. Ending between pages, without an end mark, is valid."""
    page = data.rfind(b"OggS")
    if page + 27 > len(data):
        return True
    lacing = data[page + 27 : page + 27 + data[page + 26]]
    return page + 27 + data[page + 26] + sum(lacing) > len(data)


def matroska_ends_early(data: bytes) -> bool:
    """Return whether the MKV or WebM segment has a known size and is cut off."""
    header, position = ebml_size(data, 4)
    segment = position + header
    if data[segment : segment + 4] != b"\x18\x53\x80\x67":
        return False
    size, position = ebml_size(data, segment + 4)
    return size < PLACEHOLDER and position + size > len(data)


def ebml_size(data: bytes, position: int) -> tuple[int, int]:
    """Read an EBML variable-length size; return it and the position after it."""
    first = data[position] if position < len(data) else 0
    length = 9 - first.bit_length()
    value = int.from_bytes(data[position : position + length], "big") & ((1 << (7 * length)) - 1)
    return value, position + length


@dataclass
class Ending:
    """Statistics of a stream's packets, and its last packet."""

    container: av.container.InputContainer
    stream: av.AudioStream
    packets: int = 0
    failed_packets: int = 0
    last_failed: bool = False
    cut_off: bool = False
    last_packet: bytes = b""

    def note(self, packet: av.Packet, failed: bool) -> None:
        if not packet.size:
            return
        # Raw PCM of unknown length always ends in a short packet, which FFmpeg marks as corrupt.
        failed = failed or (packet.is_corrupt and not self.stream.codec_context.name.startswith("pcm_"))
        self.packets += 1
        self.failed_packets += failed
        self.last_failed = failed
        self.last_packet = bytes(packet) if self.container.format.name == "mp3" else b""


def judge_ending(ending: Ending, data: bytes, decoded_seconds: float) -> bool:
    """Return whether the audio is shorter than declared, or ends in the middle of a frame."""
    missing_bytes = mp3.frame_bytes(ending.last_packet) - len(ending.last_packet)
    whole_but_bytes = 0 < missing_bytes <= MISSING_BYTES and not ending.cut_off
    broken = not whole_but_bytes and (ending.last_failed or ending.cut_off or missing_bytes > 0)
    promised = promised_seconds(ending, data)
    if promised is None:
        return broken
    missing = promised - decoded_seconds
    return missing > 0.1 if broken else missing > max(0.5, 0.05 * promised)


def promised_seconds(ending: Ending, data: bytes) -> float | None:
    """Return the duration that a header declares; None if FFmpeg only estimates it from the bit rate."""
    name, duration = ending.container.format.name, ending.container.duration
    if name == "mp3":
        return mp3.declared_seconds(data)
    return duration / av.time_base if duration and name in DECLARED_LENGTH else None
