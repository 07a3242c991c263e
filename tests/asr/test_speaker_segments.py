"""A segment is cut where another speaker says the next word; no letter is lost."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from asr.speaker_segments import by_speaker
from asr.transcript import Segment, Word

TEXTS = st.text(max_size=8)


def said(text: str, *words: str) -> Segment:
    """A segment whose words last a second each."""
    found = tuple(Word(word, float(i), i + 1.0, 0.9) for i, word in enumerate(words))
    return Segment(text, 0.0, float(len(words)), found)


def test_a_segment_is_cut_between_the_words_of_two_speakers() -> None:
    segment = said(" Good morning. Hello, Ann!", "Good", "morning.", "Hello,", "Ann!")
    parts = list(by_speaker(segment, lambda start, end: int(start >= 2)))
    assert [(speaker, part.text) for speaker, part in parts] == [(0, " Good morning."), (1, " Hello, Ann!")]
    assert [(part.start, part.end, len(part.words)) for _, part in parts] == [(0, 2, 2), (2, 4, 2)]


def test_without_words_the_segment_is_whole() -> None:
    segment = Segment(" So it is.", 3.0, 5.0)
    assert list(by_speaker(segment, lambda start, end: int(start == 3 and end == 5))) == [(1, segment)]


def test_languages_without_spaces() -> None:
    segment = said("\u4f60\u597d\u518d\u89c1", "\u4f60", "\u597d", "\u518d", "\u89c1")
    parts = [part.text for _, part in by_speaker(segment, lambda start, end: int(start >= 2))]
    assert parts == ["\u4f60\u597d", "\u518d\u89c1"]


@given(text=TEXTS, words=st.lists(TEXTS, max_size=6), speakers=st.lists(st.integers(0, 2), min_size=6))
def test_no_letter_is_lost_whatever_the_words_are(text: str, words: list[str], speakers: list[int]) -> None:
    segment = said(text, *words)
    parts = list(by_speaker(segment, lambda start, end: speakers[int(start) % len(speakers)]))
    assert "".join(part.text for _, part in parts) == text
    assert tuple(word for _, part in parts for word in part.words) == segment.words
    assert all(one != other for (one, _), (other, _) in pairwise(parts))
