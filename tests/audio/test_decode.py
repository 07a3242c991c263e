"""Decoding: every container gives the same speech, everything else a clear error, nothing hangs."""

import base64
import socket
import struct
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audio.decode import BASE64_PIECE, decode_audio, decode_base64_audio
from audio.frames import SAMPLE_RATE
from errors import InvalidAudio, PayloadTooLarge, VoiceServerError
from tests.audio.media import (
    CONTAINERS,
    TELL_WHEN_CUT,
    float_wav,
    media,
    recording,
    silent_film,
    sound_file,
)


def code_of(data: bytes) -> str | None:
    with pytest.raises(InvalidAudio) as caught:
        decode_audio(data)
    return caught.value.code


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two recordings from 300 Hz to 3 kHz (all formats keep that), at its best lag."""
    size = 1 << (len(one) + len(other)).bit_length()
    spectra = [np.fft.rfft(samples, size) for samples in (one, other)]
    for spectrum in spectra:
        spectrum[int(size * 3_000 / SAMPLE_RATE) :] = 0
        spectrum[: int(size * 300 / SAMPLE_RATE)] = 0
    energies = [np.sum(np.abs(spectrum) ** 2) * 2 / size for spectrum in spectra]
    return float(np.fft.irfft(spectra[0] * spectra[1].conj(), size).max() / np.sqrt(np.prod(energies)))


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_speech(name: str) -> None:
    samples = decode_audio(sound_file(name))
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert len(samples) / SAMPLE_RATE == pytest.approx(len(recording()) / SAMPLE_RATE, abs=0.1)
    # AMR models the voice rather than its waveform.
    assert correlation(samples, recording()) > (0.9 if name == "amr" else 0.95)


def test_a_wav_at_24_khz_comes_back_as_it_is() -> None:
    np.testing.assert_array_equal(decode_audio(sound_file("wav")), recording())


def test_channels_are_averaged() -> None:
    stereo = np.stack([recording(), np.zeros_like(recording())], axis=1)
    output = BytesIO()
    soundfile.write(output, stereo, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    np.testing.assert_allclose(decode_audio(output.getvalue()), recording() / 2, atol=1e-7)
    assert correlation(decode_audio(sound_file("mp3", channels=2)), recording()) > 0.99


@pytest.mark.parametrize(("container", "codec"), [("ipod", "aac"), ("flac", "flac"), ("ogg", "libopus")])
def test_eight_channels_are_read(container: str, codec: str) -> None:
    samples = decode_audio(media(container, codec, 48_000, channels=8))
    assert correlation(samples, recording()) > 0.95


def test_more_channels_are_refused() -> None:
    output = BytesIO()
    soundfile.write(output, np.zeros((48_000, 9)), SAMPLE_RATE, format="WAV")
    assert code_of(output.getvalue()) == "audio_undecodable"


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_recorded_live_has_a_placeholder_for_its_size(size: int) -> None:
    live = bytearray(sound_file("wav"))
    struct.pack_into("<I", live, live.index(b"data") + 4, size)
    assert len(decode_audio(bytes(live))) == pytest.approx(len(recording()), abs=1)


def test_live_and_fragmented_files_pass() -> None:
    fragmented = media("mp4", "aac", 48_000, "mpeg4", options={"movflags": "frag_keyframe+empty_moov"})
    live = media("webm", "libopus", 48_000, "libvpx", options={"live": "1"})
    uncounted = media("mp3", "libmp3lame", 44_100, options={"write_xing": "0"})
    for data in (fragmented, live, uncounted):
        assert len(decode_audio(data)) == pytest.approx(len(recording()), abs=0.1 * SAMPLE_RATE)


@pytest.mark.parametrize("name", ["mp3", "aac", "flac", "wav", "ogg opus", "m4a"])
def test_a_tag_at_the_end_harms_nothing(name: str) -> None:
    tagged = sound_file(name) + b"TAG" + b"A title".ljust(125, b"\0")
    assert len(decode_audio(tagged)) == len(decode_audio(sound_file(name)))


def test_a_stream_that_turns_up_late_harms_nothing() -> None:
    late = bytearray(sound_file("mpegts"))
    late[44 * 188 + 2] = 0x7F  # packet 44, of the picture, now belongs to a stream not seen before
    assert len(decode_audio(bytes(late))) == len(decode_audio(sound_file("mpegts")))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("name", TELL_WHEN_CUT)
def test_a_cut_file_is_refused(name: str, share: float) -> None:
    data = sound_file(name)
    assert code_of(data[: int(len(data) * share)]) == "audio_truncated"


def test_an_mp3_without_a_frame_count_is_refused_when_its_last_frame_is_cut() -> None:
    data = media("mp3", "libmp3lame", 44_100, options={"write_xing": "0"})
    assert code_of(data[: len(data) // 2]) == "audio_truncated"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "audio_empty"),
        (b"RIFF", "audio_undecodable"),
        (b"Dear sir, this is a letter and no recording.\n" * 40, "audio_undecodable"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nA subtitle\n\n", "audio_undecodable"),
        (bytes(10_000), "audio_undecodable"),
        (np.random.default_rng(0).bytes(100_000), "audio_undecodable"),
        (b"\xc7\x1c\x71" * 4_000_000, "audio_undecodable"),  # taken for AMR of millions of broken packets
        (silent_film(), "audio_no_sound_track"),
        (float_wav(np.zeros(0, np.float32)), "audio_empty"),
        (float_wav(np.where(np.arange(48_000) == 20_000, np.nan, recording()[:48_000])), "audio_not_finite"),
        (float_wav(np.where(np.arange(48_000) == 20_000, np.inf, recording()[:48_000])), "audio_not_finite"),
    ],
    # soundfile writes the time into a file, and test processes must agree on the names of tests.
    ids=lambda value: value if isinstance(value, str) else "data",
)
def test_what_is_no_recording_is_refused(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_a_small_file_of_many_hours_stops_at_the_limit() -> None:
    silence = np.zeros(120 * SAMPLE_RATE, np.float32)
    data = media("flac", "flac", SAMPLE_RATE, samples=silence)
    assert len(data) < len(silence) / 100
    with pytest.raises(InvalidAudio) as caught:
        decode_audio(data, max_seconds=60)
    assert caught.value.code == "audio_too_long"
    assert len(decode_audio(data, max_seconds=120)) == len(silence)


@pytest.mark.parametrize("name", ["wav", "avi"])
def test_a_comment_that_claims_gigabytes_is_not_believed(name: str) -> None:
    lying = bytearray(sound_file(name))
    struct.pack_into("<I", lying, lying.index(b"INFO") - 4, 0xFFFFFFF0)
    assert code_of(bytes(lying)) == "audio_truncated"


def test_a_script_can_not_make_the_server_open_files_or_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.wav").write_bytes(sound_file("wav"))
    monkeypatch.chdir(tmp_path)
    assert code_of(b"ffconcat version 1.0\nfile secret.wav\n") == "audio_undecodable"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.wav"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n"
        assert code_of(playlist.encode()) == "audio_undecodable"
        with pytest.raises(TimeoutError):
            server.accept()


@cache
def small_file(name: str) -> bytes:
    return media(*CONTAINERS[name], samples=recording()[:12_000])


SMALL_FILES = st.sampled_from(
    ("wav", "mp3", "m4a", "aac", "ogg opus", "flac", "mp4", "avi", "webm", "flv", "mpegts", "amr")
).map(small_file)


def decodes_or_refuses(data: bytes) -> None:
    try:
        samples = decode_audio(data, max_seconds=20)
    except VoiceServerError:
        return
    assert samples.dtype == np.float32 and np.isfinite(samples).all()


@given(st.binary(max_size=2_000))
@settings(max_examples=150, deadline=5_000)
@example(b"RIFF\x00\x00\x00\x00WAVE")
@example(b"OggS")
@example(b"\x1aE\xdf\xa3")
@example(b"\x00\x00\x00\x08ftyp")
def test_wild_bytes_are_refused(data: bytes) -> None:
    decodes_or_refuses(data)


@given(SMALL_FILES, st.floats(0, 1))
@settings(max_examples=150, deadline=5_000)
def test_a_file_cut_anywhere_is_decoded_or_refused(data: bytes, share: float) -> None:
    decodes_or_refuses(data[: int(len(data) * share)])


@given(SMALL_FILES, st.floats(0, 0.999), st.binary(min_size=1, max_size=40))
@settings(max_examples=300, deadline=5_000)
def test_a_file_overwritten_anywhere_is_decoded_or_refused(data: bytes, share: float, noise: bytes) -> None:
    position = int(len(data) * share)
    decodes_or_refuses(data[:position] + noise + data[position + len(noise) :])


class TestBase64:
    def test_bare_wrapped_or_as_a_data_uri(self) -> None:
        data = bytes(range(256))
        text = base64.b64encode(data).decode()
        lines = base64.encodebytes(data).decode()
        assert decode_base64_audio("QUI") == b"AB" and decode_base64_audio("QUJDRA=") == b"ABCD"
        prefixes = ("data:audio/wav;base64,", "data:;base64,", "data:audio/ogg;codecs=opus;base64,")
        for value in (text, lines, *(prefix + text for prefix in prefixes)):
            assert decode_base64_audio(value) == data

    def test_a_long_one_is_decoded_piece_by_piece(self) -> None:
        data = np.random.default_rng(0).bytes(2 * BASE64_PIECE)
        assert decode_base64_audio(base64.b64encode(data).decode()) == data
        assert decode_base64_audio(base64.encodebytes(data).decode(), max_bytes=len(data)) == data

    @pytest.mark.parametrize(
        "value",
        [
            "not base64!",
            "QUJD*",
            "QUI=QUJD",
            "Q",
            "data:audio/wav,QUJD",
            "https://example.com/a.wav",
            "ÄÖÜß",
        ],
    )
    def test_anything_else_is_refused(self, value: str) -> None:
        with pytest.raises(InvalidAudio) as caught:
            decode_base64_audio(value)
        assert caught.value.code == "invalid_base64"

    @pytest.mark.parametrize("value", ["", " \n", "data:audio/wav;base64,"])
    def test_nothing_is_empty_audio(self, value: str) -> None:
        with pytest.raises(InvalidAudio) as caught:
            decode_base64_audio(value)
        assert caught.value.code == "audio_empty"

    @pytest.mark.parametrize("size", [99, 100, 101, 102, 103, 1000])
    def test_the_limit_counts_the_decoded_bytes(self, size: int) -> None:
        value = base64.b64encode(bytes(size)).decode()
        if size <= 100:
            assert decode_base64_audio(value, max_bytes=100) == bytes(size)
            return
        with pytest.raises(PayloadTooLarge) as caught:
            decode_base64_audio(value, max_bytes=100)
        assert caught.value.code == "audio_too_large"

    @given(st.text(max_size=300))
    def test_any_text_gives_bytes_or_a_clear_error(self, value: str) -> None:
        try:
            decode_base64_audio(value)
        except VoiceServerError:
            return
