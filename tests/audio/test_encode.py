"""Encoding: the right container, the right length, the same speech; clipped where it is too loud."""

import wave
from io import BytesIO

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.decode import decode_audio
from audio.encode import FORMATS, encode_audio, encode_stream, format_named
from audio.frames import SAMPLE_RATE
from errors import InvalidRequest
from tests.audio.media import recording
from tests.audio.test_decode import correlation

MAGIC = {"wav": b"RIFF", "flac": b"fLaC", "mp3": b"ID3", "opus": b"OggS", "aac": b"\xff\xf1"}
CONTENT_TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "pcm16": "audio/pcm",
}
# What the encoders add at the two ends and can't declare.
PADDING_SECONDS = {"aac": 0.045}


def decoded(data: bytes, format: str) -> np.ndarray:
    if format == "pcm16":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32_768
    return decode_audio(data)


@pytest.mark.parametrize("format", FORMATS)
def test_the_speech_comes_back(format: str) -> None:
    encoded = encode_audio(recording(), format)
    assert encoded.data.startswith(MAGIC.get(format, b""))
    assert encoded.content_type == CONTENT_TYPES[format]
    samples = decoded(encoded.data, format)
    added = (len(samples) - len(recording())) / SAMPLE_RATE
    assert 0 <= added <= PADDING_SECONDS.get(format, 0.001)
    assert correlation(samples, recording()) > 0.99


@pytest.mark.parametrize("format", ["wav", "flac", "pcm16"])
def test_lossless_formats_keep_every_16_bit_sample(format: str) -> None:
    integers = np.round(recording() * 32_767)
    back = decoded(encode_audio(recording(), format).data, format)
    np.testing.assert_array_equal(back * 32_768, integers)


@settings(max_examples=30, deadline=None)
@given(st.integers(960, 5_000), st.sampled_from(sorted(FORMATS)))
def test_every_length_is_kept(length: int, format: str) -> None:
    samples = decoded(encode_audio(recording()[20_000 : 20_000 + length], format).data, format)
    assert 0 <= (len(samples) - length) / SAMPLE_RATE <= PADDING_SECONDS.get(format, 0.003)


@pytest.mark.parametrize("format", FORMATS)
def test_too_loud_samples_are_clipped_and_do_not_wrap_around(format: str) -> None:
    loud = np.sin(2 * np.pi * 200 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32) * 1.5
    samples = decoded(encode_audio(loud, format).data, format)
    assert correlation(samples, np.clip(loud, -1, 1)) > 0.99
    steps = np.abs(np.diff(samples[2_400:-2_400]))
    assert steps.max() < 0.3


def test_pcm_is_another_name_of_pcm16() -> None:
    assert encode_audio(recording(), "pcm") == encode_audio(recording(), "pcm16")


@pytest.mark.parametrize("format", ["ogg", "WAV", "", "m4a"])
def test_an_unknown_format_is_refused(format: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        encode_audio(recording(), format)
    assert caught.value.code == "unsupported_format"
    assert "wav" in caught.value.message


CUTS = (7_680, 23_040, 53_760)
# Without a header of its own an MP3 can't say how much of its beginning is run-in.
UNDECLARED_SECONDS = {"mp3": 0.06, "aac": 0.045}


def streamed(format: str) -> list[bytes]:
    return list(encode_stream(np.split(recording(), CUTS), format_named(format)))


@pytest.mark.parametrize("format", FORMATS)
def test_pieces_joined_are_the_same_speech(format: str) -> None:
    data = b"".join(streamed(format))
    assert data.startswith(MAGIC.get(format, b""))
    samples, whole = decoded(data, format), decoded(encode_audio(recording(), format).data, format)
    added = (len(samples) - len(recording())) / SAMPLE_RATE
    assert 0 <= added <= UNDECLARED_SECONDS.get(format, 0.001)
    if format == "mp3":
        assert correlation(samples, recording()) > 0.99
    else:
        np.testing.assert_array_equal(samples, whole)


@pytest.mark.parametrize("format", FORMATS)
def test_each_piece_brings_its_sound_at_once(format: str) -> None:
    pieces = streamed(format)
    assert len(decoded(pieces[0], format)) > 0.5 * CUTS[0]


def test_a_wav_of_unknown_length_is_read_to_its_end() -> None:
    data = b"".join(streamed("wav"))
    assert data[4:8] == data[40:44] == b"\xff\xff\xff\xff"
    assert len(soundfile.read(BytesIO(data))[0]) == len(recording())
    with wave.open(BytesIO(data)) as file:
        assert len(file.readframes(10**9)) == 2 * len(recording())
