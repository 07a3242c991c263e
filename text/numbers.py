"""Numbers in written English → the words that a reader says: amounts, dates, times, years, units, digits.

num2words says a number; here stands what kind of number it is. Each rule is a pattern and what is said for
it; they are tried in their order, so that the plain number comes last.
"""
# ruff: noqa: RUF001 (dashes and signs of sums that look alike)

import re
from collections.abc import Callable

from num2words import num2words

WHOLE = r"\d{1,3}(?:,\d{3})+(?!\d)|\d+"
DECIMAL = rf"(?:{WHOLE})(?:\.\d+)?"
MAX_QUOTED = 15  # more digits are a code and are read one by one

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
MONTH = "|".join(f"{name}|{name[:3]}\\b\\.?" for name in MONTHS) + r"|Sept\b\.?"
# One of them, several of them, and the hundredth part.
MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
}
LARGE = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}
UNITS = {
    **{"mm": "millimeter", "cm": "centimeter", "m": "meter", "km": "kilometer", "ft": "foot"},
    **{"km/h": "kilometer per hour", "mph": "mile per hour", "ms": "millisecond", "min": "minute"},
    **{"mg": "milligram", "g": "gram", "kg": "kilogram", "lb": "pound", "lbs": "pound", "oz": "ounce"},
    **{"Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "ml": "milliliter"},
    **{"KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte", "W": "watt", "kW": "kilowatt"},
}
FRACTIONS = {
    "1/2": "one half",
    "1/3": "one third",
    "2/3": "two thirds",
    "1/4": "one quarter",
    "3/4": "three quarters",
}
MAGNITUDE = r"(?:\s?(?P<large>thousand|million|billion|trillion|bn|[kKmMbB]))?(?![A-Za-z])"


def said(number: str) -> str:
    """A number as it stands in a text in words: 1,234.5 and 007 as well as 2.0.1 and 1,2,3."""
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
    """Digit by digit, with a pause between groups: 555-12 is five five five, one two."""
    groups = re.findall(r"\d+", number)
    return ", ".join(" ".join(num2words(int(digit)) for digit in group) for group in groups)


def ordinal(number: str) -> str:
    plain = number.replace(",", "")
    if len(plain) > MAX_QUOTED:
        return digits(plain)
    return str(num2words(int(plain), to="ordinal")).replace(",", "")


def year(number: str) -> str:
    return str(num2words(int(number), to="year"))


def _several(number: str) -> bool:
    return number.replace(",", "") not in ("1", "1.0")


def _money(found: re.Match[str]) -> str:
    one, many, small, smaller = MONEY[found["sign"]]
    amount, large = found["amount"], found["large"]
    if large:
        return f"{said(amount)} {LARGE.get(large.lower(), large)} {many}"
    whole, _, part = amount.partition(".")
    if len(part) != 2:
        return f"{said(amount)} {many if _several(amount) else one}"
    spoken = [f"{said(whole)} {many if _several(whole) else one}"] if whole.strip("0,") else []
    if int(part) or not spoken:
        spoken.append(f"{said(str(int(part)))} {small if int(part) == 1 else smaller}")
    return " and ".join(spoken)


def _unit(found: re.Match[str]) -> str:
    noun, *rest = UNITS[found["unit"]].split(" ")
    if _several(found["amount"]):
        noun = "feet" if noun == "foot" else noun if noun.endswith("hertz") else noun + "s"
    return " ".join([said(found["amount"]), noun, *rest])


def _date(found: re.Match[str]) -> str:
    return f"{MONTHS[int(found['month']) - 1]} {ordinal(found['day'])}, {year(found['year'])}"


def _day(found: re.Match[str]) -> str:
    month = next(name for name in MONTHS if name.startswith(found["month"][:3]))
    return f"{month} {ordinal(found['day'])}"


def _time(found: re.Match[str]) -> str:
    hour, minute, half = int(found["hour"]), int(found["minute"] or 0), found["half"]
    spoken = num2words(hour)
    if minute:
        spoken += f" oh {num2words(minute)}" if minute < 10 else f" {num2words(minute)}"
    if half:
        return f"{spoken} {half.lower()} m"
    return spoken if minute else f"{spoken} o'clock"


def _decade(found: re.Match[str]) -> str:
    number = found["decade"]
    spoken = year(number) if len(number) == 4 else said(number)
    return spoken.removesuffix("y") + "ies" if spoken.endswith("y") else spoken + "s"


def _fraction(found: re.Match[str]) -> str:
    return FRACTIONS.get(found[0]) or f"{said(found[1])} over {said(found[2])}"


UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
RULES: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (rf"(?P<sign>[$€£¥])\s?(?P<amount>{DECIMAL}){MAGNITUDE}", _money),
    (r"\b(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])\b", _date),
    (rf"\b(?P<month>{MONTH})\s(?P<day>[12]?\d|3[01])(?:st|nd|rd|th)?(?![\w:]|[.,]\d)", _day),
    (
        r"\b(?P<hour>1?\d|2[0-4])(?::(?P<minute>[0-5]\d))?\s?(?P<half>[apAP])\.?[mM]\b(?:\.(?!\s+[A-Z]|\s*$))?",
        _time,
    ),
    (r"(?<![\d:])(?P<hour>1?\d|2[0-4]):(?P<minute>[0-5]\d)(?P<half>)(?![\d:])", _time),
    (
        r"(?:\+\d{1,3}[ -]?)?\(?\b\d{3}\)?[ -]\d{3}-\d{4}\b|(?<![\d-])\d{3}-\d{4}\b(?!-)",
        lambda found: digits(found[0]),
    ),
    (rf"({DECIMAL})\s?%", lambda found: f"{said(found[1])} percent"),
    (rf"(?<![\w.,])(?P<amount>{DECIMAL})\s?(?P<unit>{UNIT})(?![\w/])", _unit),
    (rf"\b({WHOLE})(?:st|nd|rd|th)\b", lambda found: ordinal(found[1])),
    (r"(?<![\w.,])'?(?P<decade>(?:1[1-9]|20)\d0|[2-9]0)'?s\b", _decade),
    (r"(?<![\w/.])(\d{1,4})/(\d{1,4})(?![\w/])", _fraction),
    (r"(?<=\d)[-–](?=\d)", lambda found: " to "),
    (r"(?<![\w)])[-−](?=\d)", lambda found: "minus "),
    (r"(?<=\d)\s?[×*x]\s?(?=\d)", lambda found: " times "),
    (r"(?<=\d):(?=\d)", lambda found: " "),
    (r"(?<![\w.)])\.(?=\d)", lambda found: "0."),
    (r"#(?=\d)", lambda found: "number "),
    (r"~(?=\d)", lambda found: "about "),
    (r"(?<=[A-Za-z])-?(?=\d)|(?<=\d)(?=[A-Za-z])", lambda found: " "),
    (r"(?<![\d.,])(?:1[1-9]|20)\d\d(?!\d|[.,]\d)", lambda found: year(found[0])),
    (r"\d+(?:[.,]\d+)*", lambda found: said(found[0])),
)
COMPILED = [(re.compile(pattern), spoken) for pattern, spoken in RULES]


def numbers_as_words(text: str) -> str:
    """The text without a digit."""
    for pattern, spoken in COMPILED:
        text = pattern.sub(spoken, text)
    return text
