"""Words compared as ears compare them."""

# ruff: noqa: RUF001 (the apostrophe is a look-alike)

import pytest

from asr.words import word_error_rate, words_of


def test_case_and_punctuation_are_not_heard() -> None:
    assert words_of("“Don’t!”, she said — it's 5…") == ["don't", "she", "said", "it's", "5"]
    assert words_of("Äpfel, ÉTÉ; 今天") == ["äpfel", "été", "今天"]


@pytest.mark.parametrize(
    ("heard", "rate"),
    [
        ("the cat sat on the mat", 0),
        ("the cat sat on mat", 1 / 6),
        ("the bat sat on the mat", 1 / 6),
        ("the cat sat on the the mat", 1 / 6),
        ("", 1),
        ("no " * 12, 2),
    ],
)
def test_missed_mistaken_and_added_words_count(heard: str, rate: float) -> None:
    assert word_error_rate("The cat sat on the mat.", heard) == pytest.approx(rate)


def test_nothing_said() -> None:
    assert word_error_rate("", "") == 0
