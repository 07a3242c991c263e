"""The list of written and spoken forms that a reading is measured by, out of the tables beside this file."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

LISTS = Path(__file__).parent
# How a letter may be written by its name, so that "eff bee eye" is "f b i".
LETTER_NAMES = {
    **{"ay": "a", "bee": "b", "see": "c", "cee": "c", "dee": "d", "ee": "e", "eff": "f", "ef": "f"},
    **{"gee": "g", "jee": "g", "aitch": "h", "eye": "i", "jay": "j", "kay": "k", "ell": "l", "el": "l"},
    **{"em": "m", "en": "n", "oh": "o", "pee": "p", "cue": "q", "queue": "q", "ar": "r", "are": "r"},
    **{"ess": "s", "es": "s", "tee": "t", "you": "u", "vee": "v", "double-you": "w", "ex": "x"},
    **{"why": "y", "wye": "y", "zee": "z", "zed": "z"},
}


@dataclass(frozen=True)
class SpokenForm:
    """A written form and all spoken forms of it that are right."""

    kind: str
    written: str
    spoken: tuple[str, ...]

    def allows(self, reading: str) -> bool:
        """Whether a reading is one of the right ones; punctuation, case and "and" make no difference."""
        return compared(reading) in {compared(form) for form in self.spoken}


def spoken_forms(name: str = "spoken_forms.tsv") -> list[SpokenForm]:
    rows = (
        line.split("\t")
        for line in (LISTS / name).read_text("utf-8").splitlines()
        if not line.startswith("#")
    )
    return [
        SpokenForm(kind, written.replace("\\n", "\n"), tuple(spoken.split(" | ")))
        for kind, written, spoken in rows
    ]


def compared(text: str) -> str:
    """A text as it sounds: bare words, letters by name as letters, without "and"."""
    text = unicodedata.normalize("NFKD", text.lower()).replace("double-you", "w").replace("double you", "w")
    text = re.sub(r"[^\w\s']|_", " ", "".join(letter for letter in text if not unicodedata.combining(letter)))
    words = [_letter(word) for word in text.replace("'", "").split() if word != "and"]
    return " ".join(words)


def _letter(word: str) -> str:
    """A letter's name as the letter; several of them, "dees", as "d s"."""
    if word in LETTER_NAMES or not word.endswith("s"):
        return LETTER_NAMES.get(word, word)
    return f"{LETTER_NAMES[word[:-1]]} s" if word[:-1] in LETTER_NAMES else word
