"""Faster and slower speech: the length follows the speed, the pitch and the pieces don't matter to it."""

import numpy as np
import pytest

from audio.pitch import median_pitch
from audio.tempo import FASTEST, SAMPLE_RATE, SLOWEST, at_speed
from tests.audio.media import recording

SPEEDS = (SLOWEST, 0.5, 0.8, 1.25, 2.0, 3.0, FASTEST)


def spoken_at(speed: float, pieces: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(at_speed(pieces, speed)))


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_length_follows_the_speed_and_the_pitch_stays(speed: float) -> None:
    samples = spoken_at(speed, [recording()])
    assert samples.dtype == np.float32
    assert len(samples) / SAMPLE_RATE == pytest.approx(len(recording()) / SAMPLE_RATE / speed, abs=0.05)
    assert median_pitch(samples, SAMPLE_RATE) == pytest.approx(
        median_pitch(recording(), SAMPLE_RATE), rel=0.05
    )
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(np.sqrt(np.mean(recording() ** 2)), rel=0.2)


@pytest.mark.parametrize("speed", [SLOWEST, 1.5, FASTEST])
def test_pieces_give_the_samples_of_the_whole(speed: float) -> None:
    pieces = np.split(recording(), [7_680, 7_680, 23_040, 53_760])
    np.testing.assert_array_equal(spoken_at(speed, pieces), spoken_at(speed, [recording()]))


def test_the_sound_comes_while_it_is_pushed() -> None:
    first = next(at_speed(np.split(recording(), [24_000]), 1.5))
    assert 0 < len(first) <= 24_000


def test_speed_one_changes_nothing() -> None:
    assert next(at_speed([recording()], 1.0)) is recording()
