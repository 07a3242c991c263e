"""Real sound and video files for the tests, made in memory by PyAV and soundfile."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import soundfile

RECORDING = Path(__file__).resolve().parents[2] / "test_audio.wav"
SAMPLE_RATE = 24_000

# name → container, audio codec, its sample rate, video codec
AMR = "libopencore_amrnb"
CONTAINERS: dict[str, tuple[str, str, int, str | None]] = {
    "wav": ("wav", "pcm_s16le", 24_000, None),
    "wav, 24 bit": ("wav", "pcm_s24le", 48_000, None),
    "wav, 8 bit": ("wav", "pcm_u8", 8_000, None),
    "wav, double": ("wav", "pcm_f64le", 44_100, None),
    "wav, telephone": ("wav", "pcm_alaw", 8_000, None),
    "mp3": ("mp3", "libmp3lame", 24_000, None),
    "mp3, 44.1 kHz": ("mp3", "libmp3lame", 44_100, None),
    "m4a": ("ipod", "aac", 44_100, None),
    "m4a, lossless": ("ipod", "alac", 48_000, None),
    "aac": ("adts", "aac", 24_000, None),
    "ogg opus": ("ogg", "libopus", 48_000, None),
    "ogg flac": ("ogg", "flac", 24_000, None),
    "flac": ("flac", "flac", 96_000, None),
    "aiff": ("aiff", "pcm_s16be", 24_000, None),
    "au": ("au", "pcm_s16be", 24_000, None),
    "caf": ("caf", "pcm_s16le", 24_000, None),
    "amr": ("amr", AMR, 8_000, None),
    "mp2": ("mp2", "mp2", 24_000, None),
    "ac3": ("ac3", "ac3", 48_000, None),
    "mp4": ("mp4", "aac", 44_100, "libx264"),
    "mov": ("mov", "pcm_s16le", 48_000, "mpeg4"),
    "avi": ("avi", "libmp3lame", 44_100, "mpeg4"),
    "webm": ("webm", "libopus", 48_000, "libvpx"),
    "mkv": ("matroska", "aac", 48_000, "mpeg4"),
    "flv": ("flv", "aac", 44_100, None),
    "mpegts": ("mpegts", "aac", 48_000, "mpeg4"),
}
LAYOUTS = {1: "mono", 2: "stereo", 8: "7.1"}
# What tells that a file was cut: the container's sizes, a declared length, or a frame that is not whole.
TELL_WHEN_CUT = (
    *("wav", "wav, 24 bit", "mp3", "mp3, 44.1 kHz", "m4a", "aac", "ogg opus", "ogg flac", "flac"),
    *("aiff", "au", "mp4", "mov", "avi", "webm", "mkv"),
)


@cache
def recording() -> np.ndarray:
    """The project's reference clip: 7 s of speech, float32 mono 24 kHz."""
    return soundfile.read(RECORDING, dtype="float32")[0]


SENTENCE = "She makes the best apple pie in the family."


def sentence() -> np.ndarray:
    """The clip's second sentence alone, 2.8 s, which the recogniser hears in a third of the time."""
    return recording()[int(5.05 * SAMPLE_RATE) :]


@cache
def sound_file(name: str, channels: int = 1) -> bytes:
    """The reference clip in one of CONTAINERS, beside a moving picture where it is a video."""
    return media(*CONTAINERS[name], channels=channels)


@cache
def sentence_file(name: str) -> bytes:
    """The clip's second sentence in one of CONTAINERS: enough for a voice, in a third of the time."""
    return media(*CONTAINERS[name], samples=sentence())


@cache
def silent_film() -> bytes:
    """An MP4 of two seconds without a sound track."""
    output = BytesIO()
    with av.open(output, mode="w", format="mp4") as container:
        add_picture(container, "mpeg4")
    return output.getvalue()


def bomb() -> bytes:
    """A film of less than 2 MB: one picture of 64 megapixels, 96 MB, and an hour of silence, 115 MB."""
    output, side, rate = BytesIO(), 8_000, 8_000
    with av.open(output, mode="w", format="matroska") as container:
        picture = container.add_stream("mpeg4", rate=1)
        assert isinstance(picture, av.VideoStream)
        picture.width, picture.height, picture.pix_fmt = side, side, "yuv420p"
        sound = container.add_stream("flac", rate=rate, layout="mono")
        assert isinstance(sound, av.AudioStream)
        sound.codec_context.format = "s16"
        black = av.VideoFrame.from_ndarray(np.zeros((side * 3 // 2, side), np.uint8), format="yuv420p")
        container.mux(picture.encode(black))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, rate), np.int16), format="s16", layout="mono")
        for second in range(3600):
            frame.sample_rate, frame.pts, frame.time_base = rate, second * rate, Fraction(1, rate)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        container.mux(picture.encode(None))
    return output.getvalue()


def large_wav() -> bytes:
    """Four seconds of the clip as 45 MB: eight channels of 64-bit floats at 192 kHz."""
    samples = np.repeat(recording()[: 4 * SAMPLE_RATE], 8)[: int(3.8 * 192_000)]
    output = BytesIO()
    channels = np.broadcast_to(samples[:, None], (len(samples), 8))
    soundfile.write(output, channels, 192_000, format="WAV", subtype="DOUBLE")
    return output.getvalue()


def media(
    container_format: str,
    codec: str,
    rate: int,
    video: str | None = None,
    *,
    samples: np.ndarray | None = None,
    channels: int = 1,
    options: dict[str, str] | None = None,
) -> bytes:
    """A file of this container and codec; every channel holds the samples (24 kHz, the clip by default)."""
    output = BytesIO()
    with av.open(output, mode="w", format=container_format, container_options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate, layout=LAYOUTS[channels])
        assert isinstance(stream, av.AudioStream)
        if codec == AMR:
            stream.bit_rate = (
                12_200  # its best; by default it takes less, and then keeps little of the waveform
            )
        if video:
            add_picture(container, video)
        for frame in audio_frames(recording() if samples is None else samples, stream, channels):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return output.getvalue()


def audio_frames(samples: np.ndarray, stream: av.AudioStream, channels: int) -> Iterator[av.AudioFrame]:
    context = stream.codec_context
    if not context.is_open:
        context.open()
    interleaved = np.repeat(samples, channels)[None]
    frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=context.layout.name)
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    size = context.frame_size or 1024
    resampler = av.AudioResampler(context.format, context.layout, context.sample_rate, frame_size=size)
    yield from resampler.resample(frame)
    yield from resampler.resample(None)


def add_picture(container: av.container.OutputContainer, codec: str) -> None:
    """Two seconds of ten grey pictures each."""
    stream = container.add_stream(codec, rate=10)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    for index in range(20):
        picture = np.full((64, 64, 3), index * 10, np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode(None))


def float_wav(samples: np.ndarray) -> bytes:
    """A 32-bit float WAV: the one everyday format that can hold NaN."""
    output = BytesIO()
    soundfile.write(output, samples, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    return output.getvalue()
