"""The words of a text as written, and the characters of its chunks that are spoken for each.

A word is what spaces separate: "$5.50" and "don't" are one word each. Punctuation around it doesn't belong to
it unless it is spoken. Markup has no words; each Chinese or Japanese character is one. An entity that was
read as its character is that character: the word of "&euro;5" is "€5".
"""

import html
import re
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from text.chunking import WIDE_LETTER, is_spoken
from text.traced import Traced

ENTITY = re.compile(r"&#?\w{1,32};")
APART = re.compile(r"[\s—…]")  # separates two words
LINE_END = re.compile(r"[\r\n]")
SPOKEN = re.compile(r"\S+")


@dataclass(frozen=True)
class SpokenSpan:
    """Characters `first` to `last`, inclusive, of a chunk, by its index."""

    chunk: int
    first: int
    last: int


@dataclass(frozen=True)
class WrittenWord:
    """A word of the original text.

    Attributes:
        text: the word.
        start, end: its characters in the original.
        spoken: the characters of chunks that are spoken for it, in order.
        share: its share of these, from 0 to 1, if several words are spoken as one: of "Noo York" for "N Y",
            the first word has 0 to 0.5.
        shown: the word with the punctuation around it.
        ends_line: whether the next word stands on another line.
    """

    text: str
    start: int
    end: int
    spoken: tuple[SpokenSpan, ...]
    share: tuple[float, float] = (0.0, 1.0)
    shown: str = ""
    ends_line: bool = False


@dataclass
class _Run:
    """Characters `start` to `end` of the original that are spoken together, and their spoken letters."""

    start: int
    end: int
    letters: list[tuple[int, int]] = field(default_factory=list)


def written_words(original: str, chunks: Sequence[Traced]) -> list[WrittenWord]:
    """Return the words of a text, in order, from the chunks that are spoken of it."""
    shown, chunks = _without_entities(original, chunks)
    return [
        replace(word, start=shown.starts[word.start], end=shown.ends[word.end - 1])
        for word in _as_shown(str(shown), chunks)
    ]


def _without_entities(original: str, chunks: Sequence[Traced]) -> tuple[Traced, Sequence[Traced]]:
    """Replace the entities that were read as their characters; the chunks are traced to the result."""
    text = Traced.of(original)
    if not ENTITY.search(text):
        return text, chunks
    # Where something that is spoken begins or ends: within an entity, if its letters were read.
    ends = bytearray(len(text) + 1)
    for chunk in chunks:
        for start, end in zip(chunk.starts, chunk.ends, strict=True):
            if start < end:
                ends[start] = ends[end] = 1

    def shown(found: re.Match[str]) -> str:
        character = html.unescape(found[0])
        read = character not in ("", found[0]) and not any(ends[found.start() + 1 : found.end()])
        return text.become(found.start(), found.end(), character) if read else found[0]

    text = text.sub(ENTITY, shown)
    places = array("i", [len(text)]) * (len(original) + 1)
    for place in reversed(range(len(text))):
        for position in range(text.starts[place], text.ends[place]):
            places[position] = place
    return text, [
        Traced(
            str(chunk), *(array("i", map(places.__getitem__, each)) for each in (chunk.starts, chunk.ends))
        )
        for chunk in chunks
    ]


def _as_shown(original: str, chunks: Sequence[Traced]) -> list[WrittenWord]:
    kept = bytearray(len(original))
    for chunk in chunks:
        for start, end in zip(chunk.starts, chunk.ends, strict=True):
            kept[start:end] = b"\1" * (end - start)
    words = [word for run in _runs(original, chunks, kept) for word in _words(original, run, kept)]
    ends = [0, *(word.end for word in words)]
    starts = [*(word.start for word in words[1:]), len(original)]
    return [
        replace(
            word,
            shown=_shown(original, kept, end, word, start),
            ends_line=LINE_END.search(original, word.end, start) is not None,
        )
        for end, word, start in zip(ends, words, starts, strict=False)
    ]


def _shown(original: str, kept: bytearray, before: int, word: WrittenWord, after: int) -> str:
    """Return a word with the punctuation that adjoins it, unless that belongs to the word before."""

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
    """Return whether a spoken letter belongs to the same word as the letters before it."""
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
    """Yield the words of a run: one, or several spoken as one. Adjoining signs such as $ are included."""
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
    """Return whether a model that reads signs itself speaks a character, such as $ or %."""
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
