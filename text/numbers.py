"""Normalisation of numbers in written English: plain numbers, ordinals, fractions, ranges.

num2words spells numbers out; this module finds out which kind of number it is. The rules are tried in order,
so plain numbers come last. text.dates and text.amounts are applied first.
"""
# ruff: noqa: RUF001 (dashes and signs of sums that look alike)

import re

from num2words import num2words

from text.rules import rule

# More groups than are named. Without a bound, each group of a long list would be tried as the first.
WHOLE = r"\d{1,3}(?:,\d{3}){1,12}(?!\d)|\d+"
DECIMAL = rf"(?:{WHOLE})(?:\.\d+)?"
MAX_QUOTED = 15  # longer numbers are codes, and read digit by digit
NAMED_PARTS = {2: "half", 4: "quarter", 100: "hundredth"}
MAX_DENOMINATOR = 20  # of fractions that are read by name: nineteen twentieths
LARGE = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}


def said(number: str) -> str:
    """Return a written number in words: 1,234.5 and 007 as well as 2.0.1 and 1,2,3."""
    if not re.fullmatch(DECIMAL, number):
        mark, spoken = (",", ", ") if "," in number else (".", " point ")
        return spoken.join(said(part) for part in number.split(mark))
    whole, point, part = number.replace(",", "").partition(".")
    if point:
        return f"{said(whole)} point {digits(part)}"
    if len(whole) > MAX_QUOTED or (whole.startswith("0") and len(whole) > 1):
        return digits(whole)
    return str(num2words(int(whole))).replace(",", "")


def digits(number: str) -> str:
    """Read digit by digit, with a pause between groups: 555-12 is five five five, one two."""
    groups = re.findall(r"\d+", number)
    return ", ".join(" ".join(num2words(int(digit)) for digit in group) for group in groups)


def ordinal(number: str) -> str:
    plain = number.replace(",", "")
    if len(plain) > MAX_QUOTED:
        return digits(plain)
    return str(num2words(int(plain), to="ordinal")).replace(",", "")


def year(number: str) -> str:
    return str(num2words(int(number), to="year"))


def several(number: str) -> bool:
    return number.replace(",", "") not in ("1", "1.0")


def fraction(above: str, below: str) -> str:
    """Read 3/4 as three quarters if it is less than one, otherwise as a score: 10/10 is ten out of ten."""
    over, under = int(above), int(below)
    if over == under:
        return f"{said(above)} out of {said(below)}"
    if not 0 < over < under or not (2 <= under <= MAX_DENOMINATOR or under in NAMED_PARTS):
        return f"{said(above)} over {said(below)}"
    part = NAMED_PARTS.get(under) or ordinal(below)
    return f"{said(above)} {part}" if over == 1 else f"{said(above)} {'halve' if under == 2 else part}s"


def mixed(found: re.Match[str]) -> str:
    """Read 2 1/2, whose groups are whole, above and below, as two and a half."""
    part = fraction(found["above"], found["below"])
    return f"{said(found['whole'])} and {'a half' if part == 'one half' else part}"


def _decade(found: re.Match[str]) -> str:
    number = found["decade"]
    spoken = year(number) if len(number) == 4 else said(number)
    return spoken.removesuffix("y") + "ies" if spoken.endswith("y") else spoken + "s"


def _power_of_ten(found: re.Match[str]) -> str:
    sign = "minus " if found[2] == "-" else ""
    return f"{said(found[1])} times ten to the power of {sign}{said(found[3])}"


def _minuses(found: re.Match[str]) -> str:
    """Read the signs of 10 - 5 - 3 = 2; where no sum ends, they mean something else."""
    return found[0] if found["sum"] is None else re.sub(r"\s?[-−–]\s?", " minus ", found[0])


# "the 80s" and "'80s" are years; "wait 30s" is seconds.
BEFORE_DECADES = (
    r"\b(?i:the|his|her|their|my|your|our|mid|early|late)[\s-]|['’‘]|(?<=0s\sand\s)|(?<=0s\sor\s)"
)
DECADES = (
    rule(
        rf"(?P<before>{BEFORE_DECADES})(?P<decade>[2-9]0)['’]?s\b",
        lambda found: found["before"].strip("'’‘") + _decade(found),
    ),
    rule(r"(?<![\w.,])(?P<decade>(?:1[1-9]|20)\d0)['’]?s\b", _decade),
)
# John 3:1 is no ratio.
BOOKS = (
    "Genesis|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|Nehemiah|Esther|Job"
    "|Psalms?|Proverbs|Ecclesiastes|Songs?|Isaiah|Jeremiah|Lamentations|Ezekiel|Daniel|Hosea|Joel|Amos|Obadiah|Jonah"
    "|Micah|Nahum|Habakkuk|Zephaniah|Haggai|Zechariah|Malachi|Matthew|Mark|Luke|John|Acts|Romans|Corinthians"
    "|Galatians|Ephesians|Philippians|Colossians|Thessalonians|Timothy|Titus|Philemon|Hebrews|James|Peter|Jude"
    "|Revelation|Qur'?an|Koran|Sura[ht]?|Gita|[Cc]hapter|[Vv]erse|[Ll]ine"
    r"|(?:Gen|Exod|Lev|Num|Deut|Josh|Sam|Neh|Pss?|Prov|Isa|Jer|Ezek|Dan|Matt?|Mt|Mk|Lk|Jn|Rom|Cor|Gal|Eph|Phil|Col"
    r"|Thess|Tim|Heb|Jas|Pet|Rev)\.?"
)
# Figure 1.2B is no amount.
NO_LABEL = "".join(
    rf"(?<!\b{label}\s)"
    for label in ("[Ff]igure", r"[Ff]ig\.", "[Tt]able", "[Ss]ection", "[Aa]ppendix", "[Vv]ersion")
)
BILLIONS = (
    "views|users|people|dollars|euros|pounds|parameters|downloads|streams|plays|followers|subscribers|customers|tokens"
    "|records|rows|events|requests|years|messages|devices|visits|visitors"
)


def _ratio(found: re.Match[str]) -> str:
    one, other = found["one"], found["other"]
    if one == other == "50":
        return "fifty-fifty"
    clock = len(other) == 2 and int(one) + int(other) != 100
    return found[0] if clock or found["book"] else f"{said(one)} to {said(other)}"


NUMBERS = (
    # The lookbehinds: else each digit of a long number is tried as the beginning of one.
    rule(r"(?<!\d)(?<!\d[.,])\d+(?:[.,]\d+)*(?:\s?[-−–]\s?\d+(?:[.,]\d+)*)+(?=(?P<sum>\s?=)?)", _minuses),
    rule(rf"(?<!\d)({DECIMAL})\s?%", lambda found: f"{said(found[1])} percent"),
    rule(rf"\b({WHOLE})(?:st|nd|rd|th)\b", lambda found: ordinal(found[1])),
    rule(
        rf"{NO_LABEL}(?<![\w.,$-])({DECIMAL})\s?(k|K|M|bn|(?<=\.\d)B|(?<=\.\d\d)B|B(?=\s(?:{BILLIONS})\b))\b(?<!\b[48]K)",
        lambda found: f"{said(found[1])} {LARGE[found[2].lower()]}",
    ),
    rule(r"(?<![\w.])(\d+(?:\.\d+)?)[eE]([+-]?)(\d+)\b", _power_of_ten),
    rule(r"(?<![\w/.])(?P<whole>\d{1,3})[\s-](?P<above>\d)/(?P<below>\d{1,2})(?![\w/])", mixed),
    rule(r"(?<![\w/.])(\d{1,4})/(\d{1,4})(?![\w/])", lambda found: fraction(found[1], found[2])),
    rule(r"(?<=\d)[-–—](?=\d)", " to "),
    rule(r"(?<![\w)])[-−](?=\d)", "minus "),
    rule(r"(?<=\d)\s?[×*x]\s?(?=\d)", " times "),
    rule(rf"(?P<book>\b(?:{BOOKS})\s)?(?<![\w:.,])(?P<one>\d{{1,4}}):(?P<other>\d{{1,5}})(?![\w:])", _ratio),
    rule(r"(?<=\d):(?=\d)", " "),
    rule(r"(?<![\w.)])\.(?=\d)", "0."),
    rule(r"#(?=\d)", "number "),
    rule(r"~(?=\d)", "about "),
    rule(r"(?<=[A-Za-z])-?(?=\d)|(?<=\d)(?=[A-Za-z])", " "),
    rule(r"(?<![\d.,])(?:1[1-9]|20)\d\d(?!\d|[.,]\d)", lambda found: year(found[0])),
    rule(r"\d+(?:[.,]\d+)*", lambda found: said(found[0])),
)
