"""Pauses between chunks of one sound. Kinds of fault: a click at a cut, samples that depend on splits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from higgs.chunk_pauses import FADE, ChunkPauses

SOUND = np.ones(4 * 960, np.float32)


def split(cuts: list[int]) -> np.ndarray:
    """The sound with pauses behind its first and third frame, given in parts cut at these samples."""
    pauses = ChunkPauses()
    pauses.note(960, 100)
    pauses.note(3 * 960, 50)
    pauses.note(3 * 960 + 1, 0)
    parts = np.split(SOUND, sorted(cuts))
    return np.concatenate([heard for part in parts for heard in pauses.around(part)])


@given(st.lists(st.integers(0, 4).map(lambda frame: frame * 960), max_size=6))
def test_the_samples_are_the_same_however_they_are_split(cuts: list[int]) -> None:
    np.testing.assert_array_equal(split(cuts), split([]))


def test_sound_fades_out_before_a_pause_and_in_behind_it() -> None:
    sound = split([])
    assert len(sound) == len(SOUND) + 150
    np.testing.assert_array_equal(sound[960:1060], 0)
    np.testing.assert_array_equal(sound[1060 : 1060 + len(FADE)], FADE)
    np.testing.assert_array_equal(sound[960 - len(FADE) : 960], FADE[::-1])
    assert sound[0] == 1 and sound[-1] == 1
