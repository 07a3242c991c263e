"""What is spoken of a book's chapters, and which have nothing to speak."""

from typing import Any

import pytest

from api.schemas.jobs import SpeechJobRequest
from api.speech_job_orders import placed_chapters, read_chapters
from concurrency import Cancellation, cancelled_by
from errors import Cancelled, InvalidRequest
from text.chunking import Chunking
from text.normalise import Part, read_out, spoken_parts

COVER = "![](cover.png)\n\n# Part One\n\n# Chapter 1\n\nIt rained.\n\n# Chapter 2\n\n---\n"
SENT = [
    {"title": "Part One"},
    {"title": "...", "text": "It rained. [pause 1s] ![](a)"},
    {"text": "<!-- x -->"},
]


def plain(text: str) -> list[Part]:
    return spoken_parts(read_out(text, "plain", voices=1), Chunking(90))


def spoken(**book: Any) -> list[tuple[str, list[Part]]]:
    """The chapters' titles, as they are listed, and their parts."""
    body = SpeechJobRequest.model_validate({"model": "tiny", **book})
    chapters = read_chapters(body, placed_chapters(body, 10_000), plain)
    return [(chapter.shown, title + text) for chapter, title, text in chapters]


def test_chapters_of_an_input_that_have_nothing_to_speak_are_left_out() -> None:
    """Kind: a cover, or a part's title above the first chapter, refused the whole book."""
    assert spoken(input=COVER, speak_titles=False) == [("Chapter 1", [(0, "It rained.")])]
    assert spoken(input=COVER) == [
        ("Part One", [(0, "Part One.")]),
        ("Chapter 1", [(0, "Chapter 1."), (0, "It rained.")]),
        ("Chapter 2", [(0, "Chapter 2.")]),
    ]


def test_chapters_that_were_sent_keep_their_numbers() -> None:
    rained = ("...", [(0, "It rained."), 1.0])
    assert spoken(chapters=SENT, speak_titles=False) == [("Part One", []), rained, ("", [])]
    assert spoken(chapters=SENT) == [("Part One", [(0, "Part One.")]), rained, ("", [])]


@pytest.mark.parametrize(
    "book",
    [
        {"input": "# A\n\n# B", "speak_titles": False},
        {"input": "![](a.png)\n\n[pause 1s]\n\n---"},
        {"chapters": [{"title": "A"}], "speak_titles": False},
        {"chapters": [{"title": "..."}, {"text": "[SPEAKER0] [pause 1s]"}]},
    ],
)
def test_a_book_with_nothing_to_speak_is_refused(book: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        spoken(**book)
    assert refused.value.code == "text_empty" and refused.value.param in book


def test_other_errors_name_their_chapter() -> None:
    with pytest.raises(InvalidRequest) as refused:
        spoken(chapters=[{"text": "A."}, {"text": "[pause 99s] a"}])
    assert (refused.value.code, refused.value.param) == ("invalid_pause", "chapters[1].text")


def test_reading_stops_when_the_client_has_left() -> None:
    gone = Cancellation()
    gone.cancel()
    with cancelled_by(gone), pytest.raises(Cancelled):
        spoken(input=COVER)
