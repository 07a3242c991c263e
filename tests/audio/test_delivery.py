"""Speed, pitch and volume: each changes what it says and nothing else, and pieces don't matter to it."""

import numpy as np
import pytest

from audio.delivery import MAX_SPEED, MIN_SPEED, Delivery, delivered
from audio.frames import SAMPLE_RATE
from audio.pitch import median_pitch
from tests.audio import media

SPEEDS = (MIN_SPEED, 0.5, 0.8, 1.25, 2.0, 3.0, MAX_SPEED)
Sound = tuple[float, float, float]


def recording() -> np.ndarray:
    return media.recording()[10_000:70_000]


def spoken(sound: Sound, pieces: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(delivered(pieces, sound)))


def level(samples: np.ndarray) -> float:
    """In dB of full scale."""
    return float(10 * np.log10(np.mean(samples**2)))


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_length_follows_the_speed_and_the_pitch_stays(speed: float) -> None:
    samples = spoken((speed, 0, 0), [recording()])
    assert samples.dtype == np.float32
    assert len(samples) / SAMPLE_RATE == pytest.approx(len(recording()) / SAMPLE_RATE / speed, abs=0.08)
    assert median_pitch(samples, SAMPLE_RATE) == pytest.approx(
        median_pitch(recording(), SAMPLE_RATE), rel=0.05
    )
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(np.sqrt(np.mean(recording() ** 2)), rel=0.2)


@pytest.mark.parametrize("semitones", [-5.0, 2.0, 4.0, 12.0])
@pytest.mark.parametrize("speed", [1.0, 1.5])
def test_the_pitch_moves_by_semitones_and_the_length_stays(semitones: float, speed: float) -> None:
    samples = spoken((speed, semitones, 0), [recording()])
    expected = 2 ** (semitones / 12) * (median_pitch(recording(), SAMPLE_RATE) or 0)
    assert median_pitch(samples, SAMPLE_RATE) == pytest.approx(expected, rel=0.04)
    assert len(samples) / SAMPLE_RATE == pytest.approx(len(recording()) / SAMPLE_RATE / speed, abs=0.08)


@pytest.mark.parametrize("decibels", [-20.0, -6.0, 2.0])
def test_the_volume_is_a_gain_where_there_is_room(decibels: float) -> None:
    samples = spoken((1, 0, decibels), [recording()])
    assert level(samples) - level(recording()) == pytest.approx(decibels, abs=0.2)
    if decibels < 0:
        np.testing.assert_allclose(samples, recording() * 10 ** (decibels / 20), atol=1e-6)


@pytest.mark.parametrize("decibels", [6.0, 20.0])
def test_a_loud_voice_is_held_below_full_scale(decibels: float) -> None:
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    clicks = np.zeros(SAMPLE_RATE, np.float32)
    clicks[::1_000] = 1
    tone = (0.9 * np.sin(2 * np.pi * 220 * seconds)).astype(np.float32)
    for samples in (recording(), tone, clicks):
        louder = spoken((1, 0, decibels), [samples])
        assert len(louder) == len(samples) and np.abs(louder).max() <= 0.971
    assert level(spoken((1, 0, decibels), [recording()])) > level(recording()) + 3


@pytest.mark.parametrize(
    "sound", [(MIN_SPEED, 0, 0), (MAX_SPEED, -7, 0), (1, 12, 6), (1.5, 3, 20), (1, 0, -6)]
)
def test_pieces_give_the_samples_of_the_whole(sound: Sound) -> None:
    pieces = np.split(recording(), [7_680, 7_680, 7_681, 23_040, 53_760])
    np.testing.assert_array_equal(spoken(sound, pieces), spoken(sound, [recording()]))


def test_the_sound_comes_while_it_is_pushed() -> None:
    first = next(delivered(np.split(recording(), [24_000]), (1.5, 2, 3)))
    assert 0 < len(first) <= 24_000


def test_what_asks_for_no_change_changes_nothing() -> None:
    samples = recording()
    assert next(delivered([samples], Delivery(speed=1.0, pitch=0.0).sound)) is samples
    assert list(delivered([], (2, 0, 0))) == []


def test_a_request_outranks_the_voice_in_what_it_names() -> None:
    voice = Delivery(speed=1.2, pitch=-2, instructions="Calm.")
    assert Delivery(speed=1.0, volume=3).with_defaults(voice) == Delivery(1.0, -2, 3, "Calm.")
