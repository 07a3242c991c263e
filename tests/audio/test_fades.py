"""Fades. Kind of fault: a click where sound begins or is cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audio.fades import CUT, START, fade_in, fade_out


def test_a_stream_fades_in_the_same_whatever_its_parts() -> None:
    ones, length = np.ones(1_000, np.float32), len(START)
    whole = fade_in(ones, START)
    assert whole[0] == 0 and (np.diff(whole[:length]) > 0).all() and (whole[length:] == 1).all()
    parts = [fade_in(ones[start : start + 70], START, start) for start in range(0, 1_000, 70)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@given(st.integers(0, 300))
def test_fades_begin_and_end_in_silence_and_leave_the_rest(length: int) -> None:
    sound = np.ones(length, np.float32)
    assert len(fade_in(sound, CUT)) == len(fade_out(sound, CUT)) == length
    np.testing.assert_array_equal(fade_in(sound, CUT)[: len(CUT)], CUT[:length])
    np.testing.assert_array_equal(fade_in(sound, CUT)[len(CUT) :], sound[len(CUT) :])
    np.testing.assert_array_equal(fade_out(sound, CUT)[::-1], fade_in(sound, CUT))
