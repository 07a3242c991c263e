"""When each letter is read, by the bundled model's notes. Kinds of fault: a word at its neighbour's time."""

import numpy as np
import pytest
import torch

from higgs.codecs.vocoder.letters import letter_class
from higgs.codecs.vocoder.network import LEFT_CLASSES, LETTER_CLASSES, UNREAD
from higgs.codecs.vocoder.reading import LAG, SOUNDS, phone_runs, sounds_heard, sounds_read

TEXT = "The cat sat."
# Phone, the letter that it is read from, and frames.
SPOKEN = [
    *[("pau", " ", 2), ("dh", "h", 1), ("ah", "e", 2), ("k", "c", 3), ("ae", "a", 6), ("t", "t", 1)],
    *[("pau", " ", 2), ("s", "s", 2), ("ae", "a", 4), ("t", "t", 2), ("pau", ".", 5)],
]


def codes_of(spoken: list[tuple[str, str, int]]) -> torch.Tensor:
    row = [
        (SOUNDS.index(phone) * LETTER_CLASSES + letter_class(phone, letter)) * LEFT_CLASSES
        + min(frames - 1 - at, LEFT_CLASSES - 1)
        for phone, letter, frames in spoken
        for at in range(frames)
    ]
    return torch.tensor(row).expand(8, -1).clone()


def test_each_sound_is_read_from_its_letter() -> None:
    found = sounds_read(codes_of(SPOKEN), TEXT, True)
    assert [TEXT[sound.letter] for sound in found] == list("hecatsat")
    assert [(sound.start, sound.end) for sound in found][:3] == [(2, 3), (3, 5), (5, 8)]
    assert found[-1].letter == 10


def test_sounds_are_heard_before_they_are_noted() -> None:
    codes = codes_of(SPOKEN)
    for heard, read in zip(sounds_heard(codes, TEXT, True), sounds_read(codes, TEXT, True), strict=True):
        assert (heard.start, heard.end, heard.letter) == (read.start - LAG, read.end - LAG, read.letter)
    (first,) = sounds_heard(codes_of([("ah", "a", 1)]), "A", True)
    assert (first.start, first.end) == (0, 0)


@pytest.mark.parametrize("noted", ["n", "e", " "])
def test_a_silent_letter_takes_no_sound_from_its_word(noted: str) -> None:
    """The last n of "nine" may note the letter behind it: it is the mean of the letters it is read from."""
    nine = [("n", "n", 2), ("ay", "i", 4), ("n", noted, 3)]
    text, spoken = (
        "nine forty",
        [*nine, ("f", "f", 2), ("ao", "o", 3), ("r", "r", 1), ("t", "t", 2), ("iy", "y", 3)],
    )
    found = sounds_read(codes_of(spoken), text, True)
    assert [text[sound.letter] for sound in found] == list("ninforty")


def test_two_like_phones_in_a_row_are_two() -> None:
    codes = codes_of([("s", "s", 2), ("s", "s", 3), ("t", "t", 1)])
    assert [(start, end) for _, start, end in phone_runs(codes[0].numpy())] == [(0, 2), (2, 5), (5, 6)]


def test_what_is_under_way_is_read_as_far_as_it_came() -> None:
    codes = codes_of(SPOKEN)
    whole = sounds_read(codes, TEXT, True)
    for frames in range(4, codes.shape[1]):
        *part, _ = sounds_read(codes[:, :frames], TEXT, False)  # where the last one is read from shows later
        assert [sound.letter for sound in part] == [sound.letter for sound in whole[: len(part)]]


def test_frames_that_tell_nothing_are_no_sounds() -> None:
    assert sounds_read(torch.full((8, 5), UNREAD), TEXT, True) == []
    assert sounds_read(torch.zeros(8, 0, dtype=torch.int64), TEXT, True) == []
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.integers(0, 1024, (8, 200)))
    found = sounds_read(noise, TEXT, True)
    assert all(0 <= sound.letter < len(TEXT) for sound in found)
    assert [sound.letter for sound in found] == sorted(sound.letter for sound in found)
