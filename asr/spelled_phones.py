"""How an English word that no dictionary has may be said, in ARPAbet: near enough to find it in speech."""

import unicodedata

# Longest first; a letter that stands in none of them is silent.
# fmt: off
GRAPHEMES = {
    "tion": "SH AH N", "sion": "ZH AH N", "ture": "CH ER", "ough": "AO", "augh": "AO", "eigh": "EY",
    "igh": "AY", "tch": "CH", "dge": "JH", "sch": "SH", "eau": "OW", "ing": "IH NG",
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "wh": "W", "gh": "G", "ck": "K", "qu": "K W",
    "ng": "NG",
    "kn": "N", "wr": "R", "zh": "ZH", "ts": "T S", "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW",
    "ow": "OW", "oi": "OY", "oy": "OY", "ai": "EY", "ay": "EY", "ei": "EY", "ey": "IY", "au": "AO",
    "aw": "AO", "oa": "OW", "ie": "IY", "ue": "UW", "ui": "UW", "ew": "UW", "er": "ER", "ir": "ER",
    "ur": "ER", "ar": "AA R", "or": "AO R", "yu": "Y UW",
    **{
        double: double[0].upper()
        for double in ("bb", "dd", "ff", "ll", "mm", "nn", "pp", "rr", "ss", "tt", "zz")
    },
    "gg": "G", "cc": "K", "ce": "S EH", "ci": "S IH", "cy": "S IY", "ge": "JH EH", "gi": "JH IH",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH",
    "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "o": "OW", "p": "P", "q": "K", "r": "R", "s": "S",
    "t": "T", "u": "AH", "v": "V", "w": "W", "x": "K S", "y": "IY", "z": "Z",
}
# fmt: on
MAX_LETTERS = max(map(len, GRAPHEMES))


def phones_of(word: str) -> list[str]:
    """The phones of a word; none where it has no Latin letter."""
    letters = unicodedata.normalize("NFKD", word.lower())
    found: list[str] = []
    at = 0
    while at < len(letters):
        rest = min(MAX_LETTERS, len(letters) - at)
        size = next((n for n in range(rest, 0, -1) if letters[at : at + n] in GRAPHEMES), 0)
        last = at + size == len(letters)
        if size and not (last and letters[at:] == "e" and found):
            found += GRAPHEMES[letters[at : at + size]].split()
        at += size or 1
    return found
