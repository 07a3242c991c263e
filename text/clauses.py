"""Text that is still being written → the clauses and sentences that can be spoken already.

A cut never falls into a word, a number, an abbreviation, or markup that isn't closed yet, and no character is
lost: the parts joined are the text.
"""
# ruff: noqa: RUF001 (full-width punctuation is the matter here)

import re
from collections.abc import Iterator
from typing import Literal

from text.chunking import CLOSING, WIDE, has_words, length_of
from text.english import ABBREVIATIONS, ENDING

Unit = Literal["none", "sentence", "clause"]

# Behind these marks comes white space, which shows that the mark was not part of a number or a link. Wide
# letters are written without.
SENTENCE_END = re.compile(rf"(?:[.!?…।؟۔]+{CLOSING}(?=\s)|[。！？]+{CLOSING}|\n+)\s*")
CLAUSE_END = re.compile(rf"(?:[,;:،؛—–]+{CLOSING}(?=\s)|[，、；：](?=[{WIDE}\s]|$))\s*")
LAST_WORD = re.compile(r"(?:^|[\s(\[\"'])([\w.]+)\.$")
NOT_BEHIND = frozenset(word.lower() for word in ABBREVIATIONS)
ONLY_BEFORE_CAPITALS = frozenset(word.lower() for word in ENDING)
# A clause is spoken alone from so many characters on; what is shorter waits for more, since a word alone is
# spoken as if it were all.
MIN_CLAUSE = 12
# A text without any mark is cut between words once it is so long.
MAX_UNMARKED = 240
# Marks that come in pairs; a text may be cut where all are closed.
PAIRED = ("```", "`", "**", "__")
OPEN = re.compile(r"\[[^\]\n]{0,200}$|<[/!a-zA-Z|][^>\n]{0,200}$|\]\([^)\s]{0,2000}$")


class ClauseCutter:
    """Holds the text that has come and was not taken yet."""

    def __init__(self) -> None:
        self._held = ""
        self._due = 0  # characters that are to be spoken, whatever comes behind them

    def __len__(self) -> int:
        return len(self._held)

    def push(self, text: str) -> None:
        self._held += text

    def clear(self) -> None:
        self._held, self._due = "", 0

    def flush(self) -> None:
        """Let all that is held by now be taken by `due`."""
        self._due = len(self._held)

    def due(self) -> str | None:
        """Take what is left of the text that was held at the last flush; None where nothing is."""
        return self._take(self._due or None)

    def rest(self) -> str | None:
        """Take all that is held; None where nothing is."""
        return self._take(len(self._held) or None)

    def first(self, unit: Unit) -> str | None:
        """Take up to the first end of a clause or a sentence; None where none has come yet."""
        return self._take(next(self._ends(unit), None))

    def sentences(self, characters: int) -> str | None:
        """Take as many whole sentences as have come, up to so many characters, but at least one."""
        cut = None
        for end in self._ends("sentence"):
            if cut is not None and length_of(self._held[:end]) > characters:
                break
            cut = end
        return self._take(cut)

    def _take(self, end: int | None) -> str | None:
        if end is None:
            return None
        taken, self._held = self._held[:end], self._held[end:]
        self._due = max(self._due - end, 0)
        return taken

    def _ends(self, unit: Unit) -> Iterator[int]:
        """Where the text may be cut, in order."""
        if unit == "none":
            return
        marks = sorted(
            (found.end(), found.start(), kind)
            for kind, pattern in (("sentence", SENTENCE_END), ("clause", CLAUSE_END))
            for found in pattern.finditer(self._held)
            if kind == unit or kind == "sentence"
        )
        last = 0
        for end, start, kind in marks:
            if self._may_end(start, end, kind):
                last = end
                yield end
        if unit == "clause" and length_of(self._held[last:]) > MAX_UNMARKED:
            space = self._held.rfind(" ", last + MAX_UNMARKED // 2)
            if space > 0 and self._closed(space + 1):
                yield space + 1

    def _may_end(self, start: int, end: int, kind: str) -> bool:
        before, mark = self._held[:start], self._held[start]
        if not has_words(before) or not self._closed(end):
            return False
        if kind == "clause":
            return length_of(before.strip()) >= MIN_CLAUSE
        if mark != "." or (word := LAST_WORD.search(before + ".")) is None:
            return True
        return self._ends_in_full_stop(word[1], before, self._held[end : end + 1])

    def _ends_in_full_stop(self, word: str, before: str, following: str) -> bool:
        """Whether the full stop behind a word ends a sentence: not behind "Dr", "J", or the 3 of a list."""
        name = word.lower()
        listed = name.isdecimal() and not before.rpartition("\n")[2].strip().rstrip(name)
        if name in NOT_BEHIND or listed or (len(name) == 1 and name.isalpha() and name != "i"):
            return False
        return name not in ONLY_BEFORE_CAPITALS or following.isupper()

    def _closed(self, end: int) -> bool:
        """Whether no markup is open at a place."""
        before = self._held[:end].rstrip()
        return all(before.count(mark) % 2 == 0 for mark in PAIRED) and OPEN.search(before) is None
