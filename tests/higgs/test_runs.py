"""Runs of sound. Kind of fault: a sentence that begins in the sound of the one before."""

from hypothesis import given
from hypothesis import strategies as st

from higgs.prompts.v2 import Prompt
from higgs.runs import runs_of
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
