"""Any recording → mono float32 samples at 24 kHz, judged by its content, never by a declared format.

PyAV (FFmpeg) reads the containers and codecs; the channels are averaged; soxr resamples. Everything
happens in memory and piece by piece, so a small file that unpacks to hours stops at the limit.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from io import BytesIO

import av
import numpy as np
import soxr

from audio.frames import SAMPLE_RATE
from audio.truncation import Ending, ends_early, judge_ending
from errors import InvalidAudio, PayloadTooLarge

MAX_SECONDS = 600.0
MAX_BYTES = 25 * 1024 * 1024
RATES = range(4_000, 768_001)
MAX_CHANNELS = 8
SAMPLE_TYPES = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "s64": np.int64,
    "flt": np.float32,
    "dbl": np.float64,
}

# FFmpeg also "reads" scripts that make it open other files and hosts (concat, hls, sdp), and text as
# subtitles: only containers of sound and video may be tried, and nothing but the given bytes opened.
CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,webm,mov,mp4,m4a,3gp,"
    "3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,ogg,rm,tak,tta,voc,w64,wav,wv,xwma"
)
OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}

DATA_URI = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


def decode_base64_audio(value: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Decode strict base64 (standard alphabet, padded; line breaks allowed), bare or as a data: URI.

    Raises InvalidAudio (invalid_base64, audio_empty), and PayloadTooLarge before anything is decoded.
    """
    prefix = DATA_URI.match(value, 0, 256)
    text = "".join(value[prefix.end() if prefix else 0 :].split())
    if len(text) // 4 * 3 > max_bytes + 2:
        raise too_large(max_bytes)
    try:
        data = base64.b64decode(text, validate=True)
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

    Raises InvalidAudio: audio_empty, audio_undecodable, audio_no_sound_track, audio_truncated,
    audio_not_finite, or audio_too_long once more than max_seconds have come out.
    """
    if not data:
        raise empty()
    if ends_early(data):
        raise truncated()
    try:
        with av.open(BytesIO(data), mode="r", options=OPTIONS, metadata_errors="ignore") as container:
            samples = decode_container(container, data, max_seconds)
    except (av.FFmpegError, ValueError) as error:
        raise undecodable(f"FFmpeg says: {getattr(error, 'strerror', error)}") from error
    if not np.isfinite(samples).all():
        raise InvalidAudio("The audio holds NaN or infinite samples.", code="audio_not_finite")
    return samples


def decode_container(container: av.container.InputContainer, data: bytes, max_seconds: float) -> np.ndarray:
    if not container.streams.audio:
        if container.streams.video:
            raise InvalidAudio("The file is a video without a sound track.", code="audio_no_sound_track")
        raise undecodable("It holds no sound.")
    stream = container.streams.audio[0]
    ending = Ending(container, stream)
    limit = int(max_seconds * SAMPLE_RATE)
    pieces: list[np.ndarray] = []
    count = 0
    for piece in resampled(decoded_frames(container, stream, ending)):
        pieces.append(piece)
        count += len(piece)
        if count > limit:
            message = f"The audio is longer than {max_seconds:g} seconds; send a shorter clip."
            raise InvalidAudio(message, code="audio_too_long")
    if ending.failed_packets > ending.packets // 2:
        raise undecodable("Most of it is damaged.")
    if judge_ending(ending, data, count / SAMPLE_RATE):
        raise truncated()
    if not count:
        raise empty()
    return np.concatenate(pieces)


def decoded_frames(
    container: av.container.InputContainer, stream: av.AudioStream, ending: Ending
) -> Iterator[av.AudioFrame]:
    """Yield the frames that decode, and note in `ending` which packets did not."""
    packets = container.demux(stream)
    while True:
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


def resampled(frames: Iterator[av.AudioFrame]) -> Iterator[np.ndarray]:
    """Average the channels and bring the sound to 24 kHz, also where the rate changes on the way."""
    stream: soxr.ResampleStream | None = None
    rate = 0
    for frame in frames:
        if stream is None or frame.sample_rate != rate:
            if stream is not None:
                yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
            rate = frame.sample_rate
            if rate not in RATES:
                raise undecodable(f"Its sample rate of {rate} Hz is outside {RATES[0]} to {RATES[-1]} Hz.")
            stream = soxr.ResampleStream(rate, SAMPLE_RATE, num_channels=1, dtype="float32")
        yield stream.resample_chunk(mono(frame))
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def mono(frame: av.AudioFrame) -> np.ndarray:
    """The average of the frame's channels, float32 [n], full scale ±1."""
    channels, samples = frame.layout.nb_channels, frame.samples
    if channels > MAX_CHANNELS:
        raise undecodable(f"It has {channels} channels; up to {MAX_CHANNELS} are read.")
    dtype = SAMPLE_TYPES.get(frame.format.packed.name)
    if dtype is None:
        raise undecodable(f"Its samples are of the rare kind {frame.format.name}.")
    # Not frame.to_ndarray: it counts planes up to a null pointer, and behind eight planes there is none.
    planes, count = (channels, samples) if frame.format.is_planar else (1, samples * channels)
    values = np.stack([np.frombuffer(memoryview(plane), dtype, count) for plane in frame.planes[:planes]])
    values = values if frame.format.is_planar else values.reshape(samples, channels).T
    if dtype == np.uint8:
        values = (values.astype(np.float32) - 128.0) / 128.0
    elif values.dtype.kind == "i":
        values = values.astype(np.float32) / 2.0 ** (8 * values.dtype.itemsize - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        return values.mean(axis=0).astype(np.float32)


def empty() -> InvalidAudio:
    return InvalidAudio("The audio is empty.", code="audio_empty")


def truncated() -> InvalidAudio:
    message = "The audio file is cut off: it ends before its own end. Send it whole."
    return InvalidAudio(message, code="audio_truncated")


def undecodable(why: str) -> InvalidAudio:
    message = f"The audio can't be decoded as any known sound or video format. {why}"
    return InvalidAudio(message, code="audio_undecodable")


def too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The audio is larger than {max_bytes / 2**20:g} MiB.", code="audio_too_large")
