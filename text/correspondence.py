"""Align the words of a rule's replacement with the words that it replaces.

"10 km" is spoken as "ten kilometers": "ten" stands for "10", "kilometers" for "km". The alignment keeps the
order and prefers pairs of words that begin alike (dynamic programming).
"""

import re
from collections.abc import Iterator

WORD = re.compile(r"\S+")
UNLIKE, UNSAID = 1.0, 2.0
MAX_WORDS = 40  # a longer match is aligned as a whole


def words_for(written: str, said: str) -> Iterator[tuple[int, int, int]]:
    """Yield the parts of `said` with the part of `written` that each stands for: (length, start, end).

    A part that stands for nothing, such as a space, has equal start and end.
    """
    theirs, ours = list(WORD.finditer(written)), list(WORD.finditer(said))
    if not ours or not theirs:
        yield len(said), 0, len(written)
        return
    if len(theirs) == 1 or len(ours) == 1 or max(len(theirs), len(ours)) > MAX_WORDS:
        yield len(said), theirs[0].start(), theirs[-1].end()
        return
    at = 0
    for word, (first, last) in zip(ours, matched([w[0] for w in theirs], [w[0] for w in ours]), strict=True):
        start, end = theirs[first].start(), theirs[last].end()
        yield word.start() - at, start, start  # the space before it
        yield len(word[0]), start, end
        at = word.end()
    yield len(said) - at, len(written), len(written)


def matched(written: list[str], said: list[str]) -> list[tuple[int, int]]:
    """Align two lists of words; return the first and last written word that each spoken one stands for.

    The spans are in order, and cover all written words.
    """
    rows, columns = len(said), len(written)
    cost = [[0.0 if alike(w, s) else UNLIKE for w in written] for s in said]
    best = [[float("inf")] * columns for _ in range(rows)]
    steps = [[(0, 0)] * columns for _ in range(rows)]
    for i in range(rows):
        for j in range(columns):
            # A spoken word continues the current written word, starts the next, or covers several.
            before = [(best[i - 1][j] if i else float("inf"), (1, 0))]
            before.append((best[i - 1][j - 1] if i and j else 0.0 if i == j == 0 else float("inf"), (1, 1)))
            before.append((best[i][j - 1] + UNSAID if j else float("inf"), (0, 1)))
            total, steps[i][j] = min(before)
            best[i][j] = total + (cost[i][j] if steps[i][j] != (0, 1) else 0.0)
    spans = [[columns, -1] for _ in range(rows)]
    i, j = rows - 1, columns - 1
    while i >= 0 and j >= 0:
        spans[i] = [min(spans[i][0], j), max(spans[i][1], j)]
        back = steps[i][j]
        i, j = i - back[0], j - back[1]
    return [(first, last) for first, last in spans]


def alike(written: str, said: str) -> bool:
    """Return whether a word may stand for a written one: digits and signs match all, others by initial."""
    first = written.lstrip("([\"'")[:1]
    return not first.isalpha() or first.lower() == said[:1].lower()
