"""The teachers' durations → the symbols of a passage, when each begins, and the letters it is read from."""

from dataclasses import dataclass

import numpy as np

from higgs.prompts.pronunciation import CONSONANTS, NUMBER, SAME_PHONE, STRESSES, VOWELS
from train.natural import Passage

STEPS_PER_UNIT = 2.5  # a unit of the teachers is 25 ms, a step of the features 10 ms
LEAD_STEPS, TAIL_STEPS = 8, 20  # of silence kept before the first phone and behind the last
PAUSE_OF = {",": ",", ";": ";", ":": ";", "—": ";", ".": ".", "…": ".", "?": "?", "!": "!"}


@dataclass(frozen=True)
class Timing:
    """N symbols in spoken order.

    Attributes:
        symbols: (N,), indices into SYMBOLS.
        begins: (N,), in steps, fractional.
        words: (N,), index of the word or punctuation mark, from 1; 0 for the silence before.
        places: (N, 2), index in its word, and the word's number of symbols.
        spans: (W + 1, 2), the characters of each word.
        first, last: the steps of the passage that are kept, to which `begins` is relative.
    """

    symbols: np.ndarray
    begins: np.ndarray
    words: np.ndarray
    places: np.ndarray
    spans: np.ndarray
    first: int
    last: int


def timing(passage: Passage) -> Timing | None:
    """Return when each symbol of a passage is spoken; None if the front end's words aren't its text."""
    if "".join(word + space for word, _, space in passage.words).strip() != passage.text.strip():
        return None
    found = [("pad", 0.0, 0)]
    end = float(passage.durations[0])
    stress, begin = "", None  # the stress, or the half of a space, that the next phone begins with
    for (sign, word), duration in zip(_signs(passage), passage.durations[1:], strict=False):
        phone = SAME_PHONE.get(sign, sign)
        symbol = stress + phone if phone in VOWELS else phone if phone in CONSONANTS else PAUSE_OF.get(sign)
        pausing = found[-1][0] in PAUSE_OF.values() or found[-1][0] == "pad"
        if sign in STRESSES:
            stress, begin = sign, end if begin is None else begin
        elif symbol is None:
            begin = begin if pausing else end + duration / 2
        elif not (pausing and sign in PAUSE_OF):
            found.append((symbol, end if begin is None else begin, word + 1))
            stress, begin = "", None
        end += float(duration)
    return _cut(passage, found, end + float(passage.durations[-1])) if len(found) > 1 else None


def _signs(passage: Passage) -> list[tuple[str, int]]:
    """Yield each sign of the phones with the index of its word."""
    signs = [
        (sign, number) for number, (_, phones, space) in enumerate(passage.words) for sign in phones + space
    ]
    while signs and signs[0][0] == " ":
        signs.pop(0)
    return signs[: len(passage.phones)]


def _cut(passage: Passage, found: list[tuple[str, float, int]], end: float) -> Timing:
    names, units, words = zip(*found, strict=True)
    begins = np.array(units) * STEPS_PER_UNIT
    total = end * STEPS_PER_UNIT
    first = int(max(0, begins[1] - LEAD_STEPS))
    last = int(min(total, begins[-1] + TAIL_STEPS)) if names[-1] in PAUSE_OF.values() else int(total)
    numbers = np.array(words)
    places = np.stack([_rank(numbers), np.bincount(numbers)[numbers]], axis=1)
    starts = np.cumsum([0, *(len(word + space) for word, _, space in passage.words)])
    spans = np.array([(0, 1), *((s, s + len(w[0])) for s, w in zip(starts, passage.words, strict=False))])
    symbols = np.array([NUMBER[name] for name in names])
    return Timing(symbols, np.maximum(begins - first, 0), numbers, places, spans, first, max(last, first + 8))


def _rank(numbers: np.ndarray) -> np.ndarray:
    """Return the rank of each of some sorted numbers among its equals."""
    return np.arange(len(numbers)) - np.searchsorted(numbers, numbers)
