"""Any audio or video file → mono float32 samples at 24 kHz. The content decides, not the declared format.

PyAV (FFmpeg) reads containers and codecs, channels are mixed, soxr resamples. Everything happens in memory
and block by block: a small file that unpacks to hours stops at the limit, and a long recording needs little
more memory than its samples.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from io import BytesIO

import av
import numpy as np

from audio.channels import resampled
from audio.frames import SAMPLE_RATE
from audio.mp3 import without_end_tags
from audio.truncation import Ending, ends_early, judge_ending
from audio.unreadable import advice_on, empty, too_long, truncated, undecodable
from audio.wav_repair import wav_parts, with_true_sample_size
from concurrency import raise_if_cancelled
from errors import InvalidAudio, PayloadTooLarge

MAX_SECONDS = 600.0
MAX_BYTES = 25 * 1024 * 1024
MAX_TRACKS = 4  # tried in order until one is audible
WAV_HEADER_BYTES = 44  # the size of a WAV without samples
MAX_PARTS = 1000  # WAVs in one file
MAX_FAILED_PACKETS = 5_000  # of a file of which most fails: it is no recording, whatever it begins like
INAUDIBLE_PEAK = 0.001  # -60 dB of full scale
# Containers whose headers state the true duration: recordings that are too long are rejected undecoded.
TELL_THEIR_LENGTH = ("ogg", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "flac")
# Float samples may exceed full scale a little. Far larger ones have the scale of 8 to 32-bit integers.
LOUDEST_FLOAT = 4.0
INTEGER_SCALES = (2.0**7, 2.0**15, 2.0**23, 2.0**31)

# FFmpeg also reads playlists that make it open other files and hosts (concat, hls, sdp), and text as
# subtitles. Only audio and video containers are allowed, and no protocol: nothing but `data` is opened.
CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,webm,mov,mp4,m4a,3gp,"
    "3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,ogg,rm,tak,tta,voc,w64,wav,wv,xwma"
)
OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}

BASE64_PIECE = 2**20  # letters: no other thread runs while they are decoded, which takes 2 ms
DATA_URI = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


def decode_base64_audio(value: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Decode base64 audio, bare or as a data: URI.

    Args:
        value: standard or URL-safe base64, padded or not; whitespace is ignored.
        max_bytes: limit of the decoded size.

    Raises:
        InvalidAudio: invalid_base64 or audio_empty.
        PayloadTooLarge: audio_too_large.
    """
    prefix = DATA_URI.match(value, 0, 256)
    start = prefix.end() if prefix else 0
    padding = value.find("=", start)
    end = len(value) if padding < 0 else padding
    if value[end:].replace("=", "").strip():
        raise _invalid_base64("there is padding in the middle")
    found, size, left = [], 0, ""
    for begin in range(start, end, BASE64_PIECE):
        letters = left + "".join(value[begin : min(begin + BASE64_PIECE, end)].split())
        whole = len(letters) // 4 * 4
        found.append(_of_base64(letters[:whole]))
        left, size = letters[whole:], size + len(found[-1])
        if size > max_bytes:
            raise too_large(max_bytes)
    found.append(_of_base64(left + "=" * (-len(left) % 4)))
    data = b"".join(found)
    if not data:
        raise empty()
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data


def _of_base64(letters: str) -> bytes:
    try:
        return base64.b64decode(letters.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid_base64(str(error)) from error


def _invalid_base64(why: str) -> InvalidAudio:
    message = f"The audio is not valid base64 ({why}). Send the file's bytes base64-encoded, with or without"
    message += " a data:audio/…;base64, prefix; links are not fetched."
    return InvalidAudio(message, code="invalid_base64")


def decode_audio(data: bytes, *, max_seconds: float = MAX_SECONDS) -> np.ndarray:
    """Decode an audio or video file.

    A video's default audio track is used, or another one if that is silent. Concatenated WAV files are
    joined.

    Args:
        data: the file's bytes.
        max_seconds: maximum duration; decoding stops beyond it.

    Returns:
        Mono float32 samples (N,) at 24 kHz.

    Raises:
        InvalidAudio: audio_empty, audio_undecodable, audio_no_sound_track, audio_truncated, audio_not_finite
            or audio_too_long.
        Cancelled: the request was cancelled.
    """
    if not data:
        raise empty()
    parts = wav_parts(data)
    if len(parts) > MAX_PARTS:
        raise undecodable(f"It has {len(parts)} concatenated WAV files; up to {MAX_PARTS} are supported.")
    if ends_early(parts[-1]):
        raise truncated(data)
    found: list[np.ndarray] = []
    for part in parts:
        if len(parts) == 1 or len(part) > WAV_HEADER_BYTES:
            left = max_seconds - sum(map(len, found)) / SAMPLE_RATE
            found.append(decode_file(with_true_sample_size(without_end_tags(part)), left, max_seconds))
    return at_full_scale(found[0] if len(found) == 1 else np.concatenate(found))


def comments_of(data: bytes) -> list[str]:
    """Return the comments in the tags of a file and its audio tracks; none if it can't be read."""
    try:
        with av.open(BytesIO(data), mode="r", options=OPTIONS, metadata_errors="ignore") as container:
            holders = (container.metadata, *(track.metadata for track in container.streams.audio))
            return [holder["comment"] for holder in holders if "comment" in holder]
    except (av.FFmpegError, ValueError):
        return []


def decode_file(data: bytes, left: float, max_seconds: float) -> np.ndarray:
    """Decode the first audible track, at most `left` seconds; `max_seconds` is the limit that errors name."""
    failure: InvalidAudio | None = None
    silent: np.ndarray | None = None
    tracks, number = 1, 0
    while number < tracks:
        try:
            with av.open(BytesIO(data), mode="r", options=OPTIONS, metadata_errors="ignore") as container:
                order = tracks_of(container, data)
                tracks = len(order)
                samples = decode_track(container, order[number], data, left, max_seconds)
        except (av.FFmpegError, ValueError) as error:
            reason = f"FFmpeg says: {getattr(error, 'strerror', error)}."
            failure = failure or undecodable(f"{reason} {advice_on(data)}")
        except InvalidAudio as error:
            if tracks == 1 or error.code not in ("audio_undecodable", "audio_empty"):
                raise
            failure = failure or error
        else:
            if tracks == 1 or np.abs(samples).max(initial=0) > INAUDIBLE_PEAK:
                return samples
            silent = samples if silent is None else silent
        number += 1
    if silent is not None:
        return silent
    assert failure is not None
    raise failure


def tracks_of(container: av.container.InputContainer, data: bytes) -> list[av.AudioStream]:
    """Return the audio tracks to try, the default one first."""
    tracks = list(container.streams.audio)
    if not tracks:
        if container.streams.video:
            raise InvalidAudio("The file is a video without a sound track.", code="audio_no_sound_track")
        raise undecodable(f"It has no audio. {advice_on(data)}")
    best = container.streams.best("audio")
    return sorted(tracks, key=lambda track: best is None or track.index != best.index)[:MAX_TRACKS]


def decode_track(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    data: bytes,
    left: float,
    max_seconds: float,
) -> np.ndarray:
    if declared_seconds(container, stream) > left * 1.01 + 1:
        raise too_long(max_seconds)
    ending = Ending(container, stream)
    limit = int(left * SAMPLE_RATE)
    samples = np.empty(SAMPLE_RATE, np.float32)
    count = 0
    for block in resampled(decoded_frames(container, stream, ending)):
        if count + len(block) > limit:
            raise too_long(max_seconds)
        if count + len(block) > len(samples):
            # resize works in place if realloc can, so that a long recording isn't in memory twice.
            samples.resize(min(max(2 * len(samples), count + len(block)), limit), refcheck=False)
        samples[count : count + len(block)] = block
        count += len(block)
    if ending.failed_packets > ending.packets // 2:
        raise undecodable("Most of it is corrupt.")
    if judge_ending(ending, data, count / SAMPLE_RATE):
        raise truncated(data)
    if not count:
        raise empty()
    samples.resize(count, refcheck=False)
    return samples


def declared_seconds(container: av.container.InputContainer, stream: av.AudioStream) -> float:
    """Return the duration in the file's header; 0 if there is none or it is unreliable."""
    if container.format.name not in TELL_THEIR_LENGTH:
        return 0.0
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return 0.0 if container.streams.video else (container.duration or 0) / av.time_base


def at_full_scale(samples: np.ndarray) -> np.ndarray:
    """Scale integer-valued samples to ±1. Raises InvalidAudio (audio_not_finite) for NaN, inf or larger."""
    peak = max(float(samples.max(initial=0)), -float(samples.min(initial=0)))
    if not np.isfinite(peak) or peak > INTEGER_SCALES[-1]:
        message = (
            "The audio has NaN, infinite or out-of-range samples; save it again with 16-bit integer samples."
        )
        raise InvalidAudio(message, code="audio_not_finite")
    if peak > LOUDEST_FLOAT:
        samples /= np.float32(next(scale for scale in INTEGER_SCALES if scale >= peak))
    return samples


def decoded_frames(
    container: av.container.InputContainer, stream: av.AudioStream, ending: Ending
) -> Iterator[av.AudioFrame]:
    """Yield the decoded frames; record in `ending` which packets failed."""
    packets = container.demux(stream)
    while True:
        raise_if_cancelled()
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            ending.cut_off = True
            return
        except IndexError:
            # PyAV fails on streams that appear after the start (FLV, MPEG-TS) once ours is flushed.
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:
            ending.note(packet, failed=True)
            if ending.failed_packets > max(MAX_FAILED_PACKETS, ending.packets // 2):
                return
            continue
        ending.note(packet, failed=any(frame.is_corrupt for frame in frames))
        yield from frames


def too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The audio is larger than {max_bytes / 2**20:g} MiB.", code="audio_too_large")
