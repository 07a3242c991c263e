"""MP3 headers and tags: frame length, number of frames, tags after the last frame."""

import struct

MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MPEG1_RATES = (44_100, 48_000, 32_000)
DIVISORS = {3: 1, 2: 2, 0: 4}  # version bits → divisor of the sample rate: MPEG 1, 2 and 2.5
ID3V1_BYTES, APE_BYTES = 128, 32
MAX_TAGS = 8


def frame_bytes(packet: bytes) -> int:
    """Return the frame length in bytes by its Layer III header; 0 if it isn't one."""
    if len(packet) < 4 or packet[0] != 0xFF or packet[1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate = packet[1] >> 3 & 3, packet[2] >> 4, packet[2] >> 2 & 3
    if version == 1 or bitrate == 15 or rate == 3:
        return 0
    kbps = (MPEG1_KBPS if version == 3 else MPEG2_KBPS)[bitrate]
    sample_rate = MPEG1_RATES[rate] // DIVISORS[version]
    return (144_000 if version == 3 else 72_000) * kbps // sample_rate + (packet[2] >> 1 & 1)


def declared_seconds(data: bytes) -> float | None:
    """Return the duration by the frame count of a Xing, Info or VBRI header; None if there is none.

    FFmpeg reads it too, but replaces it by an estimate if the file is longer than its frames, e.g. by a tag.
    """
    start = _behind_id3v2(data)
    head = data[start : start + 192]
    if not frame_bytes(head):
        return None
    version, rate = head[1] >> 3 & 3, head[2] >> 2 & 3
    frames = _frame_count(head)
    samples = 1152 if version == 3 else 576
    return None if frames is None else frames * samples * DIVISORS[version] / MPEG1_RATES[rate]


def _frame_count(head: bytes) -> int | None:
    for name in (b"Xing", b"Info"):
        at = head.find(name, 0, 64)
        if at >= 0 and len(head) >= at + 12 and head[at + 7] & 1:
            return int(struct.unpack_from(">I", head, at + 8)[0])
    at = head.find(b"VBRI", 0, 64)
    return int(struct.unpack_from(">I", head, at + 14)[0]) if 0 <= at <= len(head) - 18 else None


def without_end_tags(data: bytes) -> bytes:
    """Strip tags (ID3v1, Lyrics3, APEv2) after the last frame of an MP3 or AAC file."""
    if not (data[:3] == b"ID3" or (data[:1] == b"\xff" and len(data) > 1 and data[1] & 0xE0 == 0xE0)):
        return data
    end = len(data)
    for _ in range(MAX_TAGS):
        start = _start_of_tag(data, end)
        if start is None:
            break
        end = start
    return data if end == len(data) else data[:end]


def _start_of_tag(data: bytes, end: int) -> int | None:
    """Return the start of the tag that ends at `end`; None if there is none."""
    if end >= ID3V1_BYTES and data[end - ID3V1_BYTES : end - ID3V1_BYTES + 3] == b"TAG":
        return end - ID3V1_BYTES
    if end >= APE_BYTES and data[end - APE_BYTES : end - APE_BYTES + 8] == b"APETAGEX":
        size, _, flags = struct.unpack_from("<III", data, end - APE_BYTES + 12)
        start = end - size - (APE_BYTES if flags >> 31 else 0)
        return start if 0 <= start < end else None
    if data[end - 9 : end] == b"LYRICS200" and data[end - 15 : end - 9].isdigit():
        start = end - 15 - int(data[end - 15 : end - 9])
        return start if data[max(start, 0) : max(start, 0) + 11] == b"LYRICSBEGIN" else None
    if data[end - 9 : end] == b"LYRICSEND":
        start = data.rfind(b"LYRICSBEGIN", 0, end)
        return start if start >= 0 else None
    return None


def _behind_id3v2(data: bytes) -> int:
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
