"""Normalisation of money and measures in written English."""
# ruff: noqa: RUF001 (dashes and signs that look alike)

import re
from math import gcd

from text.numbers import DECIMAL, LARGE, fraction, mixed, said, several
from text.rules import rule

# Singular, plural, and the hundredth part's.
MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₺": ("lira", "lira", "kurush", "kurush"),
    "₴": ("hryvnia", "hryvnias", "kopiyka", "kopiykas"),
    "₪": ("shekel", "shekels", "agora", "agorot"),
    "₫": ("dong", "dong", "xu", "xu"),
    "฿": ("baht", "baht", "satang", "satang"),
    "₱": ("peso", "pesos", "centavo", "centavos"),
    "₦": ("naira", "naira", "kobo", "kobo"),
    "¢": ("cent", "cents", "", ""),
}
LANDS = {
    "US": "US",
    "U.S.": "US",
    "C": "Canadian",
    "CA": "Canadian",
    "A": "Australian",
    "AU": "Australian",
    "NZ": "New Zealand",
    "HK": "Hong Kong",
    "S": "Singapore",
    "R": "Brazilian",
}
# fmt: off
CURRENCIES = {
    "USD": ("US ", "$"), "EUR": ("", "€"), "GBP": ("British ", "£"), "JPY": ("Japanese ", "¥"),
    "CAD": ("Canadian ", "$"), "AUD": ("Australian ", "$"), "NZD": ("New Zealand ", "$"),
    "CNY": ("Chinese ", "yuan"), "RMB": ("", "yuan"), "INR": ("Indian ", "₹"), "CHF": ("Swiss ", "franc"),
    "BTC": ("", "bitcoin"),
}
# fmt: on
MONEY |= {
    "yuan": ("yuan", "yuan", "fen", "fen"),
    "franc": ("franc", "francs", "centime", "centimes"),
    "bitcoin": ("bitcoin", "bitcoins", "", ""),
}
# fmt: off
UNITS = {
    "nm": "nanometer", "µm": "micrometer", "mm": "millimeter", "cm": "centimeter", "m": "meter",
    "km": "kilometer", "ft": "foot", "yd": "yard", "yds": "yard", "mi": "mile", "inches": "inch",
    "km/h": "kilometer per hour", "kph": "kilometer per hour", "kmh": "kilometer per hour",
    "mph": "mile per hour", "m/s": "meter per second", "rpm": "revolution per minute",
    "bpm": "beat per minute", "fps": "frame per second", "mpg": "mile per gallon",
    "ns": "nanosecond", "µs": "microsecond", "ms": "millisecond", "s": "second", "sec": "second",
    "secs": "second", "min": "minute", "mins": "minute", "h": "hour", "hr": "hour", "hrs": "hour",
    "µg": "microgram", "mg": "milligram", "g": "gram", "kg": "kilogram", "lb": "pound", "lbs": "pound",
    "oz": "ounce", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz",
    "ml": "milliliter", "mL": "milliliter", "cl": "centiliter", "dl": "deciliter", "l": "liter",
    "L": "liter", "gal": "gallon", "tbsp": "tablespoon", "tsp": "teaspoon", "cal": "calorie",
    "kcal": "kilocalorie", "kJ": "kilojoule", "J": "joule", "V": "volt", "kV": "kilovolt",
    "mV": "millivolt", "mA": "milliampere", "mAh": "milliampere hour", "W": "watt", "kW": "kilowatt",
    "MW": "megawatt", "GW": "gigawatt", "kWh": "kilowatt hour", "MWh": "megawatt hour",
    "hp": "horsepower",
    "Ω": "ohm", "kΩ": "kilohm", "MΩ": "megohm", "Pa": "pascal", "hPa": "hectopascal", "kPa": "kilopascal",
    "psi": "pound per square inch", "mmHg": "millimeter of mercury", "dB": "decibel", "mol": "mole",
    "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "KiB": "kibibyte", "MiB": "mebibyte", "GiB": "gibibyte", "kbps": "kilobit per second",
    "Mbps": "megabit per second", "Gbps": "gigabit per second", "Tbps": "terabit per second",
    **{f"{prefix}{bit}/s": f"{name}bit per second"
       for prefix, name in (("k", "kilo"), ("K", "kilo"), ("M", "mega"), ("G", "giga"), ("T", "tera"))
       for bit in ("b", "bit")},
    "kB/s": "kilobyte per second", "KB/s": "kilobyte per second", "TB/s": "terabyte per second",
    "MB/s": "megabyte per second", "GB/s": "gigabyte per second", "px": "pixel", "ha": "hectare",
    "°C": "degree Celsius", "°F": "degree Fahrenheit", "℃": "degree Celsius", "℉": "degree Fahrenheit",
    "°": "degree", "º": "degree", "sq ft": "square foot", "sqft": "square foot",
}
# fmt: on
PARTS = (2, 3, 4, 5, 8, 16)  # denominators of fractions of units
PLURALS = {"foot": "feet", "inch": "inches", "horsepower": "horsepower"}
POWERS = {"²": "square ", "³": "cubic ", "^2": "square ", "^3": "cubic "}
# After a slash these are read as "per"; an amount, a unit or a noun precedes it.
RATES = {
    "mo": "month",
    "yr": "year",
    "hr": "hour",
    "h": "hour",
    "wk": "week",
    "min": "minute",
    "sec": "second",
    "s": "second",
    "kg": "kilogram",
    "lb": "pound",
    "l": "liter",
    "L": "liter",
    "GB": "gigabyte",
    **{name: name for name in ("month", "year", "hour", "week", "minute", "second", "day", "night")},
    **{name: name for name in ("person", "unit", "user", "mile", "gallon", "page", "token")},
}
AMOUNT = rf"(?:{DECIMAL}|\.\d+)"
DASH = r"\s?[-–—]\s?"
MAGNITUDE = r"(?:\s?(?P<large>thousand|million|billion|trillion|bn|[kKmMbB]))?(?![A-Za-z])"
SIGNS = "[" + "".join(sign for sign in MONEY if len(sign) == 1) + "]"
LAND = (
    r"(?:(?<![A-Za-z.])(?P<land>" + "|".join(map(re.escape, sorted(LANDS, key=len, reverse=True))) + r")\s?)?"
)
UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))


def _said(amount: str) -> str:
    return said("0" + amount if amount.startswith(".") else amount)


def spoken_money(amount: str, sign: str, large: str | None, land: str = "", single: bool = False) -> str:
    """Read $2.50 as two dollars and fifty cents. `single`: always "dollar", as in "a $5 bill"."""
    one, many, small, smaller = MONEY[sign]
    one, many = land + one, land + many
    if large:
        return f"{_said(amount)} {LARGE.get(large.lower(), large)} {one if single else many}"
    whole, _, part = amount.partition(".")
    if len(part) != 2 or not small:
        return f"{_said(amount)} {many if several(amount) and not single else one}"
    spoken = [f"{said(whole)} {many if several(whole) else one}"] if whole.strip("0,") else []
    if int(part) or not spoken:
        spoken.append(f"{said(str(int(part)))} {small if int(part) == 1 else smaller}")
    return " and ".join(spoken)


def _money(found: re.Match[str]) -> str:
    fields = found.groupdict()
    land = f"{LANDS[fields['land']]} " if fields.get("land") else ""
    last = fields.get("last")
    spoken = spoken_money(
        last or found["amount"], found["sign"], fields.get("large"), land, single=bool(fields.get("article"))
    )
    before = (fields.get("article") or "") + ("minus " if fields.get("minus") else "")
    return before + (f"{_said(found['amount'])} to {spoken}" if last else spoken)


def _currency(found: re.Match[str]) -> str:
    land, sign = CURRENCIES[found["code"]]
    return spoken_money(found["amount"], sign, found["large"], land)


def _unit(found: re.Match[str]) -> str:
    fields = found.groupdict()
    noun, *rest = UNITS[found["unit"]].split(" ")
    power = POWERS.get(fields.get("power") or "", "")
    if noun == "square" or rest[:1] == ["hour"]:
        noun, rest = f"{noun} {rest[0]}", rest[1:]
    joined = "over" if fields.get("over") else "to"
    if power and rest:
        power, rest = "", [*rest, power.replace("square", "squared").replace("cubic", "cubed").strip()]
    before = f"{_said(found['first'])} {joined} " if fields.get("first") else ""
    single = fields.get("hyphen") or not several(found["amount"])
    return before + " ".join([_said(found["amount"]), power + (noun if single else _plural(noun)), *rest])


def _part_of_unit(found: re.Match[str]) -> str:
    """Read 1/4 tsp as one quarter teaspoon; 120/80 and 8/16 are no parts."""
    above, below = int(found["above"]), int(found["below"])
    if not 0 < above < below or below not in PARTS or gcd(above, below) > 1:
        return found[0]
    noun, *rest = UNITS[found["unit"]].split(" ")
    if noun == "square":
        noun, rest = f"{noun} {rest[0]}", rest[1:]
    if found["whole"]:
        return " ".join([mixed(found), _plural(noun), *rest])
    return " ".join([fraction(found["above"], found["below"]), noun, *rest])


def _plural(noun: str) -> str:
    before, _, last = noun.rpartition(" ")
    last = PLURALS.get(last) or (last if last.endswith("hertz") else last + "s")
    return f"{before} {last}".strip()


def _rate(found: re.Match[str]) -> str:
    return f" per {RATES[found[1]]}"


def _feet(found: re.Match[str]) -> str:
    inches = f"{said(found[2])} inch{'es' if several(found[2]) else ''}"
    return f"{said(found[1])} {'feet' if several(found[1]) else 'foot'} {inches}"


CODE = "|".join(CURRENCIES)
RATE = "|".join(sorted(RATES, key=len, reverse=True))
AMOUNTS = (
    rule(r"(?<![\w)])[-−](?=\.?\d)", "minus "),
    rule(
        rf"(?P<article>\b[Aa]n?\s)?{LAND}(?:(?<![\w)])(?P<minus>[-−]))?(?P<sign>{SIGNS})\s?(?P<amount>{AMOUNT})"
        rf"(?:{DASH}(?P=sign)?(?P<last>{DECIMAL}))?{MAGNITUDE}",
        _money,
    ),
    rule(rf"(?<![\w.])(?P<amount>{AMOUNT})\s?(?P<sign>{SIGNS})(?!\w)", _money),
    rule(rf"\b(?P<code>{CODE})\s?(?P<amount>{DECIMAL}){MAGNITUDE}", _currency),
    rule(rf"(?<![\w.])(?P<amount>{DECIMAL}){MAGNITUDE}\s?(?P<code>{CODE})\b", _currency),
    rule(r"""(?<![\w.])(\d{1,2})['′]\s?(\d{1,2})(?:"|″|''|′′)""", _feet),
    rule(r"(?<![\w.])(\d{1,3})\s?h\s?(\d{1,2})\s?m(?:in)?\b", lambda found: f"{found[1]} hr {found[2]} min"),
    rule(
        r"(?<![\w.,/])(?:(?P<whole>\d{1,3})[\s-])?(?P<above>\d{1,2})/(?P<below>\d{1,2})(?:\s?|-)"
        rf"(?P<unit>{UNIT})(?![\w/²³^]|-\d)",
        _part_of_unit,
    ),
    rule(
        rf"(?<![\w.,/])(?:(?P<first>{DECIMAL})(?:{DASH}|(?P<over>/)))?"
        rf"(?P<amount>{AMOUNT})(?:\s?|(?P<hyphen>-))(?P<unit>{UNIT})"
        r"(?P<power>[²³]|\^[23])?(?![\w/²³^]|-\d)",
        _unit,
    ),
    rule(
        rf"(?<![\w.])(?P<first>{DECIMAL})\s?[-–—]\s?(?={DECIMAL}\s?%)", lambda found: f"{found['first']} to "
    ),
)
# After AMOUNTS, where "km/h" is one unit.
RATED = (rule(rf"(?<=[a-z])/({RATE})\b(?!/)", _rate),)
