"""Any recording → mono float32 samples at 24 kHz, judged by its content, never by a declared format.

PyAV (FFmpeg) reads the containers and codecs; the channels are mixed; soxr resamples. Everything happens in
memory and block by block, so a small file that unpacks to hours stops at the limit, and a long one takes
little more than its samples.
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
MAX_TRACKS = 4  # that are tried, until one can be heard
WAV_HEADER_BYTES = 44  # with which a WAV of no samples begins and ends
MAX_PARTS = 1000  # WAVs in one file
INAUDIBLE_PEAK = 0.001  # -60 dB of full scale
# Containers whose headers tell the true length, so that what is too long need not be decoded to be refused.
TELL_THEIR_LENGTH = ("ogg", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "flac")
# Floats may pass full scale a little; what is far above has the scale of 8, 16, 24 or 32 bit integers.
LOUDEST_FLOAT = 4.0
INTEGER_SCALES = (2.0**7, 2.0**15, 2.0**23, 2.0**31)

# FFmpeg also "reads" scripts that make it open other files and hosts (concat, hls, sdp), and text as
# subtitles: only containers of sound and video may be tried, and nothing but the given bytes opened.
CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,webm,mov,mp4,m4a,3gp,"
    "3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,ogg,rm,tak,tta,voc,w64,wav,wv,xwma"
)
OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}

DATA_URI = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


def decode_base64_audio(value: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Decode base64 (of either alphabet, padded or not; line breaks allowed), bare or as a data: URI.

    Raises InvalidAudio (invalid_base64, audio_empty), and PayloadTooLarge before anything is decoded.
    """
    prefix = DATA_URI.match(value, 0, 256)
    text = "".join(value[prefix.end() if prefix else 0 :].split())
    if len(text) // 4 * 3 > max_bytes + 2:
        raise too_large(max_bytes)
    text = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidAudio(
            f"The audio is not valid base64 ({error}). Send the file's bytes base64-encoded, with or"
            " without a data:audio/…;base64, prefix; links are not fetched.",
            code="invalid_base64",
        ) from error
    if not data:
        raise empty()
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data


def decode_audio(data: bytes, *, max_seconds: float = MAX_SECONDS) -> np.ndarray:
    """Decode a sound or video file into mono float32 samples (N,) at 24 kHz.

    Of a film the default sound track is taken or, where that is silent, another. WAV files that stand one
    behind the other in `data` are joined.
    Raises InvalidAudio: audio_empty, audio_undecodable, audio_no_sound_track, audio_truncated,
    audio_not_finite, or audio_too_long once more than max_seconds have come out.
    """
    if not data:
        raise empty()
    parts = wav_parts(data)
    if len(parts) > MAX_PARTS:
        raise undecodable(f"It holds {len(parts)} WAV files; up to {MAX_PARTS} are joined.")
    if ends_early(parts[-1]):
        raise truncated(data)
    found: list[np.ndarray] = []
    for part in parts:
        if len(parts) == 1 or len(part) > WAV_HEADER_BYTES:
            left = max_seconds - sum(map(len, found)) / SAMPLE_RATE
            found.append(decode_file(with_true_sample_size(without_end_tags(part)), left, max_seconds))
    return at_full_scale(found[0] if len(found) == 1 else np.concatenate(found))


def decode_file(data: bytes, left: float, max_seconds: float) -> np.ndarray:
    """Decode the first track that can be heard, at most `left` of the max_seconds that are allowed."""
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
    """The sound tracks to try, the one that a player would take first."""
    tracks = list(container.streams.audio)
    if not tracks:
        if container.streams.video:
            raise InvalidAudio("The file is a video without a sound track.", code="audio_no_sound_track")
        raise undecodable(f"It holds no sound. {advice_on(data)}")
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
            # In place where the system can, so that a long recording is never there twice.
            samples.resize(min(max(2 * len(samples), count + len(block)), limit), refcheck=False)
        samples[count : count + len(block)] = block
        count += len(block)
    if ending.failed_packets > ending.packets // 2:
        raise undecodable("Most of it is damaged.")
    if judge_ending(ending, data, count / SAMPLE_RATE):
        raise truncated(data)
    if not count:
        raise empty()
    samples.resize(count, refcheck=False)
    return samples


def declared_seconds(container: av.container.InputContainer, stream: av.AudioStream) -> float:
    """The length that the file's header tells, 0 where it tells none that can be relied on."""
    if container.format.name not in TELL_THEIR_LENGTH:
        return 0.0
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return 0.0 if container.streams.video else (container.duration or 0) / av.time_base


def at_full_scale(samples: np.ndarray) -> np.ndarray:
    """Samples of another scale brought to ±1. InvalidAudio (audio_not_finite) for what has none."""
    peak = max(float(samples.max(initial=0)), -float(samples.min(initial=0)))
    if not np.isfinite(peak) or peak > INTEGER_SCALES[-1]:
        message = (
            "The audio holds NaN, infinite or senseless samples; write the file again, as 16-bit integers."
        )
        raise InvalidAudio(message, code="audio_not_finite")
    if peak > LOUDEST_FLOAT:
        samples /= np.float32(next(scale for scale in INTEGER_SCALES if scale >= peak))
    return samples


def decoded_frames(
    container: av.container.InputContainer, stream: av.AudioStream, ending: Ending
) -> Iterator[av.AudioFrame]:
    """Yield the frames that decode, and note in `ending` which packets did not."""
    packets = container.demux(stream)
    while True:
        raise_if_cancelled()
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            ending.cut_off = True
            return
        except IndexError:
            # PyAV trips over streams that appeared after the start (FLV, MPEG-TS), once ours is flushed.
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:
            ending.note(packet, failed=True)
            continue
        ending.note(packet, failed=any(frame.is_corrupt for frame in frames))
        yield from frames


def too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The audio is larger than {max_bytes / 2**20:g} MiB.", code="audio_too_large")
