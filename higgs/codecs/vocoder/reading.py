"""What the bundled model's codebook 0 tells of a text: which letter each phone is read from, and when.

The notes are the model's own plan (see network), so that no sound has to be recognised. A phone is a run of
frames that note it and count down how many of it are left.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from higgs.codecs.reading import ReadSound
from higgs.codecs.vocoder.letters import (
    MISMATCH,
    PAUSE,
    SPELLINGS,
    cheapest_path,
    letter_class,
)
from higgs.codecs.vocoder.network import LEFT_CLASSES, LETTER_CLASSES, READING_BOOK, SOUND_CLASSES

# Phones that sound alike are noted as one.
SAME_PHONE = {"ax": "ah", "axr": "er", "dx": "d", "el": "l", "em": "m", "en": "n", "hv": "hh", "nx": "n"}
SOUNDS = (
    *("pau", "aa", "ae", "ah", "ao", "aw", "ay", "b", "ch", "d", "dh", "eh", "er", "ey", "f", "g", "hh"),
    *("ih", "iy", "jh", "k", "l", "m", "n", "ng", "ow", "oy", "p", "r", "s", "sh", "t", "th", "uh", "uw"),
    *("v", "w", "y", "z", "zh"),
)
# A letter that the phone may be written with, but not the one noted; and where the one noted is none of them,
# as for the n of "nine" the mean of n and e may be. Both are less than a space costs.
OTHER_CLASS, NEIGHBOUR, BETWEEN_WORDS = MISMATCH / 2, MISMATCH / 5, 0.6 * MISMATCH
LETTERS = 128
# The frames by which a phone is noted later than it sounds. Measured: bench/LOG.md.
LAG = 1.5


def sounds_read(codes: torch.Tensor, text: str, whole: bool) -> list[ReadSound]:
    """The sounds of codes (8, T) that speak a text, in order, without the pauses.

    whole: all of the text was spoken; else its end is still to come.
    """
    runs = phone_runs(codes[READING_BOOK].numpy())
    if not runs or not text:
        return []
    letters = np.array([min(ord(letter), LETTERS - 1) for letter in text.lower()])
    cost = np.stack([costs(note)[letters] for note, _, _ in runs])
    found = []
    for (note, start, end), own, visited in zip(runs, cost, cheapest_path(cost, whole), strict=True):
        if SOUNDS[note // LETTER_CLASSES] != PAUSE and visited:
            found.append(ReadSound(start, end, min(visited, key=lambda letter: (own[letter], letter))))
    return found


def sounds_heard(codes: torch.Tensor, text: str, whole: bool) -> list[ReadSound]:
    """Return the sounds as `sounds_read` does, at the frames (not whole ones) where they are heard."""
    return [
        replace(sound, start=max(sound.start - LAG, 0.0), end=max(sound.end - LAG, 0.0))
        for sound in sounds_read(codes, text, whole)
    ]


def phone_runs(row: np.ndarray) -> list[tuple[int, int, int]]:
    """The phones of a row (T,) of codebook 0: what is noted, first frame and the end of the last. Frames that
    tell nothing belong to none."""
    runs: list[tuple[int, int, int]] = []
    before = LEFT_CLASSES
    for frame, code in enumerate(row.tolist()):
        note, left = divmod(code, LEFT_CLASSES)
        if note >= SOUND_CLASSES * LETTER_CLASSES:
            before = 0
            continue
        goes_on = left < before or left == LEFT_CLASSES - 1 == before
        if runs and runs[-1][0] == note and goes_on and runs[-1][2] == frame:
            runs[-1] = (note, runs[-1][1], frame + 1)
        else:
            runs.append((note, frame, frame + 1))
        before = left
    return runs


@cache
def costs(note: int) -> np.ndarray:
    """What it costs to read a phone, noted with the class of its letter, from each letter (128,)."""
    phone, noted = SOUNDS[note // LETTER_CLASSES], note % LETTER_CLASSES
    found = np.empty(LETTERS)
    for place, letter in enumerate(map(chr, range(LETTERS))):
        if letter not in SPELLINGS[phone]:
            found[place] = BETWEEN_WORDS if letter == " " else MISMATCH
        elif letter_class(phone, letter) == noted:
            found[place] = 0.0
        else:
            found[place] = NEIGHBOUR if noted == LETTER_CLASSES - 1 else OTHER_CLASS
    return found
