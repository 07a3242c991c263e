"""Symbols of mathematics, code and print → words; letters that English lacks → English ones."""
# ruff: noqa: RUF001 (letters and signs that look alike)

import re
import unicodedata

from text.rules import rule
from text.traced import Traced

PARTS = {sign: unicodedata.normalize("NFKC", sign).replace("\u2044", "/") for sign in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅐⅑⅒"}
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ", "0123456789n", "⁺") | {ord("⁻"): "-"}
LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
# fmt: off
SIGNS = {
    "&": "and", "@": "at", "+": "plus", "=": "equals", "÷": "divided by", "×": "times",
    "±": "plus or minus",
    "≤": "is less than or equal to", "≥": "is greater than or equal to", "≠": "is not equal to",
    "≈": "is about", "∞": "infinity", "∑": "the sum of", "∫": "the integral of", "∂": "partial",
    "√": "the square root of", "∛": "the cube root of", "∆": "delta", "∇": "nabla", "∈": "in",
    "∴": "therefore",
    "→": "to", "⇒": "so", "←": "from", "%": "percent", "‰": "per mille", "§": "section", "¶": "paragraph",
    "©": "copyright", "™": "", "®": "", "№": "number ", "°": "degrees", "℅": "care of", "−": "minus",
    "•": ",", "·": "", "|": ",", "\\": ",", "_": "", "^": "", "~": "", "*": "", "`": "", "#": "",
    "†": "", "‡": "", "<": "", ">": "",
    "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee", "¢": "cent", "$": "dollar",
}
# fmt: on
# Signs that are silent, or a breath, stand without space around them.
TABLE = str.maketrans(
    {sign: spoken if spoken in ("", ",") else f" {spoken} " for sign, spoken in SIGNS.items()}
    | {sign: " " for sign in "_~^*`<>[]{}"}
)
LETTERS = str.maketrans(
    {
        "ß": "ss",
        "ẞ": "SS",
        "ð": "th",
        "Ð": "Th",
        "þ": "th",
        "Þ": "Th",
        "ı": "i",
        "ŋ": "ng",
        "Ŋ": "Ng",
        "µ": "micro",
        "ə": "e",
        "ſ": "s",
    }
)
LATIN = re.compile(
    r"(?:LATIN|MODIFIER) (SMALL|CAPITAL|LETTER SMALL|LETTER CAPITAL) (?:LETTER |LIGATURE )?([A-Z]{1,2})\b"
)
GREEK = re.compile(r"GREEK (?:SMALL|CAPITAL) LETTER (?:FINAL )?([A-Z]+)\b")
COMPARED = {"<=": "≤", ">=": "≥", "!=": "≠", "==": "=", "->": "→", "=>": "→"}

BEFORE, BEHIND = r"(?<=[\w)%°²³])", r"(?=[-−+]?(?:[\w($€£¥√]|\.\d))"
NUMBER = r"(?=[-−+]?[$€£¥]?\.?\d)"
COMPARISONS = (
    # <name>, <K, V> and <your name> are in brackets; in a<b and c>d two things are compared.
    rule(
        r"(?<![\w)])<([A-Za-z/][^<>\n]{0,98}[^\s<>])>|<([A-Za-z/][^<>\n]{0,98}[^\s<>])>(?!\w)|<([A-Za-z/][^\s<>]{0,99})>",
        lambda found: f" {found[1] or found[2] or found[3]} ",
    ),
    rule(r"\b(I|[Ww]e|[Yy]ou|[Tt]hey) <3(?= [A-Za-z])", r"\1 love"),
    # Menus are paths: File>Save As compares nothing.
    rule(r"(?<=[a-z]{2})>(?=[A-Z][a-z])", ", "),
    *(
        compared
        for sign, than in (("<", "less than"), (">", "greater than"))
        for compared in (
            rule(rf"(?:(?<=\b[iI]s)|(?<=\bare))\s{sign}\s?(?=[\w(])", f" {than} "),
            rule(rf"{BEFORE}(\s?){sign}\1{BEHIND}|{BEFORE}{sign}\s{NUMBER}", f" is {than} "),
            rule(rf"(?<![\w<>=-]){sign}{NUMBER}", f" {than} "),
        )
    ),
)
FRACTIONS = (
    rule(
        f"(\\d?)([{''.join(PARTS)}])",
        lambda found: f"{found[1]} {PARTS[found[2]]}" if found[1] else PARTS[found[2]],
    ),
)
MATHEMATICS = (
    rule("|".join(map(re.escape, COMPARED)), lambda found: f" {COMPARED[found[0]]} "),
    rule(r"(?<=[\w)])(?:²|\^2\b)", " squared "),
    rule(r"(?<=[\w)])(?:³|\^3\b)", " cubed "),
    rule(r"(?<=[\w)])\^\(?(-?\w+)\)?", r" to the power of \1 "),
    rule(r"(?<=[\w)])([⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+)", lambda found: f" to the power of {found[1].translate(RAISED)} "),
    rule(r"[₀₁₂₃₄₅₆₇₈₉]+", lambda found: found[0].translate(LOWERED)),
    rule(r"(?<=\b\w)\s?\*\s?(?=\w\b)", " times "),
    rule(r"≈(?=\s?\d)", " about "),
    rule(r"\b([CFJ])#", r"\1 sharp"),
    rule(r"(?<!\w)#(?=[A-Za-z])", " hashtag "),
    rule(r"\b([A-Za-z])\s?[-−]\s?(?=\w+\s?=)", r"\1 minus "),
    rule(r"(?<=\w)\(s\)", "s"),
    rule(r"\([cC]\)(?=\s\d{4}|\s[A-Z])", "copyright"),
    rule(r"\bw/o\b", "without"),
    rule(r"\bw/(?=\s?\w)", "with "),
)


def signs_as_words(text: Traced) -> Traced:
    """Replace symbols that have names, and Latin and Greek letters outside of a to z and its accents."""
    return text.translated(TABLE).translated(LETTERS).mapped(plain_letter)


def plain_letter(letter: str) -> str:
    """Return a letter in English ones, by its Unicode name: ł is l, æ is ae, π is pi."""
    if letter.isascii() or not letter.isalpha() or _accented(letter):
        return letter
    name = unicodedata.name(letter, "")
    if greek := GREEK.match(name):
        return f" {greek[1].lower().replace('lamda', 'lambda')} "
    latin = LATIN.match(name)
    if latin is None:
        return letter
    return latin[2] if "CAPITAL" in latin[1] else latin[2].lower()


def _accented(letter: str) -> bool:
    """Return whether it is an accented English letter, which may remain."""
    return unicodedata.normalize("NFKD", letter)[0].isascii()
