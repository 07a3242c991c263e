"""Errors for files that can't be decoded, with advice for the sender."""

from errors import InvalidAudio

MATROSKA_HEADER, MATROSKA_CLUSTER, MATROSKA_CUES = b"\x1aE\xdf\xa3", b"\x1fC\xb6u", b"\x1cS\xbbk"
SIMPLE_BLOCK = 0xA3
FRAGMENT_BOXES = (b"styp", b"moof", b"sidx", b"mdat", b"emsg")
TEXT = (b"{", b"[", b"<", b"http:", b"https:", b"data:", b"#EXTM3U")

NO_BEGINNING = (
    "It is a later chunk of a {kind} recording, without its header. Send all chunks in one file, starting"
    " with the recorder's first."
)
NOT_SOUND = "It is text, not audio. Send the bytes of the recording itself; links are not fetched."
UNKNOWN = "Send a WAV, MP3, M4A, OGG, FLAC or WebM file; raw samples need a WAV header."


def advice_on(data: bytes) -> str:
    """Return one or two sentences on bytes that could not be read."""
    if data[:4] in (MATROSKA_CLUSTER, MATROSKA_CUES) or _later_webm(data):
        return NO_BEGINNING.format(kind="WebM")
    if data[4:8] in FRAGMENT_BOXES:
        return NO_BEGINNING.format(kind="fragmented MP4")
    if data[:4] == b"OggS" and len(data) > 5 and not data[5] & 2:  # the first page of a stream is marked
        return NO_BEGINNING.format(kind="Ogg")
    if data[:64].lstrip().startswith(TEXT):
        return NOT_SOUND
    return UNKNOWN


def _later_webm(data: bytes) -> bool:
    """Return whether the data is a later part of a browser's WebM recording, cut within a cluster."""
    return MATROSKA_HEADER not in data[:64] and (
        MATROSKA_CLUSTER in data or data[:1] == bytes([SIMPLE_BLOCK])
    )


def empty() -> InvalidAudio:
    return InvalidAudio("The audio is empty.", code="audio_empty")


def truncated(data: bytes) -> InvalidAudio:
    message = "The audio file is truncated: it ends before its declared end. Send the whole file."
    if data[4:8] == b"ftyp" and b"moov" not in data:
        message = "The audio file is truncated: its index (moov) is missing. Send the whole file."
    return InvalidAudio(message, code="audio_truncated")


def too_long(max_seconds: float) -> InvalidAudio:
    message = f"The audio is longer than {max_seconds:g} seconds; send a shorter clip."
    return InvalidAudio(message, code="audio_too_long")


def undecodable(why: str) -> InvalidAudio:
    message = f"The audio can't be decoded as any known sound or video format. {why}"
    return InvalidAudio(message, code="audio_undecodable")
