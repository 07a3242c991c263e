"""Cut a text that is still being written into clauses and sentences that can be spoken already.

A cut is never within a word, a number, an abbreviation or open markup. No character is lost: the parts joined
are the text.
"""
# ruff: noqa: RUF001 (full-width punctuation is the matter here)

import re
from collections.abc import Iterator
from typing import Literal

from text.chunking import CLOSING, WIDE, has_words, length_of
from text.english import ends_sentence

Unit = Literal["none", "sentence", "clause"]

# White space must follow these marks (or they might be part of a number or link), but not full-width ones.
SENTENCE_END = re.compile(rf"(?:[.!?…।؟۔]+{CLOSING}(?=\s)|[。！？]+{CLOSING}|\n+)\s*")
CLAUSE_END = re.compile(rf"(?:[,;:،؛—–]+{CLOSING}(?=\s)|[，、；：](?=[{WIDE}\s]|$))\s*")
LAST_WORD = re.compile(r"(?:^|[\s(\[\"'])([\w.]+)\.$")
# Minimum length of a clause in characters; a single word would be spoken like a whole sentence.
MIN_CLAUSE = 12
# A text without punctuation is cut between words from this length on.
MAX_UNMARKED = 240
# Marks that come in pairs; the text is cut only where all are closed.
PAIRED = ("```", "`", "**", "__")
OPEN = re.compile(r"\[[^\]\n]{0,200}$|<[/!a-zA-Z|][^>\n]{0,200}$|\]\([^)\s]{0,2000}$")


class ClauseCutter:
    """Buffers a text; the methods that return text remove it from the buffer."""

    def __init__(self) -> None:
        self._held = ""
        self._due = 0  # flushed characters

    def __len__(self) -> int:
        return len(self._held)

    def push(self, text: str) -> None:
        self._held += text

    def clear(self) -> None:
        self._held, self._due = "", 0

    def flush(self) -> None:
        """Make everything buffered so far available to `due`."""
        self._due = len(self._held)

    def due(self) -> str | None:
        """Return what is left of the text that was buffered at the last flush; None if there is nothing."""
        return self._take(self._due or None)

    def rest(self) -> str | None:
        """Return all that is buffered; None if there is nothing."""
        return self._take(len(self._held) or None)

    def first(self, unit: Unit) -> str | None:
        """Return the text up to the first end of a clause or sentence; None if there is none yet."""
        return self._take(next(self._ends(unit), None))

    def sentences(self, characters: int) -> str | None:
        """Return whole sentences, at least one, up to a number of characters; None if there is none."""
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
        """Yield the positions at which the text may be cut, in order."""
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
        first = not before.rpartition("\n")[2].strip().rstrip(word)
        return ends_sentence(word, following, first=first)

    def _closed(self, end: int) -> bool:
        """Return whether no markup is open at a position."""
        before = self._held[:end].rstrip()
        return all(before.count(mark) % 2 == 0 for mark in PAIRED) and OPEN.search(before) is None
