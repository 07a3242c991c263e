"""What the language model is taught to note of its place in the text."""

import numpy as np
import torch

from train.reading import CLASSES, SOUNDS, letter_class, letter_spans, pronounced, reading
from train.speech import PHONES, Utterance

TEXT = "The cat."
SPOKEN = ["pau", "dh", "dh", "ax", "k", "k", "ae", "ae", "ae", "t", "pau"]


def utterance() -> Utterance:
    phones = np.array([PHONES.index(phone) for phone in SPOKEN], np.uint8)
    return Utterance(TEXT, 0, np.zeros((4 * len(phones), 70), np.float16), phones)


def told(codes: torch.Tensor) -> list[tuple[str, int]]:
    return [(SOUNDS[code // CLASSES], int(code % CLASSES)) for code in codes]


def test_each_frame_tells_its_phone_and_its_letter() -> None:
    found = told(reading(utterance(), len(SPOKEN)))
    assert [phone for phone, _ in found[1:-1]] == ["dh", "dh", "ah", "k", "k", "ae", "ae", "ae", "t"]
    letters = [letter for _, letter in found[1:-1]]
    assert letters == [letter_class(letter) for letter in "hheccaaat"]


def test_codes_stay_below_the_mark_of_what_is_unread() -> None:
    assert len(SOUNDS) * CLASSES <= 1023
    assert {letter_class(chr(i)) for i in range(256)} == set(range(CLASSES))


def test_a_slower_clip_reads_the_same_in_more_frames() -> None:
    plain, slow = reading(utterance(), len(SPOKEN)), reading(utterance(), 2 * len(SPOKEN))
    assert torch.equal(slow, plain.repeat_interleave(2))


def test_the_guide_walks_from_the_first_to_the_last_letter() -> None:
    spans = letter_spans(utterance(), len(SPOKEN), length=len(TEXT), reach=1.2)
    assert (spans[:, 0] <= spans[:, 1]).all()
    assert (spans.diff(dim=0) >= 0).all()
    assert spans[0, 0] == 0 and spans[-1, 1] == len(TEXT) - 1


def test_each_sound_is_pronounced_at_its_letter() -> None:
    tokens, sounds = pronounced(utterance(), len(TEXT))
    told = {TEXT[token]: SOUNDS[sound] for token, sound in zip(tokens, sounds, strict=True)}
    assert told == {"h": "dh", "e": "ah", "c": "k", "a": "ae", "t": "t"}


def test_of_two_sounds_of_one_letter_the_first_is_written_last() -> None:
    phones = np.array([PHONES.index(phone) for phone in ["ow", "k", "s"]], np.uint8)
    tokens, sounds = pronounced(Utterance("ox", 0, np.zeros((12, 70), np.float16), phones), 2)
    assert list(zip(tokens.tolist(), [SOUNDS[s] for s in sounds], strict=True))[-2:] == [(1, "k"), (0, "ow")]
