# ruff: noqa: RUF001, RUF002 (letters of the phonetic alphabet look like others)
"""Pronunciation dictionaries: how to say certain words of a text, {"Nguyen": "win"}.

An entry matches whole words, in any case unless it has capitals, and not within links, tags or markup. Its
pronunciation is a respelling or, for models that read phones, IPA between slashes ("/wɪn/") or ARPAbet in
braces ("{W IH1 N}").
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from errors import InvalidRequest, StartError, quoted
from text.chunking import has_words
from text.english import TAG
from text.links import LINK
from text.traced import Traced

MAX_ENTRIES, MAX_WORD, MAX_SPOKEN = 500, 60, 120
PHONETIC = re.compile(r"/[^/]+/|\{[^{}]+\}")
MARKS = re.compile(r"[<>\[\]{}|/\\]|[^\S ]")
FIRST, SPACES = re.compile(r"\w+"), re.compile(r"\s{1,9}")
# What makes digits a part of a number or an amount: $5, 2.5 and -5; 5.5, 5% and 5-10.
NUMBER_BEGAN = re.compile(r"(?:\d[.,:]|[^\s(\[{\"'“‘—…,;:!?])$")
NUMBER_GOES_ON = re.compile(r"[.,:/–−-]\d|\s?[%°$€£¥₹]")
UNTOUCHED = re.compile(f"{TAG.pattern}|{LINK.pattern}|<[^<>]*>")

Entries = Mapping[str, str]
Dictionaries = tuple[tuple[Entries, ...], ...]  # for each voice, those that override others first


def checked(entries: Entries) -> dict[str, str]:
    """Validate a dictionary and normalise its white space and Unicode.

    Raises:
        InvalidRequest: invalid_pronunciation; names the entry.
    """
    if len(entries) > MAX_ENTRIES:
        raise _invalid(f"There are {len(entries)} pronunciations; at most {MAX_ENTRIES} are taken.")
    found = {}
    for word, spoken in entries.items():
        name, said = (" ".join(unicodedata.normalize("NFC", text).split()) for text in (word, spoken))
        if not name or not name[0].isalnum() or MARKS.search(name):
            raise _invalid(f"{quoted(word)} is no word to pronounce; it begins with a letter or a digit.")
        if len(name) > MAX_WORD or len(said) > MAX_SPOKEN:
            limits = f"a word has at most {MAX_WORD} characters, its pronunciation {MAX_SPOKEN}"
            raise _invalid(f"The entry {quoted(word)} is too long: {limits}.")
        if not has_words(said) or (MARKS.search(said) and not PHONETIC.fullmatch(said)):
            message = f"{quoted(word)} can't be pronounced {quoted(spoken)}; respell it in words,"
            raise _invalid(f'{message} or write IPA as "/wɪn/", ARPAbet as "{{W IH1 N}}".')
        found[name] = said
    return found


@dataclass(frozen=True)
class Entry:
    """A word and its pronunciation. exact: matches this case only."""

    word: str
    spoken: str
    exact: bool

    def end(self, text: str, place: int) -> int:
        """Return where the whole word ends that starts at a position of a text; 0 if another one does."""
        end = place
        for part in self.word.split(" "):
            spaces = SPACES.match(text, end) if end > place else None
            start = spaces.end() if spaces else end
            end = start + len(part)
            written = text[start:end]
            same = written == part if self.exact else written.casefold() == part.casefold()
            if not same or (start > place and not spaces):
                return 0
        return end if self._is_whole(text, place, end) else 0

    def _is_whole(self, text: str, place: int, end: int) -> bool:
        if self.word[0].isdecimal() and NUMBER_BEGAN.search(text, max(place - 2, 0), place):
            return False
        if self.word[-1].isdecimal() and NUMBER_GOES_ON.match(text, end):
            return False
        return not (self.word[-1].isalnum() and text[end : end + 1].isalnum())


class Lexicon:
    """Several dictionaries; earlier ones have precedence, within one the longer words."""

    def __init__(self, *dictionaries: Entries, phones: Callable[[str], str] = str) -> None:
        """phones: returns what the model's text has for a phonetic pronunciation."""
        self._entries: dict[str, list[Entry]] = {}
        for entries in dictionaries:
            for word in sorted(entries, key=len, reverse=True):
                said = phones(entries[word]) if PHONETIC.fullmatch(entries[word]) else entries[word]
                exact = any(letter.isupper() for letter in word)
                for form in {word, unicodedata.normalize("NFD", word)}:
                    first = FIRST.match(form)
                    key = first[0].casefold() if first else ""
                    self._entries.setdefault(key, []).append(Entry(form, said, exact))

    def applied(self, text: Traced) -> Traced:
        """Return the text with the words replaced by their pronunciations."""
        if not self._entries:
            return text
        said: list[str] = []
        for part, untouched in text.parts(UNTOUCHED):
            said.append(self._said(part))
            said.append(text[untouched.start() : untouched.end()] if untouched else "")
        return Traced.joined(said)

    def _said(self, text: Traced) -> Traced:
        pieces: list[str] = []
        end = 0
        for found in FIRST.finditer(text):
            entries = self._entries.get(found[0].casefold(), ()) if found.start() >= end else ()
            ends = ((each, each.end(text, found.start())) for each in entries)
            entry, last = next((each for each in ends if each[1]), (None, 0))
            if entry is not None:
                pieces += [text[end : found.start()], text.become(found.start(), last, entry.spoken)]
                end = last
        return Traced.joined([*pieces, text[end:]])


AS_WRITTEN = Lexicon()


def of_file(path: Path | None) -> dict[str, str]:
    """Read a dictionary from a JSON file; empty without a file.

    Raises:
        StartError: it can't be read, or an entry is invalid.
    """
    if path is None:
        return {}
    try:
        entries = json.loads(path.expanduser().read_text("utf-8"))
        if not isinstance(entries, dict) or not all(isinstance(said, str) for said in entries.values()):
            raise ValueError('it holds no object of texts, as {"Nguyen": "win"}')
        return checked(entries)
    except (OSError, ValueError, InvalidRequest) as error:
        raise StartError(f"HIGGS_PRONUNCIATIONS {path} can't be used: {error}") from error


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_pronunciation")
