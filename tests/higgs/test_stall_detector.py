"""What counts as a stream that has lost its way."""

import random

from hypothesis import given
from hypothesis import strategies as st

from higgs.engine.stall_detector import MEMORY, PATIENCE, StallDetector


def frames_until_stuck(codes: list[int]) -> int | None:
    watch = StallDetector()
    for count, code in enumerate(codes, 1):
        watch.note(code)
        if watch.stalled:
            return count
    return None


@given(period=st.integers(1, MEMORY), seed=st.integers(0, 99))
def test_a_loop_is_noticed_five_seconds_after_its_first_round(period: int, seed: int) -> None:
    rng = random.Random(seed)
    before = rng.sample(range(1024), MEMORY)
    loop = rng.sample(range(1024, 2048), period)
    noticed = frames_until_stuck(before + loop * (2 * PATIENCE))
    assert noticed == MEMORY + period + PATIENCE


def test_silence_that_flickers_is_noticed() -> None:
    rng = random.Random(1)
    assert frames_until_stuck([rng.choice((7, 8, 9)) for _ in range(2 * PATIENCE)]) is not None


def test_a_pause_of_four_seconds_is_not() -> None:
    words = list(range(100))
    assert frames_until_stuck(words + [500] * 100 + words) is None
