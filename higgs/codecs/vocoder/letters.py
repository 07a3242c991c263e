"""English phones and the letters they are written with: how the bundled model tells its place in a text.

In codebook 0 it notes each frame's phone and the class of the letter that it reads it from; a path through
both says which letter that is. The recipe lays the teachers' phones on their texts by the same path.
"""

from itertools import pairwise

import numpy as np

from higgs.codecs.vocoder.network import LETTER_CLASSES

VOWELS = "aeiouyw"
SPELLINGS = {
    **dict.fromkeys(
        ("aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "ey", "ih", "iy", "ow", "oy", "uh", "uw"), VOWELS
    ),
    **dict.fromkeys(("er", "axr"), "reiou"),
    **{
        "b": "b",
        "ch": "ct",
        "d": "d",
        "dh": "th",
        "dx": "td",
        "el": "le",
        "em": "me",
        "en": "neo",
        "f": "fph",
    },
    **{"g": "gx", "hh": "hw", "hv": "hw", "jh": "jgd", "k": "kcqx", "l": "l", "m": "m", "n": "nk", "nx": "n"},
    **{
        "ng": "ng",
        "p": "p",
        "r": "r",
        "s": "scxz",
        "sh": "shct",
        "t": "td",
        "th": "th",
        "v": "vf",
        "w": "wuo",
    },
    **{"y": "yieu", "z": "zsx", "zh": "szg", "pau": " ,.;:?!-"},
}
PAUSE = "pau"
VOWEL_CLASSES, PAUSE_CLASSES = ("a", "e", "iy", "o"), (" ", ",", ".", "?!")
# In fifths, so that sums are exact and paths don't hang on their rounding.
MISMATCH, SPACE = 5.0, 2.0


def letter_class(phone: str, letter: str) -> int:
    """0..4: which of the letters that a phone is written with; the last stands for all others."""
    spelling = SPELLINGS[phone]
    classes = VOWEL_CLASSES if spelling == VOWELS else PAUSE_CLASSES if phone == PAUSE else spelling
    found = (i for i, letters in enumerate(classes[: LETTER_CLASSES - 1]) if letter.lower() in letters)
    return next(found, LETTER_CLASSES - 1)


def letter_cost(phone: str, letter: str) -> float:
    """What it costs to read a phone from a letter in lower case."""
    if letter in SPELLINGS[phone]:
        return 0.0
    return SPACE if letter == " " else MISMATCH


def cheapest_path(cost: np.ndarray, whole: bool = True) -> list[list[int]]:
    """The letters of each phone on the cheapest monotonic path through a cost (phones, letters).

    whole: it ends at the last letter; else where it is cheapest: the rest is still to be spoken.
    """
    total = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
    total[0, 0] = 0.0
    for row, (before, here) in zip(cost, pairwise(total), strict=True):
        # A cell is reached from the row before, or along its own: the cheapest entry so far and all since.
        along = np.cumsum(row)
        reach = np.minimum(before[:-1], before[1:]) - (along - row)
        here[1:] = along + np.minimum.accumulate(reach)
    i, j = cost.shape[0], cost.shape[1] if whole else int(total[-1].argmin())
    visited: list[list[int]] = [[] for _ in range(i)]
    while i > 0 and j > 0:
        visited[i - 1].append(j - 1)
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(steps, key=lambda step: total[step])
    return visited
