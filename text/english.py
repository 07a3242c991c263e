"""Normalisation of written English: links, abbreviations, symbols, numbers and initialisms."""

import re

from text.amounts import AMOUNTS, RATED
from text.dates import CODES, DATES, TIMES
from text.latex import LATEX
from text.letters import LETTERS
from text.links import LINKS, NAMES
from text.numbers import DECADES, NUMBERS, said
from text.roman import ROMAN
from text.rules import applied, rule, words_in
from text.signs import COMPARISONS, FRACTIONS, MATHEMATICS, signs_as_words
from text.traced import Traced

# With the full stop that belongs to them; those in ENDING may stand at the end of a sentence.
# fmt: off
ABBREVIATIONS = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Rev": "Reverend",
    "Gen": "General", "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant", "Gov": "Governor",
    "Sen": "Senator", "Rep": "Representative", "Hon": "Honorable", "Col": "Colonel", "Cpl": "Corporal",
    "vs": "versus", "approx": "approximately", "e.g": "for example", "i.e": "that is", "cf": "compare",
    "E.g": "For example", "I.e": "That is", "ca": "circa", "pp": "pages", "Mt": "Mount", "Ft": "Fort",
    "Fig": "Figure", "fig": "figure", "Vol": "Volume", "vol": "volume", "Nos": "Numbers",
    "Apt": "Apartment", "Ste": "Suite", "Hwy": "Highway", "Ext": "Extension", "ext": "extension",
}
ENDING = {
    "etc": "et cetera", "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited",
    "Corp": "Corporation", "Co": "Company", "Dept": "Department", "dept": "department",
    "Ave": "Avenue", "Rd": "Road", "Blvd": "Boulevard", "Ln": "Lane", "Pkwy": "Parkway", "Sq": "Square",
    "Ter": "Terrace",
    "Ct": "Court", "Pl": "Place", "Univ": "University", "Assn": "Association", "Bros": "Brothers",
}
# fmt: on
NOT_BEHIND = frozenset(word.lower() for word in (*ABBREVIATIONS, "St"))
ONLY_BEFORE_CAPITALS = frozenset(word.lower() for word in (*ENDING, "a.m", "p.m"))
NOT_BEFORE_NUMBERS = words_in("no jan feb mar apr jun jul aug sept sep oct nov dec art sec ch")
INITIALS = re.compile(r"[^\W\d](?:\.[^\W\d])*")
WHOLE = r"(?:\.(?P<end>(?=\s*$|\s+[A-Z]))?)"
DIRECTIONS = {
    "N": "North",
    "S": "South",
    "E": "East",
    "W": "West",
    "NW": "Northwest",
    "NE": "Northeast",
    "SW": "Southwest",
    "SE": "Southeast",
}
# After "Plan B." a sentence begins; after "J." a name.
OPENERS = (
    "(?:The|Then|This|That|These|Those|There|It|He|She|They|We|You|And|But|So|Or|If|In|On|At|As|For|Now|Not|No|Yes|What|When"
    "|Where|Why|Who|How|My|Your|Our|His|Her|Its|Is|Are|Was|Do|Does|Did|Can|Please|Let|After|Before|To|With|From|By|Go|An)"
)
# These are the model's own, not words of the text; so are the sounds of text.normalise.
TAG = re.compile(
    r"(\[SPEAKER\d+\]|<SE\w*>[^<]*</SE\w*>|</?SE[^<>]*>|<\|[^|>]*\|>"
    r"|\[(?:laugh|applause|cheering|cough|(?:humming|music|sing) (?:start|end)|music|pause[^\]\n]{0,80})\])"
)


def _full_stop(found: re.Match[str]) -> str:
    return "" if found["end"] is None else "."


def _item(found: re.Match[str]) -> Traced:
    text, (start, end) = Traced.of(found.string), found.span(1)
    return text.become(start, end, said(found[1])) + text.become(end, end + 1, ",") + " "


ADDRESSES = (
    rule(r"(?<=(?:\dst|\dnd|\drd|\dth)\s)St\b\.?", "Street"),
    rule(r"(\b\d+[A-Z]?\s(?:[NSEW]\.?\s)?(?:[A-Z][a-z]+\s){1,2})St\b\.?", r"\1Street"),
    rule(r"(\b\d+[A-Z]?\s(?:[NSEW]\.?\s)?(?:[A-Z][a-z]+\s){1,2})Dr\b\.?", r"\1Drive"),
    rule(r"(?<=[a-z]\s)Dr\.(?=\s*$|,|\s(?:[NS][EW]\b|#|Apt|Suite))", "Drive"),
    rule(r"\bSt\.?(?=\s[A-Z])(?!\s[NS][EW]\b)", "Saint"),
    rule(r"(?<=[a-z]\s)St\b\.?", "Street"),
    rule(r"\b(NW|NE|SW|SE)\b", lambda found: DIRECTIONS[found[1]]),
    rule(r"(?<=\d\s)([NSEW])\.?(?=\s(?:[A-Z][a-z]|\d+(?:st|nd|rd|th)))", lambda found: DIRECTIONS[found[1]]),
)
SHORTENED = (
    # "No. 3 dogs" counts none of them; "No. 3" is the third.
    rule(r"(?:^|(?<=[.!?]\s))No\.\s(?=\d+\s[a-z]{2,}s\b)(?!\d+\s(?:is|was|has|does|vs)\b)", "No, "),
    rule(r"\b[Nn]os?\.\s?(?=\d)", "number "),
    rule(r"\bc\.\s?(?=\d{3,4}\b)", "circa "),
    rule(r"\bp\.\s?(?=\d)", "page "),
    rule(r"\b([Cc])h\.\s?(?=\d)", r"\1hapter "),
    rule(
        rf"\b({'|'.join(map(re.escape, ABBREVIATIONS))})\.(?![A-Za-z])", lambda found: ABBREVIATIONS[found[1]]
    ),
    rule(r"\b(Mr|Mrs|Ms|Dr|Prof)(?=\s[A-Z])", lambda found: ABBREVIATIONS[found[1]]),
    rule(rf"\b({'|'.join(ENDING)}){WHOLE}", lambda found: ENDING[found[1]] + _full_stop(found)),
    rule(r"\b(Ph)\.?D\b\.?(?P<end>(?=\s*$))?", lambda found: "P H D" + _full_stop(found)),
    # U.S. is no end of a sentence, but at the end of the text. The lookbehinds, here and below: else each
    # initial of a long row is tried as the first.
    rule(
        r"\b(?<!\b[A-Z]\.)(?<!\b[A-Z]\.\s)((?:[A-Z]\.\s?)*[A-Z]\.[A-Z])\.(?P<end>(?=\s*$))?",
        lambda found: " ".join(re.findall("[A-Z]", found[0])) + _full_stop(found),
    ),
    rule(
        rf"\b(?<!\b[A-Z]\.)(?<!\b[A-Z]\. )(?:[A-Z]\. ?)+(?=[A-Z][a-z])(?!{OPENERS}\b)",
        lambda found: " ".join(re.findall("[A-Z]", found[0])) + " ",
    ),
    rule(r"\b([A-Z]{1,3})&([A-Z]{1,3})\b", lambda found: f"{' '.join(found[1])} and {' '.join(found[2])}"),
)
# The number of an item leads into it. The block before ends in a mark; "He ate\n5. Then" is prose.
ITEMS = (rule(r"(?:\A|(?<=[^\w\s]\n))(\d{1,3})[.)][ \t]+(?=\S)", _item),)
RULES = (
    *ITEMS,
    *LINKS,
    *LATEX,
    *COMPARISONS,
    *FRACTIONS,
    *DATES,
    *CODES,
    *TIMES,
    *DECADES,
    *ADDRESSES,
    *SHORTENED,
    *AMOUNTS,
    *RATED,
    *MATHEMATICS,
    *NAMES,
    *ROMAN,
    *NUMBERS,
)


def ends_sentence(word: str, following: str, *, first: bool) -> bool:
    """Return whether a full stop after a word ends a sentence; not after "Dr", "J", "U.S" or a list's 3.

    Args:
        word: without the full stop.
        following: the first character of the next word; empty if that is unknown yet.
        first: whether nothing stands before the word on its line.
    """
    name = word.lower()
    if name in ONLY_BEFORE_CAPITALS:
        return following.isupper()
    if name in NOT_BEFORE_NUMBERS:
        return bool(following) and not following.isdecimal()
    listed = first and name.isdecimal()
    return not (listed or name in NOT_BEHIND or (name != "i" and INITIALS.fullmatch(name)))


def english_words(text: str) -> Traced:
    """Return a text in English words; tags of speakers and sounds remain."""
    said: list[str] = []
    for part, tag in Traced.of(text).parts(TAG):
        said += [_words(part), tag[0] if tag else ""]
    return Traced.joined(said)


def _words(text: Traced) -> Traced:
    return applied(signs_as_words(applied(text, RULES)), LETTERS)
