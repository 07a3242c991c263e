"""Word error rate: compare the words of a text with the words recognised."""

# ruff: noqa: RUF001 (the apostrophes are look-alikes)

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

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


def unheard_sentences(said: Sequence[Sequence[str]], heard: Sequence[str]) -> list[int]:
    """Which sentences, as their words, were not spoken as far as a recogniser can tell.

    A word that it took for another was spoken all the same: only where far fewer words are heard than stand
    there were they left out. A sentence is missing when two thirds of it are.
    """
    words = [word for sentence in said for word in sentence]
    owner = [number for number, sentence in enumerate(said) for _ in sentence]
    left_out = [0] * len(said)
    for kind, start, end, from_, to in SequenceMatcher(
        None, words, list(heard), autojunk=False
    ).get_opcodes():
        if kind in ("delete", "replace") and 2 * (to - from_) < end - start:
            for number in owner[start:end]:
                left_out[number] += 1
    return [
        number
        for number, sentence in enumerate(said)
        if sentence and 3 * left_out[number] >= 2 * len(sentence)
    ]
