"""Cut a text that is still being written into clauses and sentences that can be spoken already.

A cut is never within a word, a number, an abbreviation or open markup. No character is lost: the parts joined
are the text.
"""
# ruff: noqa: RUF001 (full-width punctuation is the matter here)

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from text.chunking import CLOSING, WIDE, has_words, length_of
from text.english import ends_sentence

Unit = Literal["none", "sentence", "clause"]

# White space must follow these marks (or they might be part of a number or link), but not full-width ones.
# It is looked for once behind several marks, not behind each.
END = re.compile(
    rf"(?:(?<![.!?…।؟۔])[.!?…।؟۔]+{CLOSING}(?=\s)|[。！？]+{CLOSING}|\n+"
    rf"|(?P<clause>(?<![,;:،؛—–])[,;:،؛—–]+{CLOSING}(?=\s)|[，、；：](?=[{WIDE}\s]|$)))\s*"
)
# What an end may begin with while its text is still coming, and a few more.
UNDECIDED = f".!?…।؟۔。！？,;:،؛—–，、；：{CLOSING}"
MAX_WORD = 200  # and as many characters are looked at before a word
LAST_WORD = re.compile(r"(?:^|[\s(\[\"'])([\w.]+)\.$")
# Minimum length of a clause in characters; a single word would be spoken like a whole sentence.
MIN_CLAUSE = 12
# A text without punctuation is cut between words from this length on.
MAX_UNMARKED = 240
# Longer ones aren't measured: they are long enough, whatever tags they have.
MEASURED = 1_000
# Marks that come in pairs; the text is cut only where all are closed.
PAIRED = ("```", "`", "**", "__")
# Characters from the beginning of a bracket, tag or address on in which its end is waited for.
MAX_BRACKET, MAX_TAG, MAX_ADDRESS = 201, 202, 2_002
TAG_BEGINS = re.compile(r"<[/!a-zA-Z|]")


@dataclass(frozen=True)
class Scanned:
    """How far a text was scanned, whether it has words up to there, and which of PAIRED are open."""

    end: int = 0
    words: bool = False
    unpaired: tuple[bool, ...] = (False,) * len(PAIRED)

    def after(self, text: str, start: int, end: int) -> "Scanned":
        """Scan on, to a mark from `start` to `end`."""
        more = text[self.end : start]
        unpaired = (odd != more.count(mark) % 2 for odd, mark in zip(self.unpaired, PAIRED, strict=True))
        return Scanned(end, self.words or has_words(more), tuple(unpaired))


class ClauseCutter:
    """Buffers a text; the methods that return text remove it from the buffer."""

    def __init__(self) -> None:
        self._held = ""
        self._due = 0  # flushed characters
        self._begin()

    def _begin(self) -> None:
        """Forget what was read: the text has another beginning."""
        self._scanned, self._next = Scanned(), 0  # the next mark begins there or later
        self._found: list[tuple[int, str]] = []  # the ends up to there

    def __len__(self) -> int:
        return len(self._held)

    def push(self, text: str) -> None:
        self._held += text

    def clear(self) -> None:
        self._held, self._due = "", 0
        self._begin()

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
        end = next(self._ends(unit), None)
        return self._take(self._between_words() if end is None and unit == "clause" else end)

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
        self._begin()
        return taken

    def _ends(self, unit: Unit) -> Iterator[int]:
        """Yield the positions at which the text may be cut, in order."""
        if unit != "none":
            yield from (end for end, kind in self._marks() if kind in (unit, "sentence"))

    def _marks(self) -> Iterator[tuple[int, str]]:
        """Yield the ends of sentences and clauses; what was scanned before isn't scanned again."""
        yield from self._found
        for found in END.finditer(self._held, self._next):
            scanned = self._scanned.after(self._held, *found.span())
            kind = self._kind(found, scanned)
            mark = [(scanned.end, kind)] if kind else []
            if scanned.end == len(self._held):  # it may go on
                self._next = found.start()
                yield from mark
                return
            self._scanned, self._next = scanned, scanned.end
            self._found += mark
            yield from mark
        self._next = max(self._next, len(self._held.rstrip(UNDECIDED)))

    def _kind(self, found: re.Match[str], scanned: Scanned) -> Unit | None:
        """Return what ends at a mark; None if nothing does."""
        if not scanned.words or not self._closed(scanned):
            return None
        start = found.start()
        if found["clause"] and "\n" not in found[0]:
            long = start >= MEASURED or length_of(self._held[:start].strip()) >= MIN_CLAUSE
            return "clause" if long else None
        word = LAST_WORD.search(self._held, max(start - MAX_WORD, 0), start + 1)
        if word is None or self._ends_in_full_stop(word, self._held[scanned.end : scanned.end + 1]):
            return "sentence"
        return None

    def _ends_in_full_stop(self, word: re.Match[str], following: str) -> bool:
        """Return whether a full stop after a word ends a sentence; not after "Dr", "J" or a list's 3."""
        line = self._held[max(word.start(1) - MAX_WORD, 0) : word.start(1)].rpartition("\n")[2]
        return ends_sentence(word[1], following, first=not line.strip())

    def _between_words(self) -> int | None:
        """Return where a long text without any end may be cut; None if it may not."""
        long = len(self._held) >= MEASURED or length_of(self._held) > MAX_UNMARKED
        space = self._held.rfind(" ", MAX_UNMARKED // 2) if long else -1
        closed = space > 0 and self._closed(Scanned().after(self._held, space, space + 1))
        return space + 1 if closed else None

    def _closed(self, scanned: Scanned) -> bool:
        """Return whether no markup is open."""
        return not any(scanned.unpaired) and not _opened(
            self._held[max(scanned.end - 2 * MAX_ADDRESS, 0) : scanned.end].rstrip()
        )


def _opened(text: str) -> bool:
    """Return whether a bracket, a tag or a link's address is open at the end of a text."""
    bracket, tag, address = (text[-length:] for length in (MAX_BRACKET, MAX_TAG, MAX_ADDRESS))
    return (
        "[" in bracket[max(bracket.rfind("]"), bracket.rfind("\n")) + 1 :]
        or TAG_BEGINS.search(tag, max(tag.rfind(">"), tag.rfind("\n")) + 1) is not None
        or "](" in "".join(address.rsplit(None, 1)[-1:]).rpartition(")")[2]
    )
