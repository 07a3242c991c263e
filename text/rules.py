"""A reading as a list of rules: a pattern, and what is said for what it finds."""

import re
from collections.abc import Callable, Iterable

from text.traced import Traced

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def rule(pattern: str, spoken: str | Callable[[re.Match[str]], str], flags: int = 0) -> Rule:
    """A rule whose words are fixed (a template as of re.Match.expand) or made of what was found."""
    if isinstance(spoken, str):
        template = spoken
        return re.compile(pattern, flags), lambda found: found.expand(template)
    return re.compile(pattern, flags), spoken


def words_in(text: str) -> frozenset[str]:
    """A list of words, as it reads best in a source."""
    return frozenset(text.split())


def applied(text: str, rules: Iterable[Rule]) -> Traced:
    """The text after each rule in turn."""
    traced = Traced.of(text)
    for pattern, spoken in rules:
        traced = traced.sub(pattern, spoken)
    return traced
