"""Which letter of a text each phone of its speech comes from, well enough to guide an attention head."""

import numpy as np

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
MISMATCH, SPACE = 1.0, 0.4


def letter_of_each_phone(phones: list[str], text: str) -> np.ndarray:
    """Index (len(phones),) of the middle letter of each phone, on the cheapest monotonic path through
    both."""
    letters = text.lower()
    cost = np.array([[_cost(phone, letter) for letter in letters] for phone in phones])
    total = np.full((len(phones) + 1, len(letters) + 1), np.inf)
    total[0, 0] = 0.0
    for i, row in enumerate(cost):
        before, here = total[i], total[i + 1]
        reach = np.minimum(before[:-1], before[1:])
        for j, own in enumerate(row):
            here[j + 1] = own + min(reach[j], here[j])
    return _trace(total)


def _cost(phone: str, letter: str) -> float:
    if letter in SPELLINGS[phone]:
        return 0.0
    return SPACE if letter == " " else MISMATCH


def _trace(total: np.ndarray) -> np.ndarray:
    """Walk the path back; the mean letter of each phone."""
    i, j = total.shape[0] - 1, total.shape[1] - 1
    visited: list[list[int]] = [[] for _ in range(i)]
    while i > 0 and j > 0:
        visited[i - 1].append(j - 1)
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(steps, key=lambda step: total[step])
    return np.array([np.mean(letters) if letters else 0.0 for letters in visited])
