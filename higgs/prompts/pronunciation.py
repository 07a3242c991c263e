# ruff: noqa: RUF001 (letters of the phonetic alphabet look like others)
"""English words → phones, for models that read phones; the table is in the model's folder.

A phone is a character of Kokoro's alphabet; a vowel and its stress form one symbol. In a prompt, a symbol is
a character of Unicode's private use area, so that letters keep their meaning: words that are not in the
table, or have several pronunciations ("read"), remain spelled.
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from errors import StartError

STRESSES = ("", "ˌ", "ˈ")
VOWELS = "AIOWYiuæɐɑɔəɜɛɪʊʌᵊᵻ"
CONSONANTS = "bdfhjklmnpstvwzðŋɡɹʃʒʤʧθT"
PAUSES = ("pad", ",", ".", "?", "!", ";")
# Other front ends' characters for the same or a similar sound.
SAME_PHONE = {
    "Q": "O",
    "a": "æ",
    "e": "ɛ",
    "o": "ɔ",
    "ɒ": "ɑ",
    "ɚ": "ə",
    "ɨ": "ɪ",
    "r": "ɹ",
    "ɾ": "T",
    "ʔ": "t",
    "x": "k",
    "c": "k",
    "q": "k",
    "ç": "h",
    "ɲ": "n",
    "β": "v",
    "ɫ": "l",
    "y": "u",
    "ø": "ɜ",
    "œ": "ɜ",
}
SYMBOLS = (*PAUSES, *CONSONANTS, *(stress + vowel for vowel in VOWELS for stress in STRESSES))
NUMBER = {symbol: number for number, symbol in enumerate(SYMBOLS)}
FIRST_CHARACTER = 0xE000
WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)*")
TABLE_FILE = "pronunciations.json.gz"


def character(symbol: str) -> str:
    """Return the character that represents a symbol in a prompt."""
    return chr(FIRST_CHARACTER + NUMBER[symbol])


def symbols_of(phones: str) -> list[str]:
    """Split phones into symbols, joining stresses with their vowels; unknown phones are dropped."""
    found, stress = [], ""
    for phone in phones:
        if phone in STRESSES:
            stress = phone
            continue
        phone = SAME_PHONE.get(phone, phone)
        if phone in VOWELS:
            found.append(stress + phone)
            stress = ""
        elif phone in CONSONANTS:
            found.append(phone)
    return found


@dataclass(frozen=True)
class Spelled:
    """Characters start..stop of a text and their form in the prompt; `pronounced` if that form is symbols."""

    start: int
    stop: int
    text: str
    pronounced: bool


class Pronunciations:
    """A table from lower-case words to phones."""

    def __init__(self, phones: dict[str, str]) -> None:
        self._texts = {word: "".join(map(character, symbols_of(said))) for word, said in phones.items()}

    @classmethod
    def load(cls, folder: Path) -> "Pronunciations | None":
        """Load the table of a model's folder; None if it has none. Raises StartError if it is unreadable."""
        path = folder / TABLE_FILE
        if not path.exists():
            return None
        try:
            return cls(json.loads(gzip.decompress(path.read_bytes())))
        except (OSError, ValueError) as error:
            raise StartError(f"Can't read {path}: {error}. Download the model's folder again.") from error

    def __contains__(self, word: str) -> bool:
        return bool(self._texts.get(word.lower().replace("’", "'")))

    def parts(self, text: str) -> Iterator[Spelled]:
        """Yield the words of a text and what is between them, in order."""
        at = 0
        for match in WORD.finditer(text):
            if match.start() > at:
                yield Spelled(at, match.start(), text[at : match.start()], False)
            said = self._texts.get(match[0].lower().replace("’", "'"), "")
            yield Spelled(match.start(), match.end(), said or match[0], bool(said))
            at = match.end()
        if at < len(text):
            yield Spelled(at, len(text), text[at:], False)

    def __call__(self, text: str) -> str:
        """Return the text with known words replaced by their symbols."""
        return "".join(part.text for part in self.parts(text))
