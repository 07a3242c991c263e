"""Split text at sentences, in any script, into chunks that a model speaks well at once."""
# ruff: noqa: RUF001 (full-width punctuation is the matter here)

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from text.traced import Traced

WIDE = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # letters that are written without spaces
WIDE_LETTER = re.compile(f"[{WIDE}\\uac00-\\ud7af]")
WIDE_LETTERS_WORTH = 3  # a Chinese or Japanese letter is a syllable or two, spoken as long as three of these
CLOSING = r"""["')\]}”’»」』）】]*"""
ENDS = ".!?…।॥؟۔"
SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")
# Looked for at the first of several marks, or at the second where a sentence begins with them.
SENTENCE = re.compile(
    rf".+?(?:(?<![{ENDS}]{{2}})[{ENDS}]+{CLOSING}(?=\s|$)|[。！？]+{CLOSING}|(?<=[{WIDE}])[.!?]+{CLOSING}(?=[{WIDE}])|\n|$)\s*",
    re.DOTALL,
)
BREATH = re.compile(rf"[,;:，、；：](?=\s|[{WIDE}])|[，、；：]")
TAG = re.compile(r"<\|[^|>]*\|>")
SPEAKER = re.compile(r"\[SPEAKER(\d{1,3})\]")


@dataclass(frozen=True)
class Chunking:
    """How much text a model speaks well at once.

    Attributes:
        characters: maximum length of a chunk; a Chinese, Japanese or Korean character counts as three.
        sentences: maximum sentences in a chunk; None for any number.
    """

    characters: int
    sentences: int | None = None


def length_of(text: str) -> int:
    """Return the number of spoken characters: Chinese, Japanese, Korean ones count as three, tags as none."""
    text = TAG.sub("", text)
    return len(text) + (WIDE_LETTERS_WORTH - 1) * len(WIDE_LETTER.findall(text))


def chunks(text: str, chunking: Chunking) -> list[Traced]:
    """Split a text into chunks, in order.

    Splits are before a [SPEAKERn], else after sentences; within longer sentences after a comma or similar,
    else between words; only longer words are split themselves. The chunks have all words of the text, and the
    line breaks between its sentences. If a speaker's turn is split, each of its chunks starts with the
    speaker's tag.
    """
    found: list[Traced] = []
    for turn in _turns(Traced.of(text)):
        if found and chunking.sentences is None and length_of(f"{found[-1]}\n{turn}") <= chunking.characters:
            found[-1] += turn
        else:
            found += _within_turn(turn, chunking)
    stripped = (chunk.strip() for chunk in found)
    return [chunk for chunk in stripped if has_words(SPEAKER.sub("", chunk))]


def _turns(text: Traced) -> list[Traced]:
    """Split before each [SPEAKERn]."""
    starts = [0, *(found.start() for found in SPEAKER.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(starts) if text[start:end].strip()]


def _within_turn(turn: Traced, chunking: Chunking) -> Iterator[Traced]:
    """Split the text of one speaker."""
    tag = found[0] + " " if (found := SPEAKER.match(turn)) else ""
    room = Chunking(max(chunking.characters - len(tag), 1), chunking.sentences)
    for number, chunk in enumerate(
        _packed(turn.removeprefix(tag.strip()), room) if tag else _packed(turn, room)
    ):
        yield tag + chunk.lstrip() if number or tag else chunk


def _packed(text: Traced, chunking: Chunking) -> Iterator[Traced]:
    """Join as many sentences as fit a chunk."""
    held, sentences = text[:0], 0
    for part, ends in _parts(text, chunking.characters):
        full = chunking.sentences is not None and sentences >= chunking.sentences
        if held and (full or length_of(held + part.rstrip()) > chunking.characters):
            yield held
            held, sentences = text[:0], 0
        held += part
        sentences += ends and has_words(held)
    yield held


def _parts(text: Traced, longest: int) -> Iterator[tuple[Traced, bool]]:
    """Return sentences, or parts of too long ones, each with whether it ends a sentence."""
    for found in SENTENCE.finditer(text):
        *parts, last = _within(text[found.start() : found.end()], longest)
        yield from ((part, False) for part in parts)
        yield last, True


def _within(sentence: Traced, longest: int) -> Iterator[Traced]:
    """Split a sentence into parts of at most `longest` characters, each at its last good place."""
    plain = str(sentence)
    start, end, left = len(plain) - len(plain.lstrip()), 0, length_of(plain.strip())
    while left > longest:
        head = _head(plain[start : start + longest + 2], longest)
        cut = max((match.end() for match in BREATH.finditer(head)), default=0) or head.rfind(" ")
        cut = cut if cut > 0 else min(len(head), max(longest, 1))
        end = start + cut
        yield sentence[start:end].strip() + " "
        left += _torn(plain, start, end) - length_of(head[:cut])
        start = end
        while plain[start : start + 1].isspace():
            start, left = start + 1, left - 1
    yield sentence[end:]


def _torn(text: str, start: int, end: int) -> int:
    """Return the length of a tag that a cut at `end` tears: it is a tag no longer, and counts."""
    tag = TAG.match(text, begins) if (begins := text.rfind("<|", start, end + 1)) >= 0 else None
    return sum(map(length_of, tag[0])) if tag and tag.end() > end else 0


def _head(text: str, longest: int) -> str:
    """As much of a text as fits, and one character more, which may be the space behind it."""
    length = 0
    for count, letter in enumerate(text):
        length += length_of(letter)
        if length > longest:
            return text[: max(count, 1) + (letter == " ")]
    return text


def has_words(text: str) -> bool:
    return any(map(is_spoken, text))


def is_spoken(character: str) -> bool:
    """Whether a character is said: a letter, a digit, or a phone, which is in Unicode's private use area."""
    return character.isalnum() or "\ue000" <= character <= "\uf8ff"


def spoken_length(text: str) -> int:
    """The number of characters that are said."""
    return sum(map(is_spoken, text))
