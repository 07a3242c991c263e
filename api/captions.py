"""Subtitles of a speech: its words gathered into lines that one can read."""

from collections.abc import Iterator, Sequence

from api.schemas.timestamps import CaptionFormat
from api.transcript_formats import srt, vtt
from asr.transcript import Segment, Transcript
from synthesis.word_times import WordTime

MAX_CHARACTERS = 84  # two lines of 42, as subtitles have them
MAX_PAUSE = 1.0  # seconds; after a longer one a new cue begins
SENTENCE_END = (".", "!", "?", "…", "。", "！", "？")  # noqa: RUF001
CLOSING = "\"')]”’»"  # noqa: RUF001


def captions(words: Sequence[WordTime], format: CaptionFormat) -> str:
    """A file of subtitles for words in their order."""
    segments = tuple(
        Segment(" ".join(word.shown for word in cue), cue[0].start, cue[-1].end) for cue in cues(words)
    )
    transcript = Transcript("en", words[-1].end if words else 0.0, segments)
    return srt(transcript) if format == "srt" else vtt(transcript)


def cues(words: Sequence[WordTime]) -> Iterator[list[WordTime]]:
    """The words that are shown together: at most a sentence, and no more than two lines."""
    cue: list[WordTime] = []
    length = 0
    for word in words:
        full = length + len(word.shown) > MAX_CHARACTERS
        if cue and (full or _ends(cue[-1]) or word.start - cue[-1].end > MAX_PAUSE):
            yield cue
            cue, length = [], 0
        cue.append(word)
        length += len(word.shown) + 1
    if cue:
        yield cue


def _ends(word: WordTime) -> bool:
    return word.shown.rstrip(CLOSING).endswith(SENTENCE_END)
