"""Words as they are compared: what was to be said with what was heard."""

# ruff: noqa: RUF001 (the apostrophes are look-alikes)

import re
import unicodedata

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; curly apostrophes are straight ones."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    return WORD.findall(plain)


def wrong_words(said: list[str], heard: list[str]) -> int:
    """Words missed, added or mistaken: the edit distance."""
    row = list(range(len(heard) + 1))
    for count, word in enumerate(said, 1):
        above, row = row, [count]
        for column, other in enumerate(heard, 1):
            row.append(min(above[column] + 1, row[-1] + 1, above[column - 1] + (word != other)))
    return row[-1]


def word_error_rate(said: str, heard: str) -> float:
    """Wrong words per word said; 0 where nothing was to be said and nothing was heard."""
    wanted, got = words_of(said), words_of(heard)
    return wrong_words(wanted, got) / max(len(wanted), 1)
