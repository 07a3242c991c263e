"""Pauses in a text: [pause 0.5s], [pause 500ms], <break time="0.5s"/> or <break strength="weak"/>.

Without a duration, [pause] and <break/> are 0.5 s.
"""

import re

from errors import InvalidRequest
from text.traced import Traced

MARK = re.compile(r"(\[pause\b[^\]\n]{0,80}\]|<break\b[^>\n]{0,80}>(?:</break>)?)", re.IGNORECASE)
TIME = r"(?P<number>\d{1,6}(?:\.\d{1,6})?)\s*(?P<unit>ms|s)"
BRACKETED = re.compile(rf"\[pause(?:[\s:]\s*{TIME})?\s*\]", re.IGNORECASE)
ELEMENT = re.compile(
    rf"""<break(?:\s+time\s*=\s*(?P<quote>["']){TIME}(?P=quote)|\s+strength\s*=\s*["'](?P<strength>[a-z-]{{1,8}})["']){{0,2}}"""
    r"\s*/?>(?:</break>)?",
    re.IGNORECASE,
)
# Seconds of SSML's strengths.
STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 0.75, "x-strong": 1.25}
USUAL_SECONDS = 0.5
MAX_PAUSE_SECONDS, MAX_TOTAL_SECONDS = 10.0, 60.0


def parted(text: str) -> list[Traced | float]:
    """Split a text at its pauses: texts and pauses in seconds alternate.

    Raises:
        InvalidRequest: invalid_pause: malformed, longer than 10 s, or more than 60 s in all.
    """
    pieces = list(Traced.of(text).parts(MARK))
    seconds = [_seconds(mark[0]) for _, mark in pieces if mark]
    if sum(seconds) > MAX_TOTAL_SECONDS:
        raise _invalid(
            f"The pauses last {sum(seconds):g} s together; the maximum is {MAX_TOTAL_SECONDS:g} s."
        )
    parts: list[Traced | float] = [pieces[0][0]]
    for pause, (following, _) in zip(seconds, pieces[1:], strict=True):
        parts += [pause, following]
    return parts


def without_pauses(text: str) -> str:
    return MARK.sub(" ", text).strip()


def _seconds(mark: str) -> float:
    found = (BRACKETED if mark.startswith("[") else ELEMENT).fullmatch(mark)
    if found is None:
        raise _invalid(f'{mark} is no pause; write [pause 0.5s], [pause 500ms] or <break time="0.5s"/>.')
    strength = found.groupdict().get("strength")
    if strength and strength.lower() not in STRENGTHS:
        raise _invalid(f"{mark} is no pause; its strength is one of {', '.join(STRENGTHS)}.")
    if found["number"] is None:
        return STRENGTHS[strength.lower()] if strength else USUAL_SECONDS
    seconds = float(found["number"]) / (1000 if found["unit"].lower() == "ms" else 1)
    if seconds > MAX_PAUSE_SECONDS:
        raise _invalid(f"{mark} is longer than the {MAX_PAUSE_SECONDS:g} s that a pause may last.")
    return seconds


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_pause")
