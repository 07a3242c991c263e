"""Normalisation of dates and times in written English."""
# ruff: noqa: RUF001 (dashes that look alike)

import re

from num2words import num2words

from text.letters import by_name
from text.numbers import digits, fraction, ordinal, said, year
from text.rules import rule

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
MONTH = "(?:" + "|".join(f"{name}|{name[:3]}\\b\\.?" for name in MONTHS) + r"|Sept\b\.?)"
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAY = r"(?:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)"
DASH = r"\s?[-–—]\s?"
CLOCK = r"(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)"
HALF = r"\s?(?P<half>[apAP])\.?[mM]\b(?:\.(?!\s+[A-Z]|\s*$))?"


def month_named(name: str) -> str:
    return next(month for month in MONTHS if month.startswith(name[:3]))


def _written_date(found: re.Match[str]) -> str:
    return _date(int(found["month"]), found["day"], found["year"])


def _date(month: int, day: str, written_year: str) -> str:
    if len(written_year) == 2:
        written_year = ("20" if int(written_year) < 70 else "19") + written_year
    return f"{MONTHS[month - 1]} {ordinal(day)}, {year(written_year)}"


def _slashed(found: re.Match[str]) -> str:
    """Read 12/25/2024 as month/day; 25/12/2024 can only be day/month."""
    first, second = int(found[1]), int(found[2])
    if (first > 12 and second > 12) or not (first and second):
        return found[0]
    month, day = (first, found[2]) if first <= 12 else (second, found[1])
    return _date(month, day, found[3])


def _dotted(found: re.Match[str]) -> str:
    return _date(int(found[2]), found[1], found[3])


def _iso_moment(found: re.Match[str]) -> str:
    zone = {"Z": " UTC", None: ""}.get(found["zone"], f" UTC {found['zone']}")
    return f"{_written_date(found)} at {_clock(found)}{zone}"


def _day_of_month(found: re.Match[str]) -> str:
    spoken = f"{month_named(found['month'])} {ordinal(found['day'])}"
    return f"{spoken} to {ordinal(found['last'])}" if found["last"] else spoken


def _day_first(found: re.Match[str]) -> str:
    spoken = f"{found['the'] or 'the '}{ordinal(found['day'])} of {month_named(found['month'])}"
    return spoken + (", " + year(found["year"]) if found["year"] else "")


def _clock(found: re.Match[str]) -> str:
    """Read the groups hour, minute and second; `half` is the a of am or the p of pm."""
    fields = found.groupdict()
    hour, minute = int(found["hour"]), int(fields["minute"] or 0)
    spoken, half, second = num2words(hour), fields.get("half"), int(fields.get("second") or 0)
    if minute:
        spoken += f" oh {num2words(minute)}" if minute < 10 else f" {num2words(minute)}"
    if second:
        spoken += " o'clock" if not minute and hour <= 12 else ""
        spoken += f" and {num2words(second)} second{'s' if second > 1 else ''}"
    if half:
        return f"{spoken} {by_name(half.upper())} {by_name('M')}"
    if minute or second:
        return spoken
    return f"{spoken} o'clock" if hour <= 12 else f"{spoken} hundred"


def _hours(found: re.Match[str]) -> str:
    """Read 18:00h as eighteen hundred hours."""
    if int(found["minute"]):
        return _clock(found)
    return f"{num2words(int(found['hour']))} hundred hours"


def _weekday(found: re.Match[str]) -> str:
    return next(day for day in DAYS if day.startswith(found[1][:3]))


def _slashed_day(found: re.Match[str]) -> str:
    month, day = int(found[1]), int(found[2])
    if 1 <= month <= 12 and 20 < day <= 31:
        return f"{MONTHS[month - 1]} {ordinal(found[2])}"
    return fraction(found[1], found[2])


ISO_DAY = r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])"
ISO_TIME = r"(?P<hour>[01]\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:\.\d+)?)?"
DATES = (
    rule(rf"\b({DAY})\b\.?(?=,?\s(?:{MONTH}\s?\d|\d{{1,2}}(?:st|nd|rd|th|\s{MONTH}|:|/)))", _weekday),
    rule(rf"\b{ISO_DAY}[T ]{ISO_TIME}\s?(?P<zone>Z|[+-]\d\d:?\d\d)?(?![\w:])", _iso_moment),
    rule(rf"\b{ISO_DAY}\b(?!-)", _written_date),
    rule(r"(?<![\w/.])(\d{1,2})/([0-2]?\d|3[01])/(\d{4}|\d\d)(?![\w/])", _slashed),
    rule(r"(?<![\w.])(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.(\d{4})(?![\w]|\.\d)", _dotted),
    rule(
        rf"(?P<the>\b[Tt]he\s)?(?<![\w.,:/$-])(?P<day>[12]?\d|3[01])(?:st|nd|rd|th)?\s(?:of\s)?"
        rf"(?P<month>{MONTH})(?![a-z])(?:,?\s(?P<year>1\d{{3}}|20\d\d)\b)?",
        _day_first,
    ),
    rule(
        rf"\b(?P<month>{MONTH})\s(?P<day>[12]?\d|3[01])(?:st|nd|rd|th)?"
        rf"(?:{DASH}(?P<last>[12]?\d|3[01])(?:st|nd|rd|th)?)?(?![\w:]|[.,]\d)",
        _day_of_month,
    ),
    rule(r"(?<![\w/.])24/7(?![\w/])", "twenty-four seven"),
    rule(r"(?<![\w/.])9/11(?![\w/])", "nine eleven"),
    rule(r"(?<![\w/.])(?<!\d\s)(1?\d)/(2[1-9]|3[01])(?![\w/])", _slashed_day),
    rule(r"\b(\d{1,4})\s?(BCE?|CE|AD)\b", lambda found: f"{said(found[1])} {' '.join(found[2])}"),
)
TIMES = (
    rule(
        rf"(?<![\w.,$€£])([01]?\d|2[0-4])\.([0-5]\d)(?=(?:{DASH}\d{{1,2}}(?:[.:][0-5]\d)?)?\s?[apAP]\.?[mM]\b)",
        r"\1:\2",
    ),
    rule(
        rf"(?:(?<=\d)|(?<=\d[apAP][mM])|(?<=\d\s[apAP][mM])){DASH}(?=\d{{1,2}}(?::[0-5]\d|\s?[apAP]\.?[mM]\b))",
        " to ",
    ),
    rule(rf"(?<![\d:]){CLOCK}:(?P<second>[0-5]\d)(?![\d:])", _clock),
    rule(rf"\b(?P<hour>[01]?\d|2[0-4])(?::(?P<minute>[0-5]\d))?{HALF}", _clock),
    rule(rf"(?<![\d:]){CLOCK}\s?(?:h|hrs?|hours|Uhr)\b", _hours),
    rule(rf"(?<![\d:]){CLOCK}(?![\d:])", _clock),
)
PHONE = r"(?:\+?1[ .-])?\(?\b\d{3}\)?[ .-]\d{3}[.-]\d{4}\b|(?<![\d-])\d{3}-\d{4}\b(?!-)"
GROUP = re.compile(r"[ .-]?\(?\d++\)?")
# Possessive, since digits in a row are groups in many ways.
FOREIGN_PHONE = rf"(?<![\w+])\+(\d++(?:{GROUP.pattern}){{1,6}}+|\d++)(?![\d-])"
MAX_PHONE = 15  # digits; further groups are other numbers


def _foreign(found: re.Match[str]) -> str:
    number = ""
    for group in GROUP.findall(found[1]):
        if sum(letter.isdigit() for letter in number + group) > MAX_PHONE:
            break
        number += group
    count = sum(letter.isdigit() for letter in number)
    return "plus " + digits(number) + found[1][len(number) :] if count >= 7 else found[0]


HOME_PHONE = r"(?<![\w.,+-])0\d{2,4}(?:[ -]\d{2,6}){1,3}(?![\w-]|[.,]\d| \d)"
# 10 000 and 1 500 000 end in zeros; other spaces than the usual one are written within numbers only.
NARROW = "[\u00a0\u202f\u2009]"
GROUPS = (
    rf"(?<![\w.,])(?<!\d )(?<!\d{NARROW})[1-9]\d{{0,2}}(?:(?: \d{{3}})* 000|(?:{NARROW}\d{{3}})+)"
    rf"(?!\w|,\d| \d|{NARROW}\d)"
)


def _home(found: re.Match[str]) -> str:
    count = sum(letter.isdigit() for letter in found[0])
    return digits(found[0]) if 9 <= count <= 11 else found[0]


def _worded(found: re.Match[str]) -> str:
    """Read 1-800-FLOWERS as one eight hundred FLOWERS."""
    area = f"{digits(found[1][0])} hundred" if found[1].endswith("00") else digits(found[1])
    return f"one {area} {found[2].replace('-', ' ')}"


CODES = (
    rule(r"(?<![\w.-])\d+(?:-\d+){2,}(?![\w-])", lambda found: digits(found[0])),
    rule(PHONE, lambda found: digits(found[0])),
    rule(r"(?<![\w.-])1-([89]\d\d)-([A-Z\d]+(?:-[A-Z\d]+)*)(?<=[A-Z])\b", _worded),
    rule(FOREIGN_PHONE, _foreign),
    rule(GROUPS, lambda found: re.sub(r"\s", "", found[0])),
    rule(HOME_PHONE, _home),
    rule(
        r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w]|\.\d)",
        lambda found: " dot ".join(digits(part) for part in found[0].split(".")),
    ),
    rule(r"(?<=[Cc]all\s)\d{3}\b|(?<=[Dd]ial\s)\d{3}\b", lambda found: digits(found[0])),
)
