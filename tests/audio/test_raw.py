"""Raw sound in pieces, and the turns of a speaker in it."""

import numpy as np
import pytest

from audio.encode import encode_audio
from audio.raw import RawDecoder, samples_of
from audio.turn_detection import Edge, TurnDetector
from audio.voice_activity import VoiceActivityStream, speech_probabilities
from tests.audio.media import recording

TONE = 0.3 * np.sin(2 * np.pi * 440 / 24_000 * np.arange(48_000)).astype(np.float32)


def test_samples_of_16_bits_may_be_cut_between_pieces() -> None:
    data, decoder = np.arange(-500, 500, dtype="<i2").tobytes(), RawDecoder("pcm")
    pieces = [decoder.push(data[start : start + 7]) for start in range(0, len(data), 7)]
    np.testing.assert_array_equal(np.concatenate(pieces), np.arange(-500, 500))


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_g711_round_trip(law: str) -> None:
    data = encode_audio(TONE, law).data
    assert len(data) == 16_000
    decoded = samples_of(data, law) / 32_768
    assert len(decoded) == pytest.approx(48_000, abs=24)
    middle = slice(4_800, 43_200)
    assert np.corrcoef(decoded[middle], TONE[middle])[0, 1] > 0.999
    decoder = RawDecoder(law)
    pieces = [decoder.push(data[start : start + 333]) for start in range(0, len(data), 333)]
    joined = np.concatenate([*pieces, decoder.push(b"", last=True)]) / 32_768
    np.testing.assert_allclose(joined, decoded, atol=2 / 32_768)


def test_pieces_show_the_same_activity_as_the_whole() -> None:
    samples = recording()
    stream = VoiceActivityStream(24_000)
    found = np.concatenate(
        [stream.push(samples[start : start + 1_000]) for start in range(0, len(samples), 1_000)]
    )
    whole = speech_probabilities(samples, 24_000)
    assert abs(len(whole) - len(found)) <= 2
    np.testing.assert_allclose(found, whole[: len(found)], atol=0.1)


def test_a_turn_begins_and_ends_and_a_tone_is_none() -> None:
    silence, speech = np.zeros(36_000, np.float32), recording()
    detector = TurnDetector(0.5, 1.0)
    sound = np.concatenate([silence, speech, silence])
    edges = [
        edge for start in range(0, len(sound), 2_400) for edge in detector.push(sound[start : start + 2_400])
    ]
    assert [edge.kind for edge in edges] == ["started", "stopped"]
    assert 36_000 - 4_800 <= edges[0].sample <= 36_000 + 12_000
    assert len(silence) + len(speech) <= edges[1].sample + 24_000
    assert not list[Edge](TurnDetector(0.5, 1.0).push(TONE))
