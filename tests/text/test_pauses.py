"""Marks of pauses: how they may be written, their bounds, and that no text is slow."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import InvalidRequest
from text.pauses import parted, without_pauses


@pytest.mark.parametrize(
    ("mark", "seconds"),
    [
        ("[pause 0.5s]", 0.5),
        ("[pause 500ms]", 0.5),
        ("[Pause: 2 s]", 2),
        ("[pause:10s]", 10),
        ("[pause 0s]", 0),
        ("[pause]", 0.5),
        ('<break time="500ms"/>', 0.5),
        ("<break time='1.25s' />", 1.25),
        ('<BREAK time = "1s"></break>', 1),
        ("<break/>", 0.5),
        ("<break strength='x-strong'/>", 1.25),
        ('<break strength="none" time="2s"/>', 2),
        ('<break time="2s" strength="weak"/>', 2),
    ],
)
def test_marks_are_read(mark: str, seconds: float) -> None:
    assert parted(f"One, {mark} two.") == ["One, ", seconds, " two."]
    assert without_pauses(f"One,{mark}two.") == "One, two."


def test_pauses_may_stand_anywhere() -> None:
    text = "[pause 1s]One.[pause 1s][pause 2s]Two.[pause 3s]"
    assert parted(text) == ["", 1, "One.", 1, "", 2, "Two.", 3, ""]


@pytest.mark.parametrize("text", ["A [paused] game.", "[pause", "<breakfast>", "A <br> break.", "pause 1s"])
def test_other_texts_hold_no_pause(text: str) -> None:
    assert parted(text) == [text]


@pytest.mark.parametrize(
    "mark",
    [
        *("[pause long]", "[pause 5]", "[pause -1s]", "[pause 1e3s]", "[pause 1 min]", "[pause 10.5s]"),
        *('<break time="1">', "<break time=1s/>", "<break time=\"1s'/>", '<break strength="loud"/>'),
    ],
)
def test_what_is_no_pause_says_how_to_write_one(mark: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parted(f"One {mark} two.")
    assert caught.value.code == "invalid_pause" and mark in caught.value.message


def test_all_pauses_together_are_bounded() -> None:
    assert len(parted("Hm. [pause 10s]" * 6)) == 13
    with pytest.raises(InvalidRequest, match="60 s"):
        parted("Hm. [pause 10s]" * 7)


@given(st.text(alphabet="[]<>pause brk time=\"'/0159.ms\n", max_size=100))
def test_no_text_breaks_the_reading(text: str) -> None:
    try:
        parts = parted(text)
    except InvalidRequest:
        return
    assert all(isinstance(part, str) for part in parts[::2])
    assert all(0 <= part <= 10 for part in parts[1::2] if isinstance(part, float))


@pytest.mark.parametrize("unit", ["[pause ", "<break ", "[pause 1", "<break time='"])
def test_long_texts_take_no_time(unit: str) -> None:
    began = time.perf_counter()
    parted(unit * 20_000)
    assert time.perf_counter() - began < 2
