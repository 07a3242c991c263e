# ruff: noqa: RUF001, RUF002 (letters of the phonetic alphabet look like others)
"""Phones → an English spelling, for models that read letters: what stands for "/ɹɪsˈit/" in their text.

Syllable by syllable, as English spells what it hears: a short vowel has a consonant behind it, doubled before
another vowel ("drommah"), a long one letters of its own. Of several spellings of a sound each is the one that
the bundled model reads best by its own account, its codebook 0 (bench/LOG.md).
"""

from dataclasses import dataclass
from itertools import pairwise

from higgs.prompts.pronunciation import STRESSES, VOWELS

LETTERS = {
    "ð": "th",
    "ŋ": "ng",
    "ɡ": "g",
    "ɹ": "r",
    "ʃ": "sh",
    "ʒ": "zh",
    "ʤ": "j",
    "ʧ": "ch",
    "θ": "th",
    "T": "t",
    "j": "y",
    **{letter: letter for letter in "bdfhklmnpstvwz"},
}
DOUBLED = {"k": "ck", "ð": "tth", "θ": "tth", **{phone: 2 * LETTERS[phone] for phone in "bdfɡlmnpstTz"}}
SHORT, SCHWAS = "æɛɪʌɑ", "əᵊ"
# A vowel before a consonant of its syllable, before another syllable, and at the end of the word.
CLOSED = {
    "A": "ai",
    "I": "igh",
    "O": "oa",
    "W": "ow",
    "Y": "oi",
    "i": "ee",
    "u": "oo",
    "æ": "a",
    "ɐ": "u",
    "ɑ": "o",
    "ɔ": "aw",
    "ə": "e",
    "ɜ": "er",
    "ɛ": "e",
    "ɪ": "i",
    "ʊ": "oo",
    "ʌ": "u",
    "ᵊ": "e",
    "ᵻ": "i",
}
OPEN = CLOSED | {"A": "ay", "I": "y", "O": "o", "Y": "oy"}
LAST = OPEN | {"O": "ow", "i": "y", "ɑ": "ah", "ə": "a", "ɛ": "eh", "ʌ": "uh", "ɐ": "a", "ᵊ": "a", "ᵻ": "y"}
BEFORE_R = {"ɑ": "ar", "ɔ": "or", "ɪ": "eer", "ɛ": "air", "ʊ": "oor", "i": "eer", "O": "or", "A": "air"}
BEFORE_R |= {"ə": "er", "ɜ": "er", "W": "our", "I": "ire"}
# Before an r that begins the next syllable, too: "terror", "mirror", "horror".
BEFORE_ER = {"ɛ": "er", "ɪ": "ir", "ɔ": "or", "ɑ": "or", "ə": "er"}
# Long vowels before one last consonant, with a silent e behind it.
SILENT_E = {
    "I": ("i", "bdfklmnpstvz"),
    "A": ("a", "kmnstvz"),
    "O": ("o", "kmnpvzl"),
    "ju": ("u", "bdklmnptz"),
}
# What begins a syllable, beside one consonant.
CLUSTERS = {
    *(first + "ɹ" for first in "pbtdkɡfθʃ"),
    *(first + "l" for first in "pbkɡfs"),
    *(first + "w" for first in "tdksɡθ"),
    *("s" + second for second in "ptkmnf"),
    *(first + "j" for first in "pbtdkɡfvmnhlsθ"),
    "spɹ",
    "stɹ",
    "skɹ",
    "spl",
    "skw",
}
NEVER_LAST = "ʒʃʧʤ"  # of a syllable, where another follows: "vi-sion", "tea-cher"


@dataclass
class Syllable:
    """The consonants before a vowel, the vowel ("ju" as in "cube" is one), and those behind it."""

    before: list[str]
    vowel: str
    after: list[str]


def respelled(symbols: list[str]) -> str:
    """Return the spelling of a word's symbols, as symbols_of tells them."""
    parts = syllables([symbol.lstrip("".join(STRESSES)) for symbol in symbols])
    none = Syllable([], "", [])
    return "".join(
        _spelled(before, each, after)
        for (before, each), (_, after) in zip(pairwise([none, *parts]), pairwise([*parts, none]), strict=True)
    )


def syllables(phones: list[str]) -> list[Syllable]:
    """Part phones so that each syllable begins with as much as an English one may."""
    places = [place for place, phone in enumerate(phones) if phone in VOWELS]
    if not places:
        return [Syllable(phones, "", [])]
    parts, start = list[Syllable](), 0
    for place, following in zip(places, [*places[1:], None], strict=True):
        between = phones[place + 1 : following]
        cut = len(between) if following is None else _cut(phones[place], between)
        before, vowel = phones[start:place], phones[place]
        if vowel == "u" and len(before) > 1 and before[-1] == "j":
            before, vowel = before[:-1], "ju"
        parts.append(Syllable(before, vowel, between[:cut]))
        start = place + 1 + cut
    return parts


def _cut(vowel: str, between: list[str]) -> int:
    """Return how many of the consonants between two vowels belong to the first."""
    cuts = range(len(between) + 1)
    cut = next(cut for cut in cuts if len(between) - cut < 2 or "".join(between[cut:]) in CLUSTERS)
    short = len(between) == 1 and between[0] not in NEVER_LAST and vowel in SHORT
    return max(cut, int(short or (between[:1] == ["ɹ"] and vowel in BEFORE_R)))


def _spelled(previous: Syllable, part: Syllable, following: Syllable) -> str:
    """Spell a syllable between two others; one without a vowel stands for none."""
    first, last = not previous.vowel, not following.vowel
    start = _start(previous, part)
    if not part.vowel:
        return start
    if last and not first and (ending := _ending(part)):
        return ending
    after, key = part.after, part.vowel
    if after[:1] == ["ɹ"] and key in BEFORE_R:
        doubled = not last and not following.before and following.vowel in "əɜ" and key in BEFORE_ER
        return start + (BEFORE_ER[key] + "r" if doubled else BEFORE_R[key]) + _end("er", after[1:], following)
    if last and len(after) == 1 and key in SILENT_E and after[0] in SILENT_E[key][1]:
        return start + SILENT_E[key][0] + LETTERS[after[0]] + "e"
    vowel = _vowel(part, following, first, last)
    return start + vowel + _end(vowel, after, following)


def _start(previous: Syllable, part: Syllable) -> str:
    before = "".join(LETTERS[phone] for phone in part.before)
    if len(before) > 1 and before[0] == "k" and before[1] in "lr":
        before = "c" + before[1:]
    if part.before in (["ʤ"], ["ʧ"]) and previous.vowel and previous.vowel in SHORT and not previous.after:
        return {"ʤ": "dj", "ʧ": "tch"}[part.before[0]]
    return "s" if part.before == ["ʒ"] and part.vowel == "u" else before


def _ending(part: Syllable) -> str:
    """Return the spelling of an ending that English writes in a way of its own; empty for another."""
    if part.vowel not in "əᵊɜ" or len(part.after) != 1:
        return ""
    sound = "".join(part.before), part.after[0]
    if sound[1] == "l" and sound[0] in ("", *"bpdtkɡ"):
        return "".join(LETTERS[phone] for phone in part.before) + "le"
    return {("ʃ", "n"): "tion", ("ʒ", "n"): "sion", ("ʒ", "ɹ"): "sure"}.get(sound, "")


def _vowel(part: Syllable, following: Syllable, first: bool, last: bool) -> str:
    vowel, after, open_ = part.vowel, part.after, not part.after
    before_vowel = open_ and not last and not following.before
    if vowel == "ju":
        return "ew" if open_ and last else "ue" if following.before == ["ʧ"] else "u"
    if vowel in SCHWAS:
        if first and not part.before:
            return "a"
        if not open_:
            return "a" if after[0] == "l" else "u"
        return "a" if last else "u" if following.before == ["ʃ"] else "e" if first else "i"
    special = {
        "I": "eye" if open_ and not part.before else "ine" if after == ["n"] and not part.before else "",
        "i": ("ee" if first else "i") if before_vowel else "ee" if first and last else "",
        "O": "oe" if before_vowel else "o" if first and last and open_ else "",
        "ɛ": "ea" if open_ and following.before == ["ʒ"] else "",
    }
    return special.get(vowel) or (LAST if open_ and last else OPEN if open_ else CLOSED)[vowel]


def _end(vowel: str, after: list[str], following: Syllable) -> str:
    """Spell the consonants behind a vowel so that it keeps its length."""
    end, last = "".join(LETTERS[phone] for phone in after), not following.vowel
    if not after or vowel == "ine":
        return ""
    short, alone = len(vowel) == 1 and vowel in "aeiou", len(after) == 1
    if after[-1] in "ʤʒ":
        soft = "dge" if short and alone and after[-1] == "ʤ" else "ge"
        return "".join(LETTERS[phone] for phone in after[:-1]) + soft
    if alone and short and not last and not following.before:
        return DOUBLED.get(after[0], end)
    if alone and short and last and after[0] in "ksz":
        return DOUBLED[after[0]]
    if last and after[-1] in "vz":
        return end + "e"
    return "ce" if last and alone and after == ["s"] else end
