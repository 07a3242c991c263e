"""Word error rate: compare the words of a text with those recognised."""

# ruff: noqa: RUF001 (the apostrophes are look-alikes)

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

from rapidfuzz.distance import Levenshtein

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation and with straight apostrophes."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    return WORD.findall(plain)


def wrong_words(said: list[str], heard: list[str]) -> int:
    """Return the number of deleted, inserted and substituted words (the Levenshtein distance)."""
    return Levenshtein.distance(said, heard)


def word_error_rate(said: str, heard: str) -> float:
    """Return the word error rate of the transcript `heard` against the text `said`; 0 if both are empty."""
    wanted, got = words_of(said), words_of(heard)
    return wrong_words(wanted, got) / max(len(wanted), 1)


def unheard_sentences(said: Sequence[Sequence[str]], heard: Sequence[str]) -> list[int]:
    """Return the indices of sentences that, as far as a recogniser can tell, were not spoken.

    A misrecognised word was spoken: words count as missing only where far fewer are heard than written. A
    sentence is missing if two thirds of its words are.

    Args:
        said: the words of each sentence.
        heard: the recognised words.
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
