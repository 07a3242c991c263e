"""Normalisation rules: a pattern, and its replacement."""

import re
from collections.abc import Callable, Iterable

from concurrency import raise_if_cancelled
from text.traced import Traced

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def rule(pattern: str, spoken: str | Callable[[re.Match[str]], str], flags: int = 0) -> Rule:
    """Create a rule with a fixed replacement (a template for re.Match.expand) or a function."""
    if isinstance(spoken, str):
        template = spoken
        return re.compile(pattern, flags), lambda found: found.expand(template)
    return re.compile(pattern, flags), spoken


def words_in(text: str) -> frozenset[str]:
    """Split a list of words written as one string."""
    return frozenset(text.split())


def applied(text: str, rules: Iterable[Rule]) -> Traced:
    """Apply the rules in order. Raises Cancelled if the work was cancelled: a book takes a while."""
    traced = Traced.of(text)
    for pattern, spoken in rules:
        raise_if_cancelled()
        traced = traced.sub(pattern, spoken)
    return traced
