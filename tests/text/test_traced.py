"""Texts that know where they come from: they are the strings they would be, and keep their places."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from text.correspondence import matched
from text.traced import Traced

PATTERNS = st.sampled_from([r"\w+", r"\d", r"(?<=\w)(?=\d)", r"\s+", r"a|b", r"x?"])
SPOKEN = st.sampled_from(["", "one two", " ", "b"])


@given(st.text("ab 1,x\n"), PATTERNS, SPOKEN, st.booleans())
def test_rules_change_a_text_as_they_would_a_string(
    text: str, pattern: str, spoken: str, silent: bool
) -> None:
    traced = Traced.of(text).sub(re.compile(pattern), spoken, silent=silent)
    assert traced == re.sub(pattern, spoken.replace("\\", "\\\\"), text)
    assert len(traced.starts) == len(traced.ends) == len(traced)
    assert all(0 <= a <= b <= len(text) for a, b in zip(traced.starts, traced.ends, strict=True))
    assert list(traced.starts) == sorted(traced.starts)


@given(st.text("ab \n"), st.integers(-9, 9), st.integers(-9, 9))
def test_slices_and_sums_are_those_of_strings(text: str, start: int, end: int) -> None:
    traced = Traced.of(text)
    assert traced[start:end] == text[start:end] and traced.strip() == text.strip()
    whole = "<" + traced[:2] + traced[2:] + ">"
    assert isinstance(whole, Traced) and whole == f"<{text}>"
    assert list(whole.starts[1:-1]) == list(traced.starts)
    assert whole.starts[-1] == whole.ends[-1]


@pytest.mark.parametrize(
    ("written", "said", "expected"),
    [
        ("10 km", "ten kilometers", [(0, 0), (1, 1)]),
        ("$5 million", "five million dollars", [(0, 0), (1, 1), (1, 1)]),
        ("Henry VIII", "Henry the eighth", [(0, 0), (1, 1), (1, 1)]),
        ("25 Dec", "the twenty-fifth of December", [(0, 0), (0, 0), (0, 0), (1, 1)]),
        ("World Wide Web", "web", [(0, 2)]),
    ],
)
def test_spoken_words_stand_for_written_ones(
    written: str, said: str, expected: list[tuple[int, int]]
) -> None:
    assert matched(written.split(), said.split()) == expected
