"""Codebook 0 of a frame: the phone, the letter it is read from, and how many frames of the phone are left.

A language model that writes these keeps its place in the text by looking for what it wrote last, and says
what it has planned. A phone's duration is decided once, at its start, and counted down: of two equal phones
in a row none is lost, and none is held because continuing is likelier than ending. The encoder can't know any
of this: references have UNREAD instead.
"""

from functools import cache

import numpy as np
import torch

from higgs.codecs.vocoder.analysis import STEPS_PER_FRAME
from higgs.codecs.vocoder.letters import letter_class
from higgs.codecs.vocoder.network import LEFT_CLASSES, LETTER_CLASSES
from higgs.codecs.vocoder.reading import SAME_PHONE, SOUNDS
from train.speech import ODD, PHONES, Utterance, begins_of

SOUND_OF_PHONE = np.array([SOUNDS.index(SAME_PHONE.get(phone, phone)) for phone in PHONES])


def phones_of(utterance: Utterance) -> np.ndarray:
    """Return the phones (N,) of an utterance."""
    return utterance.phones[begins_of(utterance.phones)] % ODD


def phones_of_frames(utterance: Utterance, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each frame's phone (frames,), by its index, and the phone's frames left, in a warped clip.

    Many phones are shorter than a frame; each gets one nevertheless if there are enough.
    """
    begins = begins_of(utterance.phones)
    order = np.arange(len(begins))
    at = np.round(begins * frames / len(utterance.phones)).astype(np.int64)
    at = np.maximum.accumulate(at - order) + order
    at = np.minimum(at, frames - len(begins) + order).clip(min=0)
    numbers = np.searchsorted(at, np.arange(frames), side="right") - 1
    ends = np.append(at[1:], frames)
    return numbers, ends[numbers] - 1 - np.arange(frames)


def phone_times(utterance: Utterance, frames: int) -> np.ndarray:
    """Return where each step (4 · frames,) of a clip with phones on frames is in the utterance, in steps."""
    begins = begins_of(utterance.phones)
    numbers, left = phones_of_frames(utterance, frames)
    lasts = np.bincount(numbers, minlength=len(begins))[numbers]  # duration of the phone in frames
    quarters = (np.arange(STEPS_PER_FRAME) + 0.5) / STEPS_PER_FRAME
    shares = ((lasts - 1 - left)[:, None] + quarters) / lasts[:, None]
    lengths = np.diff(begins, append=len(utterance.phones))[numbers]
    times = begins[numbers][:, None] + shares * lengths[:, None] - 0.5
    return times.ravel().clip(0, len(utterance.phones) - 1)


@cache
def noted(utterance: Utterance) -> np.ndarray:
    """Return phone and letter class (N,) of an utterance's phones, 0..199."""
    phones, letters = phones_of(utterance), utterance.letters
    classes = [
        letter_class(PHONES[phone], utterance.text[int(letter)])
        for phone, letter in zip(phones, letters, strict=True)
    ]
    return SOUND_OF_PHONE[phones] * LETTER_CLASSES + np.array(classes)


def reading(utterance: Utterance, frames: int) -> torch.Tensor:
    """Return the codes (frames,) of codebook 0, 0..999, for a warped clip."""
    numbers, left = phones_of_frames(utterance, frames)
    return torch.from_numpy(noted(utterance)[numbers] * LEFT_CLASSES + left.clip(max=LEFT_CLASSES - 1))


def letter_spans(utterance: Utterance, frames: int, length: int, reach: float) -> torch.Tensor:
    """Return the first and last letter (frames, 2) of each frame, in a text of `length` tokens."""
    numbers, _ = phones_of_frames(utterance, frames)
    middle = utterance.letters[numbers] * (length - 1) / max(1, len(utterance.text) - 1)
    spans = torch.from_numpy(np.stack([middle - reach, middle + reach], axis=1))
    return spans.round().long().clamp(0, length - 1)


@cache
def pronounced(utterance: Utterance, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which of a text's `length` tokens (N,) begin a sound, and the sound (N,), 0..39, without pauses.

    Of two sounds of one letter the first comes last, so that it remains if both are written to one place.
    """
    phones, letters = phones_of(utterance), utterance.letters
    spoken = phones != PHONES.index("pau")
    tokens = np.floor(letters * (length - 1) / max(1, len(utterance.text) - 1)).astype(np.int64)
    sounds = SOUND_OF_PHONE[phones]
    return torch.from_numpy(tokens[spoken][::-1].copy()), torch.from_numpy(sounds[spoken][::-1].copy())
