"""Word error rate: compare the words of a text with the words recognised."""

# ruff: noqa: RUF001 (the apostrophes are look-alikes)

import re
import unicodedata

from rapidfuzz.distance import Levenshtein

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; curly apostrophes are straight ones."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    return WORD.findall(plain)


def wrong_words(said: list[str], heard: list[str]) -> int:
    """Words deleted, inserted or substituted: the Levenshtein distance."""
    return Levenshtein.distance(said, heard)


def word_error_rate(said: str, heard: str) -> float:
    """Word error rate of a transcript `heard` against the text `said`; 0 where both are empty."""
    wanted, got = words_of(said), words_of(heard)
    return wrong_words(wanted, got) / max(len(wanted), 1)
