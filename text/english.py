"""Written English → the words that a reader says: links, abbreviations, signs and numbers."""

import re

from text.numbers import numbers_as_words

# With the full stop that belongs to them; those in ENDING may stand at the end of a sentence.
ABBREVIATIONS = {
    **{"Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Rev": "Reverend"},
    **{"Gen": "General", "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant", "Gov": "Governor"},
    **{"vs": "versus", "approx": "approximately", "e.g": "for example", "i.e": "that is"},
    **{"E.g": "For example", "I.e": "That is"},
    **{"Fig": "Figure", "fig": "figure", "Vol": "Volume", "vol": "volume", "Ave": "Avenue", "Rd": "Road"},
}
ENDING = {
    **{"etc": "et cetera", "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited"},
    **{"Corp": "Corporation", "Co": "Company", "Dept": "Department", "dept": "department"},
}
ABBREVIATION = re.compile(rf"\b({'|'.join(map(re.escape, ABBREVIATIONS))})\.")
# It keeps its full stop where a new sentence or nothing follows.
ENDING_ONE = re.compile(rf"\b({'|'.join(ENDING)})\.(?P<end>(?=\s*$|\s+[A-Z]))?")
TITLE = re.compile(r"\b(Mr|Mrs|Ms|Dr|Prof)(?=\s[A-Z])")
# U.S. is no end of a sentence, but at the end of the text.
INITIALS = re.compile(r"\b((?:[A-Z]\.)+[A-Z])\.(?P<end>(?=\s*$))?")
SAINT, STREET = re.compile(r"\bSt\.?(?=\s[A-Z])"), re.compile(r"(?<=[a-z]\s)St\b\.?")
NUMBER = re.compile(r"\b[Nn]os?\.\s?(?=\d)")

LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]']"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|\b(?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|io|ai|dev|app)\b(?:/[\w./-]*\w)?"
)
LINK_SIGNS = {".": " dot ", "/": " slash ", "@": " at ", "-": " dash ", "_": " underscore ", "+": " plus "}
SIGNS = {"&": " and ", "@": " at ", "+": " plus ", "=": " equals ", "™": "", "®": ""}
# These are the model's own, not words of the text.
TAG = re.compile(r"(\[SPEAKER\d+\]|</?SE[^>]*>)")


def english_words(text: str) -> str:
    """Everything in a text as English words; the tags of speakers and sounds stay."""
    parts = TAG.split(text)
    return "".join(part if TAG.fullmatch(part) else _words(part) for part in parts)


def _words(text: str) -> str:
    text = LINK.sub(lambda found: _link(found[0]), text)
    text = STREET.sub("Street", SAINT.sub("Saint", NUMBER.sub("number ", text)))
    text = ABBREVIATION.sub(lambda found: ABBREVIATIONS[found[1]], text)
    text = TITLE.sub(lambda found: ABBREVIATIONS[found[1]], text)
    text = ENDING_ONE.sub(lambda found: ENDING[found[1]] + _full_stop(found), text)
    text = INITIALS.sub(lambda found: found[1].replace(".", " ") + _full_stop(found), text)
    text = numbers_as_words(text)
    for sign, spoken in SIGNS.items():
        text = text.replace(sign, spoken)
    return text


def _link(link: str) -> str:
    """An address as one would dictate it, without what no one dictates: its scheme and its query."""
    address = re.split(r"[?#]", re.sub(r"^(?:https?://)?(?:www\.)?", "", link))[0].rstrip("/")
    return "".join(LINK_SIGNS.get(letter, letter) for letter in address)


def _full_stop(found: re.Match[str]) -> str:
    return "" if found["end"] is None else "."
