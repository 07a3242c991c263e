"""The words of a text as it was written, and what of its chunks is spoken for each.

A word is what stands between spaces: "$5.50" is one, so is "don't". Marks at its ends don't belong to it
unless they are spoken, markup has no words, and Chinese and Japanese signs are words of their own.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from text.chunking import WIDE_LETTER, is_spoken
from text.traced import Traced

APART = re.compile(r"[\s—…]")  # what parts two words
SPOKEN = re.compile(r"\S+")


@dataclass(frozen=True)
class SpokenSpan:
    """Characters first to last, inclusive, of the chunk of this number."""

    chunk: int
    first: int
    last: int


@dataclass(frozen=True)
class WrittenWord:
    """A word of the original: its text, and its place there, characters start to end.

    shown: with the marks around it.
    spoken: what of the chunks stands for it, in order. share: the part of that which is its own, from 0 to 1,
    where several words are spoken as one: of "Noo York" for "N Y" the first has 0 to 0.5.
    """

    text: str
    start: int
    end: int
    spoken: tuple[SpokenSpan, ...]
    share: tuple[float, float] = (0.0, 1.0)
    shown: str = ""


@dataclass
class _Run:
    """Characters start to end of the original that belong together, and the letters spoken for them."""

    start: int
    end: int
    letters: list[tuple[int, int]] = field(default_factory=list)


def written_words(original: str, chunks: Sequence[Traced]) -> list[WrittenWord]:
    """The words of a text in their order, by the chunks that are spoken of it."""
    kept = bytearray(len(original))
    for chunk in chunks:
        for start, end in zip(chunk.starts, chunk.ends, strict=True):
            kept[start:end] = b"\1" * (end - start)
    words = [word for run in _runs(original, chunks, kept) for word in _words(original, run, kept)]
    ends = [0, *(word.end for word in words)]
    starts = [*(word.start for word in words[1:]), len(original)]
    return [
        replace(word, shown=_shown(original, kept, end, word, start))
        for end, word, start in zip(ends, words, starts, strict=False)
    ]


def _shown(original: str, kept: bytearray, before: int, word: WrittenWord, after: int) -> str:
    """A word with the marks around it: those that no space parts from it, nor the word before them."""

    def marks(start: int, end: int) -> str:
        return "".join(original[place] for place in range(start, end) if kept[place])

    *_, opening = re.split(r"\s", original[before : word.start]) or [""]
    opening = "" if before and len(opening) == word.start - before else opening
    closing = re.split(r"\s", original[word.end : after])[0]
    return marks(word.start - len(opening), word.start) + word.text + marks(word.end, word.end + len(closing))


def _runs(original: str, chunks: Sequence[Traced], kept: bytearray) -> Iterator[_Run]:
    run: _Run | None = None
    for number, chunk in enumerate(chunks):
        for place, letter in enumerate(str(chunk)):
            start, end = chunk.starts[place], chunk.ends[place]
            if not is_spoken(letter) or start == end:
                continue
            if run is None or not _goes_on(run, start, place, number, chunk, original, kept):
                if run:
                    yield run
                run = _Run(start, end)
            run.start, run.end = min(run.start, start), max(run.end, end)
            run.letters.append((number, place))
    if run:
        yield run


def _goes_on(
    run: _Run, start: int, place: int, number: int, chunk: Traced, original: str, kept: bytearray
) -> bool:
    """Whether a spoken letter, of a character of the original, belongs to the word of the letters before."""
    if start < run.end:
        return True
    between = original[run.end : start]
    if APART.search(between) or WIDE_LETTER.search(original[run.end - 1] + original[start]):
        return False
    if not between or all(kept[run.end : start]):
        return True
    before, last = run.letters[-1]
    return before == number and not APART.search(chunk[last:place])


def _words(original: str, run: _Run, kept: bytearray) -> Iterator[WrittenWord]:
    """The words of a run: one, or several that are spoken as one. Signs at their ends are said with them."""
    while run.start and kept[run.start - 1] and _is_sign(original[run.start - 1]):
        run.start -= 1
    while run.end < len(original) and kept[run.end] and _is_sign(original[run.end]):
        run.end += 1
    found = [
        (run.start + word.start(), run.start + word.end())
        for word in SPOKEN.finditer(original[run.start : run.end])
    ]
    total, before = sum(end - start for start, end in found), 0
    spoken = tuple(_spans(run.letters))
    for start, end in found:
        text = "".join(original[place] for place in range(start, end) if kept[place])
        share = before / total, (before + end - start) / total
        before += end - start
        if text:
            yield WrittenWord(text, start, end, spoken, share)


def _is_sign(character: str) -> bool:
    """Whether a model that reads signs itself says it, as $ and %."""
    return character in "%#@&" or unicodedata.category(character) in ("Sc", "Sm", "So")


def _spans(letters: Sequence[tuple[int, int]]) -> Iterator[SpokenSpan]:
    chunk, first = letters[0]
    last = first
    for number, place in letters[1:]:
        if number != chunk:
            yield SpokenSpan(chunk, first, last)
            chunk, first = number, place
        last = place
    yield SpokenSpan(chunk, first, last)
