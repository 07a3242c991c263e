"""What the language model is taught to note of its place in the text."""

import numpy as np
import torch

from higgs.codecs.vocoder.letters import SPELLINGS, letter_class
from higgs.codecs.vocoder.network import LEFT_CLASSES, LETTER_CLASSES, SOUND_CLASSES, UNREAD
from higgs.codecs.vocoder.reading import SOUNDS
from train.letters import letter_of_each_phone
from train.reading import (
    letter_spans,
    phone_times,
    phones_of_frames,
    pronounced,
    reading,
)
from train.speech import FLITE, ODD, PHONES, Utterance, names_of

TEXT = "The cat."
SPOKEN = ["pau", "dh", "dh", "ax", "k", "k", "ae", "ae", "ae", "t", "pau"]  # frames


def utterance(text: str = TEXT, spoken: list[str] = SPOKEN, steps: int = 4) -> Utterance:
    """One whose phones last so many steps for each time that they stand there in a row."""
    changes = np.cumsum([one != other for one, other in zip(spoken, spoken[:1] + spoken[:-1], strict=True)])
    marked = [PHONES.index(phone) + ODD * int(odd % 2) for phone, odd in zip(spoken, changes, strict=True)]
    phones = np.repeat(np.array(marked, np.uint8), steps)
    return of_phones(text, phones)


def of_phones(text: str, phones: np.ndarray) -> Utterance:
    """An utterance that says nothing, in these phones."""
    letters = letter_of_each_phone(names_of(phones), text)
    return Utterance(text, FLITE[0], np.zeros((len(phones), 70), np.float16), phones, letters)


def told(codes: torch.Tensor) -> list[tuple[str, int, int]]:
    """Phone, letter and frames left of codes."""
    noted, left = codes // LEFT_CLASSES, codes % LEFT_CLASSES
    return [
        (SOUNDS[note // LETTER_CLASSES], int(note % LETTER_CLASSES), int(frames))
        for note, frames in zip(noted, left, strict=True)
    ]


def test_each_frame_tells_its_phone_its_letter_and_how_much_of_it_is_left() -> None:
    found = told(reading(utterance(), len(SPOKEN)))[1:-1]
    assert [phone for phone, _, _ in found] == ["dh", "dh", "ah", "k", "k", "ae", "ae", "ae", "t"]
    expected = [letter_class(*pair) for pair in zip(SPOKEN[1:-1], "hheccaaat", strict=True)]
    assert [letter for _, letter, _ in found] == expected
    assert [left for _, _, left in found] == [1, 0, 0, 1, 0, 2, 1, 0, 0]


def test_codes_stay_below_the_mark_of_what_is_unread() -> None:
    assert len(SOUNDS) == SOUND_CLASSES
    assert SOUND_CLASSES * LETTER_CLASSES * LEFT_CLASSES <= UNREAD
    for phone in PHONES:
        classes = {letter_class(phone, chr(i)) for i in range(256)}
        assert classes <= set(range(LETTER_CLASSES)), phone


def test_letters_that_a_phone_is_often_written_with_are_told_apart() -> None:
    for phone, letters in SPELLINGS.items():
        told_apart = {letter_class(phone, letter) for letter in letters}
        assert len(told_apart) >= min(len(letters), LETTER_CLASSES), phone


def test_a_slower_clip_counts_from_further() -> None:
    found = told(reading(utterance(), 3 * len(SPOKEN)))
    assert [left for phone, _, left in found if phone == "ae"] == [4, 4, 4, 4, 4, 3, 2, 1, 0]


def test_of_phones_shorter_than_a_frame_none_is_lost() -> None:
    short = utterance(steps=1)
    phones = [phone for phone, _, _ in told(reading(short, len(SPOKEN) // 2 + 2))]
    assert phones == ["pau", "dh", "ah", "k", "ae", "t", "pau"]


def test_two_like_phones_in_a_row_are_two() -> None:
    story = utterance("us story", ["ah", "s", "s", "s", "t", "ao", "r", "iy"])
    phones = story.phones.copy()
    phones[8:] ^= ODD  # the second s begins at the third frame
    found = told(reading(of_phones(story.text, phones), 8))
    assert [left for phone, _, left in found if phone == "s"] == [0, 1, 0]


def test_a_clip_that_is_read_begins_each_phone_with_a_frame() -> None:
    spoken = utterance(steps=3)  # 8.25 frames
    numbers, _ = phones_of_frames(spoken, 8)
    times = phone_times(spoken, 8)
    assert (np.diff(times) > 0).all() and times[0] >= 0 and times[-1] < len(spoken.phones)
    whose = np.cumsum(np.diff(spoken.phones, prepend=spoken.phones[:1]) != 0)
    assert (whose[np.round(times).astype(int)] == np.repeat(numbers, 4)).mean() > 0.9


def test_the_guide_walks_from_the_first_to_the_last_letter() -> None:
    spans = letter_spans(utterance(), len(SPOKEN), length=len(TEXT), reach=1.2)
    assert (spans[:, 0] <= spans[:, 1]).all()
    assert (spans.diff(dim=0) >= 0).all()
    assert spans[0, 0] == 0 and spans[-1, 1] == len(TEXT) - 1


def test_each_sound_is_pronounced_at_its_letter() -> None:
    tokens, sounds = pronounced(utterance(), len(TEXT))
    found = {TEXT[token]: SOUNDS[sound] for token, sound in zip(tokens, sounds, strict=True)}
    assert found == {"h": "dh", "e": "ah", "c": "k", "a": "ae", "t": "t"}


def test_of_two_sounds_of_one_letter_the_first_is_written_last() -> None:
    tokens, sounds = pronounced(utterance("ox", ["ow", "k", "s"]), 2)
    assert list(zip(tokens.tolist(), [SOUNDS[s] for s in sounds], strict=True))[-2:] == [(1, "k"), (0, "ow")]
