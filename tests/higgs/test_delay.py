"""The delay pattern and the end of streams, by their properties and against boson-multimodal."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from higgs.model.delay import DelayRule, apply_delay, undo_delay
from tests.golden import lm_cases as cases
from tests.golden.lm_golden import load_golden
from tests.tiny import CONFIG

BOS, EOS = CONFIG.bos_code, CONFIG.eos_code
codes_of_frames = st.integers(0, 20).flatmap(
    lambda frames: st.lists(st.integers(0, 1023), min_size=8 * frames, max_size=8 * frames)
)
scripts = st.lists(
    st.lists(st.sampled_from([0, 5, BOS, EOS]), min_size=8, max_size=8), min_size=1, max_size=30
)


def run(script: torch.Tensor) -> tuple[torch.Tensor, DelayRule, bool]:
    """The columns that a script of sampled codes [N, 8] becomes, up to its end, and whether it ended."""
    rule = DelayRule(CONFIG)
    columns = [torch.full((8,), BOS)]
    for column, codes in enumerate(script, start=1):
        columns.append(rule.force(codes[None], column)[0])
        if column - 7 >= int(rule.end):
            return torch.stack(columns), rule, True
    return torch.stack(columns), rule, False


@given(codes_of_frames)
def test_undoing_the_delay_gives_the_frames_between_their_marks(flat: list[int]) -> None:
    codes = torch.tensor(flat, dtype=torch.int64).view(8, -1)
    columns = apply_delay(codes, CONFIG)
    frames = undo_delay(columns)
    assert len(columns) == codes.shape[1] + 9
    assert (frames[:, 0] == BOS).all() and (frames[:, -1] == EOS).all()
    assert torch.equal(frames[:, 1:-1], codes)


def test_codebooks_lead_with_bos_and_trail_with_eos() -> None:
    columns = apply_delay(torch.zeros(8, 5, dtype=torch.int64), CONFIG)
    for book in range(8):
        assert columns[:, book].tolist() == [BOS] * (book + 1) + [0] * 5 + [EOS] * (8 - book)


def test_columns_too_few_for_a_frame_hold_none() -> None:
    assert undo_delay(torch.zeros(7, 8, dtype=torch.int64)).shape == (8, 0)


@given(codes_of_frames)
def test_the_rule_leaves_a_well_formed_stream_as_it_is(flat: list[int]) -> None:
    columns = apply_delay(torch.tensor(flat, dtype=torch.int64).view(8, -1), CONFIG)
    forced, rule, ended = run(columns[1:])
    assert ended and torch.equal(forced, columns)
    assert int(rule.end) == len(columns) - 8


@settings(deadline=None)
@given(scripts)
def test_the_first_eos_of_the_lowest_codebook_ends_the_stream(rows: list[list[int]]) -> None:
    script = torch.tensor(rows)
    columns, rule, ended = run(script)
    free = [(c, k) for c in range(1, len(columns)) for k in range(8) if k < c]
    marks = [(c, k) for c, k in free if script[c - 1, k] == EOS]
    if not marks:
        assert not ended and int(rule.end) == rule.OPEN
        return
    column, book = marks[0]
    assert int(rule.end) == column - book
    for c, k in free:
        later = c >= column and c - k > column - book
        assert columns[c, k] == (EOS if later else script[c - 1, k])


@pytest.mark.parametrize("case", range(len(cases.scripts())))
def test_ends_equal_bosons(case: int) -> None:
    golden = load_golden()
    columns, rule, ended = run(cases.scripts()[case])
    assert torch.equal(columns, golden[f"end.{case}.columns"])
    assert ended == (f"end.{case}.frames" in golden)
    if ended:
        frames = undo_delay(columns)[:, 1 : int(rule.end)].clamp(max=BOS - 1)
        assert torch.equal(frames, golden[f"end.{case}.frames"])


def test_streams_of_a_batch_end_on_their_own() -> None:
    script = cases.scripts()[:8]
    rule = DelayRule(CONFIG, batch=8)
    batch = torch.stack([rule.force(script[:, column - 1], column) for column in range(1, 22)], dim=1)
    for case in range(8):
        alone, _, _ = run(script[case, :21])
        assert torch.equal(batch[case], alone[1:22])
