"""Where words that are known to be said stand among those that a recogniser heard."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from asr.transcript import Span, Word


def places(heard: Sequence[Word], said: Sequence[str]) -> list[Span | None]:
    """When each word is said; None for one of which no letter was heard.

    Letters are compared, so that words count that were heard with a wrong letter, or as two.
    """
    letters: list[str] = []
    times: list[Span] = []
    for word in heard:
        own = _letters(word.text)
        each = (word.end - word.start) / max(len(own), 1)
        letters += own
        times += [(word.start + i * each, word.start + (i + 1) * each) for i in range(len(own))]
    ours = [letter for text in said for letter in _letters(text)]
    matched: dict[int, Span] = {}
    for step in Levenshtein.opcodes(ours, letters):
        if step.tag == "equal":
            shift = step.dest_start - step.src_start
            matched |= {place: times[place + shift] for place in range(step.src_start, step.src_end)}
    found: list[Span | None] = []
    at = 0
    for text in said:
        until = at + len(_letters(text))
        here = [matched[place] for place in range(at, until) if place in matched]
        found.append((here[0][0], here[-1][1]) if here else None)
        at = until
    return found


def _letters(word: str) -> list[str]:
    return [letter for letter in word.casefold() if letter.isalnum()]
