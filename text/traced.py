"""A string that remembers which characters of the original text each of its characters stands for.

The rules of the normaliser change a text step by step and keep this trace, so that the times of spoken words
become times of written ones.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import SupportsIndex

from text.correspondence import words_for

Spoken = str | Callable[[re.Match[str]], str]


class Traced(str):
    """A string whose character i stands for the original's characters `starts[i]` to `ends[i]`, exclusive.

    A character that stands for none, such as an added full stop, has equal start and end.
    """

    starts: "array[int]"
    ends: "array[int]"

    def __new__(cls, text: str, starts: "array[int]", ends: "array[int]") -> "Traced":
        traced = super().__new__(cls, text)
        traced.starts, traced.ends = starts, ends
        return traced

    @classmethod
    def of(cls, text: str) -> "Traced":
        """Return a text as its own original; a text that is traced already is returned as it is."""
        if isinstance(text, Traced):
            return text
        return cls(text, array("i", range(len(text))), array("i", range(1, len(text) + 1)))

    @classmethod
    def joined(cls, parts: Iterable[str], separator: str = "") -> "Traced":
        """Join parts. Separators, and parts that aren't traced, stand for nothing."""
        texts: list[str] = []
        starts, ends = array("i"), array("i")
        for number, part in enumerate(parts):
            for piece in (separator, part) if number and separator else (part,):
                texts.append(piece)
                traced = isinstance(piece, Traced)
                nothing = None if traced else array("i", [ends[-1] if ends else 0]) * len(piece)
                starts += piece.starts if isinstance(piece, Traced) else nothing or array("i")
                ends += piece.ends if isinstance(piece, Traced) else nothing or array("i")
        return cls("".join(texts), starts, ends)

    def __getitem__(self, where: SupportsIndex | slice) -> "Traced":
        if not isinstance(where, slice):
            place = where.__index__() % (len(self) or 1)
            where = slice(place, place + 1)
        return Traced(super().__getitem__(where), self.starts[where], self.ends[where])

    def __add__(self, other: str) -> "Traced":
        return Traced.joined((self, other))

    def __radd__(self, other: str) -> "Traced":
        return Traced.joined((other, self))

    def lstrip(self, characters: str | None = None, /) -> "Traced":
        return self[len(self) - len(super().lstrip(characters)) :]

    def rstrip(self, characters: str | None = None, /) -> "Traced":
        return self[: len(super().rstrip(characters))]

    def strip(self, characters: str | None = None, /) -> "Traced":
        return self.rstrip(characters).lstrip(characters)

    def removeprefix(self, prefix: str, /) -> "Traced":
        return self[len(prefix) :] if self.startswith(prefix) else self

    def parts(self, pattern: re.Pattern[str]) -> Iterator[tuple["Traced", re.Match[str] | None]]:
        """Yield what precedes each match of a pattern, with the match; last, the rest with None."""
        end = 0
        for found in pattern.finditer(self):
            yield self[end : found.start()], found
            end = found.end()
        yield self[end:], None

    def sub(self, pattern: re.Pattern[str], spoken: Spoken, *, silent: bool = False) -> "Traced":
        """Like re.sub: each replacement is traced to its match, word by word where words correspond.

        Args:
            pattern: what to replace.
            spoken: the replacement, or a function of the match. A traced one, made of slices of
                `found.string`, keeps its trace.
            silent: the match is markup: its replacement stands for nothing.
        """
        pieces: list[str] = []
        for before, found in self.parts(pattern):
            pieces.append(before)
            if found is not None:
                said = spoken if isinstance(spoken, str) else spoken(found)
                traced = isinstance(said, Traced) or silent
                pieces.append(said if traced else self._spoken(found.start(), found.end(), said))
        return Traced.joined(pieces) if len(pieces) > 1 else self

    def become(self, start: int, end: int, said: str) -> "Traced":
        """Return `said`, traced as a whole to the characters from start to end."""
        starts, ends = (array("i", [place]) * len(said) for place in (self.starts[start], self.ends[end - 1]))
        return Traced(said, starts, ends)

    def translated(self, table: Mapping[int, str | int | None]) -> "Traced":
        """Like str.translate, by a table of single characters."""
        if str.translate(self, table) == self:
            return self
        return self.mapped(lambda letter: letter.translate(table) if ord(letter) in table else letter)

    def mapped(self, letter: Callable[[str], str]) -> "Traced":
        """Replace each character by the text that a function returns for it."""
        said = [letter(each) for each in str(self)]
        if all(map(str.__eq__, said, self)):
            return self
        starts, ends = array("i"), array("i")
        for text, start, end in zip(said, self.starts, self.ends, strict=True):
            starts.extend([start] * len(text))
            ends.extend([end] * len(text))
        return Traced("".join(said), starts, ends)

    def _spoken(self, start: int, end: int, said: str) -> "Traced":
        """Return `said`, traced to the characters it replaces: one by one if part of them, else by words."""
        written = str.__getitem__(self, slice(start, end))
        words = bool(said) and not said.isspace()
        at = written.find(said) if words else -1
        if at >= 0:
            return self[start + at : start + at + len(said)]
        head = _alike(written, said) if words else 0
        tail = _alike(written[head:][::-1], said[head:][::-1]) if words else 0
        middle = slice(head, len(written) - tail)
        starts, ends = array("i"), array("i")
        here = self.ends[start + head - 1] if start + head else 0
        for length, first, last in words_for(written[middle], said[head : len(said) - tail]):
            whole = first < last
            begin, stop = start + head + first, start + head + last - 1
            starts.extend([self.starts[begin] if whole else here] * length)
            ends.extend([self.ends[stop] if whole else here] * length)
        new = Traced(said[head : len(said) - tail], starts, ends)
        return Traced.joined((self[start : start + head], new, self[end - tail : end]))


def _alike(one: str, other: str) -> int:
    """Return the length of the common prefix of two texts, in whole words."""
    words = 0
    for count, (a, b) in enumerate(zip(f"{one} ", f"{other} ", strict=False), 1):
        if a != b:
            break
        words = count if a.isspace() else words
    return min(words, len(one), len(other))
