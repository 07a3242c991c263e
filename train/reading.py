"""What codebook 0 says of a frame: the phone being said, and the letter it is read from.

A language model that notes both keeps its place in the text by looking for what it noted last, and says what
it has planned. The encoder can't know them: references carry UNREAD instead.
"""

from functools import cache

import numpy as np
import torch

from train.letters import letter_of_each_phone
from train.speech import PHONES, Utterance

SAME_PHONE = {"ax": "ah", "axr": "er", "dx": "d", "el": "l", "em": "m", "en": "n", "hv": "hh", "nx": "n"}
SAME_LETTER = {"j": "g", "q": "k", "x": "k", "z": "s"}
SOUNDS = [phone for phone in PHONES if phone not in SAME_PHONE]
LETTERS = "abcdefghiklmnoprstuvwy"
DIGIT, PAUSE = len(LETTERS), len(LETTERS) + 1
CLASSES = len(LETTERS) + 2
SOUND_OF_PHONE = np.array([SOUNDS.index(SAME_PHONE.get(phone, phone)) for phone in PHONES])


def letter_class(letter: str) -> int:
    """0..23: a letter, any digit, or any sign."""
    letter = letter.lower()
    letter = SAME_LETTER.get(letter, letter)
    return LETTERS.index(letter) if letter in LETTERS else DIGIT if letter.isdigit() else PAUSE


@cache
def phones_and_letters(utterance: Utterance) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The phones (N,) of an utterance one after the other, the letter, a fraction where it is several, that
    each comes from, and the frames that each lasts."""
    changes = np.flatnonzero(np.diff(utterance.phones, prepend=255))
    phones = utterance.phones[changes]
    letters = letter_of_each_phone([PHONES[phone] for phone in phones], utterance.text)
    return phones, letters, np.diff(changes, append=len(utterance.phones))


@cache
def letters_of_frames(utterance: Utterance) -> np.ndarray:
    """The letter (T,), a fraction where it is several, that each frame of an utterance comes from."""
    _, letters, frames = phones_and_letters(utterance)
    return np.repeat(letters, frames)


def stretch(rows: np.ndarray, frames: int) -> np.ndarray:
    """Rows (T,) of an utterance read at the frames of a clip warped to another tempo."""
    return rows[((np.arange(frames) + 0.5) * len(rows) / frames).astype(np.int64)]


@cache
def reading_of_frames(utterance: Utterance) -> np.ndarray:
    """The code (T,) of codebook 0, 0..959."""
    classes = np.array([letter_class(letter) for letter in utterance.text])
    return SOUND_OF_PHONE[utterance.phones] * CLASSES + classes[letters_of_frames(utterance).astype(np.int64)]


def reading(utterance: Utterance, frames: int) -> torch.Tensor:
    """Codes (frames,) of codebook 0 for a warped clip."""
    return torch.from_numpy(stretch(reading_of_frames(utterance), frames))


def letter_spans(utterance: Utterance, frames: int, length: int, reach: float) -> torch.Tensor:
    """First and last letter (frames, 2), of a text of `length` tokens, that each frame of a warped clip may
    come from."""
    middle = stretch(letters_of_frames(utterance), frames) * (length - 1) / max(1, len(utterance.text) - 1)
    spans = torch.from_numpy(np.stack([middle - reach, middle + reach], axis=1))
    return spans.round().long().clamp(0, length - 1)


@cache
def pronounced(utterance: Utterance, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which of a text's `length` tokens (N,) begin a sound, and the sound (N,), 0..39; without pauses. Of two
    sounds of one letter the first comes last, so that it stays when both are written."""
    phones, letters, _ = phones_and_letters(utterance)
    spoken = phones != PHONES.index("pau")
    tokens = np.floor(letters * (length - 1) / max(1, len(utterance.text) - 1)).astype(np.int64)
    sounds = SOUND_OF_PHONE[phones]
    return torch.from_numpy(tokens[spoken][::-1].copy()), torch.from_numpy(sounds[spoken][::-1].copy())
