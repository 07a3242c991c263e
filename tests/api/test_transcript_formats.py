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
        "00:01:00.000 --> 01:02:05.500\nRead this --&gt; now\n\n"
    )


def test_signs_that_mean_something_in_vtt_are_escaped() -> None:
    """Kind: a text that is taken for markup, and vanishes from the screen."""
    said = Transcript("en", 1.0, (Segment("If x<5, AT&amp;T <b>says</b>.", 0.0, 1.0),))
    assert vtt(said).endswith("\nIf x&lt;5, AT&amp;amp;T &lt;b&gt;says&lt;/b&gt;.\n\n")
    assert srt(said).endswith("\nIf x<5, AT&amp;T <b>says</b>.\n\n")


def test_a_transcript_of_nothing() -> None:
    nothing = Transcript("en", 1.0, ())
    assert (srt(nothing), vtt(nothing), nothing.text) == ("", "WEBVTT\n\n", "")
