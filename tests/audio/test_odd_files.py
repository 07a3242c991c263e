"""Healthy recordings that players play and FFmpeg's first look misjudges: nothing is lost or refused."""

import struct
from io import BytesIO

import av
import numpy as np
import pytest
import soundfile

from audio.decode import decode_audio
from audio.frames import SAMPLE_RATE
from errors import InvalidAudio
from tests.audio.media import audio_frames, float_wav, media, recording, sound_file

CLIP = recording()[: 3 * SAMPLE_RATE]


def stereo(left: np.ndarray, right: np.ndarray) -> bytes:
    return float_wav(np.stack([left, right], axis=1))


def alike(one: np.ndarray, other: np.ndarray) -> float:
    count = min(len(one), len(other))
    return float(np.corrcoef(one[:count], other[:count])[0, 1])


class TestChannelsThatCancel:
    """Kind: the average of the channels is silence though each of them is heard."""

    def test_one_channel_is_taken_where_the_other_is_its_negative(self) -> None:
        np.testing.assert_allclose(decode_audio(stereo(CLIP, -CLIP)), CLIP, atol=1e-6)

    def test_also_where_they_cancel_for_a_part_of_the_recording_only(self) -> None:
        swapped = CLIP * np.where(np.arange(len(CLIP)) < len(CLIP) // 2, 1, -1).astype(np.float32)
        levels = np.abs(decode_audio(stereo(CLIP, swapped))).reshape(-1, SAMPLE_RATE // 2).max(axis=1)
        assert (levels > 0.5 * np.abs(CLIP).reshape(-1, SAMPLE_RATE // 2).max(axis=1)).all()

    def test_a_lossy_file_leaves_a_little_and_one_channel_is_taken_all_the_same(self) -> None:
        output = BytesIO()
        soundfile.write(output, np.stack([CLIP, -CLIP], axis=1), SAMPLE_RATE, format="MP3")
        decoded = decode_audio(output.getvalue())
        assert np.abs(decoded).max() > 0.5 * np.abs(CLIP).max() and alike(np.abs(decoded), np.abs(CLIP)) > 0.9

    def test_other_stereo_is_averaged(self) -> None:
        noise = np.random.default_rng(0).normal(0, 0.1, len(CLIP)).astype(np.float32)
        np.testing.assert_allclose(decode_audio(stereo(CLIP, noise)), (CLIP + noise) / 2, atol=1e-6)
        np.testing.assert_allclose(decode_audio(stereo(CLIP, 0 * CLIP)), CLIP / 2, atol=1e-6)


def film(*tracks: np.ndarray, default: int = 0) -> bytes:
    """A Matroska file of several sound tracks."""
    output = BytesIO()
    with av.open(output, mode="w", format="matroska") as container:
        streams = [container.add_stream("flac", rate=SAMPLE_RATE, layout="mono") for _ in tracks]
        for number, stream in enumerate(streams):
            stream.disposition = (
                av.stream.Disposition.default if number == default else av.stream.Disposition(0)
            )
        for stream, samples in zip(streams, tracks, strict=True):
            assert isinstance(stream, av.AudioStream)
            for frame in audio_frames(samples, stream, 1):
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return output.getvalue()


class TestTracks:
    """Kind: speech stands in another track than the first."""

    def test_the_default_track_is_taken(self) -> None:
        other = np.roll(CLIP, SAMPLE_RATE)
        assert alike(decode_audio(film(other, CLIP, default=1)), CLIP) > 0.99

    @pytest.mark.parametrize("default", [0, 1])
    def test_a_silent_track_is_passed_over(self, default: int) -> None:
        assert alike(decode_audio(film(0 * CLIP, CLIP, default=default)), CLIP) > 0.99

    def test_all_silent_is_silence(self) -> None:
        assert not decode_audio(film(0 * CLIP, 0 * CLIP)).any()


LYRICS = b"LYRICSBEGIN" + b"LYR" + b"00500" + b"la " * 166 + b"la"
LYRICS += b"%06d" % len(LYRICS) + b"LYRICS200"


def ape(size: int) -> bytes:
    """An APEv2 tag with header and footer, of one item that takes this size."""
    item = struct.pack("<II", size, 0) + b"Cover Art (Front)\0" + bytes(size)
    fields = struct.pack("<IIII", 2000, len(item) + 32, 1, 0)
    return (
        b"APETAGEX"
        + fields[:12]
        + struct.pack("<I", 0xA0000000)
        + bytes(8)
        + item
        + (b"APETAGEX" + fields[:12] + struct.pack("<I", 0x80000000) + bytes(8))
    )


class TestWholeMP3s:
    """Kind: a whole MP3 looks cut off, since FFmpeg's estimates or its last frame mislead."""

    @pytest.mark.parametrize("counted", ["0", "1"])
    @pytest.mark.parametrize(
        "tail", [ape(20_000), LYRICS, ape(9_000) + LYRICS + b"TAG" + bytes(125), b"TAG" + bytes(125)]
    )
    def test_a_large_tag_at_the_end_harms_nothing(self, counted: str, tail: bytes) -> None:
        data = media("mp3", "libmp3lame", 44_100, options={"write_xing": counted})
        assert len(decode_audio(data + tail)) == len(decode_audio(data))

    def test_neither_do_bytes_of_no_known_tag_behind_a_counted_file(self) -> None:
        data = sound_file("mp3")
        assert len(decode_audio(data + bytes(len(data) // 8))) == pytest.approx(len(recording()), abs=3000)

    @pytest.mark.parametrize("missing", [1, 2, 3])
    def test_a_last_frame_that_lacks_a_few_bytes_is_whole(self, missing: int) -> None:
        data = media("mp3", "libmp3lame", 44_100, options={"write_xing": "0"})
        assert len(decode_audio(data[:-missing])) == pytest.approx(len(recording()), abs=3000)

    def test_two_in_one_are_both_read(self) -> None:
        data = sound_file("mp3")
        assert len(decode_audio(data + data)) == pytest.approx(2 * len(recording()), rel=0.02)


def wav(samples: np.ndarray, container: int, valid: int, extensible: bool) -> bytes:
    """A WAV whose samples fill `valid` bits, at the top of their container."""
    scaled = np.round(samples.astype(np.float64) * 2 ** (valid - 1)).astype(np.int64) << (container - valid)
    raw = scaled.astype("<i4").tobytes() if container == 32 else b""
    if container == 24:
        raw = scaled.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    width = container // 8
    form = struct.pack(
        "<HHIIHH",
        0xFFFE if extensible else 1,
        1,
        SAMPLE_RATE,
        SAMPLE_RATE * width,
        width,
        container if extensible else valid,
    )
    if extensible:
        form += struct.pack("<HHI", 22, valid, 4) + bytes.fromhex("0100000000001000800000aa00389b71")
    body = (
        b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(raw)) + raw
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("container", "valid", "extensible"),
    [
        (32, 24, True),
        (32, 20, True),
        (32, 16, True),
        (24, 20, True),
        (24, 16, True),
        (32, 32, True),
        (32, 24, False),
    ],
)
def test_samples_smaller_than_their_container_are_read(container: int, valid: int, extensible: bool) -> None:
    """Kind: the valid bits of a sample are taken for its size; 24 in 32 bits became noise."""
    decoded = decode_audio(wav(CLIP, container, valid, extensible))
    np.testing.assert_allclose(decoded, CLIP, atol=2.0 ** -(valid - 2))


class TestConcatenated:
    """Kind: of several files in one only the first is read, without a word."""

    def test_wavs_are_joined_whatever_their_kinds(self) -> None:
        halves = float_wav(CLIP) + sound_file("wav, 24 bit") + float_wav(CLIP)
        assert len(decode_audio(halves)) == pytest.approx(2 * len(CLIP) + len(recording()), abs=2)

    def test_a_header_in_the_midst_of_the_samples_is_no_sound(self) -> None:
        joined = bytearray(float_wav(CLIP) + float_wav(CLIP))
        for at in (4, joined.index(b"data") + 4):
            struct.pack_into("<I", joined, at, 0xFFFFFFFF)
        np.testing.assert_array_equal(decode_audio(bytes(joined)), np.concatenate([CLIP, CLIP]))

    def test_the_limit_counts_them_all(self) -> None:
        with pytest.raises(InvalidAudio) as caught:
            decode_audio(float_wav(CLIP) * 4, max_seconds=10)
        assert caught.value.code == "audio_too_long"

    @pytest.mark.parametrize("name", ["flac", "ogg opus", "aac"])
    def test_other_formats_are_read_to_the_end_too(self, name: str) -> None:
        data = sound_file(name)
        assert len(decode_audio(data + data)) == pytest.approx(2 * len(recording()), rel=0.02)

    def test_a_cut_last_one_is_refused(self) -> None:
        with pytest.raises(InvalidAudio) as caught:
            decode_audio(float_wav(CLIP) + float_wav(CLIP)[:-20_000])
        assert caught.value.code == "audio_truncated"


@pytest.mark.parametrize("scale", [2.0**7, 2.0**15, 2.0**23, 2.0**31])
def test_floats_of_another_scale_are_brought_to_full_scale(scale: float) -> None:
    """Kind: floats of ±32768 were clipped to noise."""
    decoded = decode_audio(float_wav(CLIP * np.float32(scale)))
    np.testing.assert_allclose(decoded, CLIP, rtol=1e-5, atol=1e-7)


def test_floats_a_little_above_full_scale_stay() -> None:
    loud = CLIP / np.abs(CLIP).max() * 3
    np.testing.assert_array_equal(decode_audio(float_wav(loud)), loud)


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (sound_file("webm")[sound_file("webm").index(b"\x1fC\xb6u") :], "WebM recording"),
        (sound_file("ogg opus")[sound_file("ogg opus").index(b"OggS", 300) :], "Ogg recording"),
        (b'{"error": "not found"}' * 40, "text, not audio"),
        (b"<!DOCTYPE html><html>" + b"<p>Sign in</p>" * 40, "text, not audio"),
        (np.random.default_rng(0).bytes(50_000), "raw samples need a WAV header"),
    ],
)
def test_the_message_says_what_to_do(data: bytes, advice: str) -> None:
    """Kind: a later piece of a recording, or no recording at all, is refused without help."""
    with pytest.raises(InvalidAudio) as caught:
        decode_audio(data)
    assert caught.value.code == "audio_undecodable" and advice in caught.value.message
    assert len(caught.value.message) < 400


def test_a_header_that_tells_hours_is_refused_before_they_are_decoded() -> None:
    """Kind: an Opus file of hours took half a minute of work to be refused."""
    hours = media("ogg", "libopus", 48_000, samples=np.zeros(2 * SAMPLE_RATE, np.float32))
    last = hours.rindex(b"OggS")
    lying = bytearray(hours)
    struct.pack_into("<q", lying, last + 6, 5 * 3600 * 48_000)
    struct.pack_into("<I", lying, last + 22, 0)
    struct.pack_into("<I", lying, last + 22, ogg_checksum(bytes(lying[last:])))
    with pytest.raises(InvalidAudio) as caught:
        decode_audio(bytes(lying))
    assert caught.value.code == "audio_too_long"


def ogg_checksum(page: bytes) -> int:
    """CRC-32 of the Ogg framing: polynomial 0x04C11DB7, unreflected, from zero."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value
