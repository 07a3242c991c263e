"""Runs of sound. Kinds of fault: a click at a cut, a sentence that begins in the sound of the one before."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from higgs.prompts.v2 import Prompt
from higgs.runs import FADE, fade_in, fade_out, runs_of
from higgs.segments import TextChunk
from tests.higgs.test_engine import clone_prompt

PROMPT: Prompt = clone_prompt()


@given(st.lists(st.sampled_from([0, 100]), min_size=1, max_size=8), st.integers(0, 3))
def test_runs_are_all_chunks_in_order_and_end_where_a_pause_follows(pauses: list[int], before: int) -> None:
    texts = [TextChunk(PROMPT, 100, pause=pause) for pause in [*[0] * before, *pauses]]
    chunks = range(before, len(texts))
    runs = list(runs_of(chunks, texts))
    assert [index for run in runs for index in run] == list(chunks)
    assert all(texts[run[-1]].pause for run in runs[:-1])
    assert not any(texts[index].pause for run in runs for index in run[:-1])


@given(st.integers(0, 300))
def test_fades_begin_and_end_in_silence_and_leave_the_rest(length: int) -> None:
    sound = np.ones(length, np.float32)
    assert len(fade_in(sound)) == len(fade_out(sound)) == length
    np.testing.assert_array_equal(fade_in(sound)[: len(FADE)], FADE[:length])
    np.testing.assert_array_equal(fade_in(sound)[len(FADE) :], sound[len(FADE) :])
    np.testing.assert_array_equal(fade_out(sound)[::-1], fade_in(sound))
