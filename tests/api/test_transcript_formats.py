"""Subtitles, to the letter."""

from api.transcript_formats import srt, vtt
from asr.transcript import Segment, Transcript

TRANSCRIPT = Transcript(
    "en",
    3725.5,
    (Segment(" Good morning.", 0.0, 1.2344), Segment(" Read this --> \n\n now", 59.9996, 3725.5)),
)


def test_srt() -> None:
    assert srt(TRANSCRIPT) == (
        "1\n00:00:00,000 --> 00:00:01,234\nGood morning.\n\n"
        "2\n00:01:00,000 --> 01:02:05,500\nRead this -> now\n\n"
    )


def test_vtt() -> None:
    assert vtt(TRANSCRIPT) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.234\nGood morning.\n\n"
        "00:01:00.000 --> 01:02:05.500\nRead this -> now\n\n"
    )


def test_vtt_writes_its_own_marks_as_entities() -> None:
    said = Transcript("en", 1.0, (Segment(" R&D: 1 < 2", 0.0, 1.0),))
    assert "\nR&amp;D: 1 &lt; 2\n" in vtt(said) and "\nR&D: 1 < 2\n" in srt(said)


def test_a_transcript_of_nothing() -> None:
    nothing = Transcript("en", 1.0, ())
    assert (srt(nothing), vtt(nothing), nothing.text) == ("", "WEBVTT\n\n", "")
