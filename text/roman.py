"""Roman numerals that are numbers: World War II, Henry VIII, Chapter IV, the XIX century."""

import re

from text.numbers import ordinal, said
from text.rules import rule

NUMERAL = r"(?=[IVXLC])(?:C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[IVXLC])"
VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
# Nouns and names that are followed by a numeral.
NUMBERED = (
    r"(?:World War|Super Bowl|[Cc]hapter|[Pp]art|[Vv]olume|[Vv]ol\.|[Aa]ct|[Ss]cene|[Ss]ection|[Bb]ook"
    r"|[Tt]itle|[Aa]rticle|[Pp]hase|[Ss]tage|[Tt]ype|[Cc]lass|[Gg]rade|[Ll]evel|[Ee]pisode|[Ss]eason"
    r"|[Aa]ppendix|[Ff]igure|[Tt]able|[Rr]ound|[Mm]ark|[Tt]ier|[Cc]ategory|[Ss]chedule|[Ss]tep|[Uu]nit|[Ll]esson)"
)
RULERS = (
    r"(?:Henry|Charles|George|Edward|James|Elizabeth|Mary|William|Louis|Philip|Peter|Nicholas|Frederick|Richard"
    r"|Francis|Ferdinand|Otto|Paul|Pius|Benedict|Alexander|Catherine|Napoleon|Leo|Gregory|Innocent|Clement"
    r"|Urban|Ramesses|Ramses|Ivan|Olaf|Harald|Haakon|Gustav|Christian|Alfonso|Carlos|Felipe|Umberto|Leopold"
    r"|Wilhelm|Joseph|Rudolf|Ludwig|Malcolm|Robert|John|Stephen|Thutmose|Ptolemy|Darius|Xerxes|Constantine"
    r"|(?:[Pp]ope|[Kk]ing|[Qq]ueen|[Ee]mperor|[Tt]sar|[Cc]zar|[Ss]ultan)\s[A-Z][a-z]+)"
)
# "Elizabeth I was" is the first; in "Elizabeth I love you" she speaks.
NOT_SPEAKING = r"(?=\s*$|[,.;:?!)'’]|\s(?:was|is|of|and|who|in|had|ruled|reigned|died|became)\b)"  # noqa: RUF001


def value(numeral: str) -> int:
    numbers = [VALUES[letter] for letter in numeral]
    return sum(-a if a < b else a for a, b in zip(numbers, [*numbers[1:], 0], strict=True))


def _nth(found: re.Match[str]) -> str:
    return f"{found[1]} the {ordinal(str(value(found[2])))}"


def _number(found: re.Match[str]) -> str:
    return f"{found[1]} {said(str(value(found[2])))}"


def _numbers(found: re.Match[str]) -> str:
    return found[1] + re.sub(r"[IVXLC]+", lambda each: said(str(value(each[0]))), found[2])


ROMAN = (
    rule(
        rf"\b({NUMBERED}s?\s)({NUMERAL}(?:(?:,|,?\s(?:and|or|to|through|&))\s(?!I\b){NUMERAL}\b)+)(?!['’.]?[A-Za-z])",  # noqa: RUF001
        _numbers,
    ),
    rule(rf"\b({NUMBERED})\s(?!I\b)({NUMERAL})\b(?!['’.]?[A-Za-z])", _number),  # noqa: RUF001
    rule(r"\b(World War)\s(I)\b", _number),
    # "Part I of it" is the first; "the part I like" is not.
    rule(rf"\b({NUMBERED})\s(I)\b(?=\s*$|[,.;:?!)]|\s(?:of|and)\b)", _number),
    rule(rf"\b({RULERS})\s(?!I\b)(?!X\b)({NUMERAL})\b", _nth),
    rule(rf"\b({RULERS})\s(I)\b{NOT_SPEAKING}", _nth),
    rule(rf"\b({NUMERAL})(?:th)?(?=\scentur(?:y|ies)\b)", lambda found: ordinal(str(value(found[1])))),
    rule(r"\b([A-Z][a-z]+)\s(?=[IVX]{2})((?:X{0,3})(?:IX|IV|V?I{0,3})(?<=[IVX]))\b", _number),
)
