"""The dead sound behind a text: dropped, however it comes; pauses within a text stay."""

from collections.abc import Iterator

import numpy as np
import pytest

from audio.frames import SAMPLE_RATE
from audio.quiet_ends import DEAD, KEPT, DeadSound, without_quiet_end
from tests.audio.media import recording

RANDOM = np.random.default_rng(0)
SPEECH = recording()[: 2 * SAMPLE_RATE]


def room(seconds: float) -> np.ndarray:
    """A room in which nobody speaks, at -60 dB."""
    return RANDOM.normal(0, 0.001, int(seconds * SAMPLE_RATE)).astype(np.float32)


def trimmed(samples: np.ndarray, cuts: int = 0) -> np.ndarray:
    borders = np.sort(RANDOM.integers(0, len(samples), cuts))
    return np.concatenate([np.zeros(0, np.float32), *without_quiet_end(np.split(samples, borders))])


def sound_end(samples: np.ndarray) -> int:
    loud = np.square(samples[: len(samples) // 240 * 240]).reshape(-1, 240).mean(axis=1) > 1e-5
    return (int(np.flatnonzero(loud)[-1]) + 1) * 240


def test_the_quiet_at_the_end_goes_but_for_a_breath() -> None:
    samples = np.concatenate([SPEECH, room(5)])
    kept = trimmed(samples)
    assert 0 <= len(kept) - sound_end(samples) - KEPT < 960 and len(kept) % 960 == 0
    np.testing.assert_array_equal(kept, samples[: len(kept)])


@pytest.mark.parametrize("cuts", [1, 20, 200])
@pytest.mark.parametrize("quiet", [0.1, 0.4, 2.0])
def test_pauses_within_stay_and_the_pieces_make_no_difference(quiet: float, cuts: int) -> None:
    samples = np.concatenate([room(1), SPEECH, room(quiet), SPEECH, room(quiet)])
    kept = trimmed(samples, cuts)
    np.testing.assert_array_equal(kept, trimmed(samples))
    np.testing.assert_array_equal(kept, samples[: len(kept)])
    assert len(kept) >= min(sound_end(samples) + KEPT, len(samples))


@pytest.mark.parametrize("length", [1, 100, 239, 241, 5_000])
def test_no_sample_of_a_last_sound_is_lost(length: int) -> None:
    loud = np.full(length, 0.5, np.float32)
    np.testing.assert_array_equal(trimmed(loud), loud)


def test_quiet_is_held_back_until_there_is_sound_behind_it() -> None:
    """A listener is not given silence first and told later that nothing follows."""
    came: list[int] = []

    def pieces() -> Iterator[np.ndarray]:
        for piece in np.split(np.concatenate([SPEECH, room(3)]), 50):
            came.append(len(piece))
            yield piece

    given = [(sum(came), len(piece)) for piece in without_quiet_end(pieces())]
    assert given[-1][0] < len(SPEECH) + 2 * KEPT


def test_three_seconds_of_quiet_are_dead() -> None:
    for size in (240, 1_000, 100_000):
        samples, dead, found = np.concatenate([SPEECH, room(4)]), DeadSound(), []
        for start in range(0, len(samples), size):
            found.append(dead.push(samples[start : start + size], since=0))
        assert next(end for end in found if end) == sound_end(samples) + DEAD
        assert dead.sounding == sound_end(samples)


def test_quiet_before_a_text_begins_is_not_its_own() -> None:
    samples, dead = np.concatenate([SPEECH, room(4), SPEECH]), DeadSound()
    assert dead.push(samples, since=5 * SAMPLE_RATE) is None
