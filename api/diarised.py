"""Transcripts with speakers, in OpenAI's format."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, product
from string import ascii_uppercase

import numpy as np

from api.schemas.transcription import DiarizedSegment, DiarizedTranscript, DurationUsage
from asr.speaker_segments import by_speaker
from asr.transcript import Segment, Transcript
from audio.frames import SAMPLE_RATE
from speakers.diarisation import Diarisation, diarise
from speakers.verifier import SpeakerVerifier

DECIMALS = 3


class Speakers:
    """Who speaks in one recording: `study` it, then ask for the segments of its transcript in their order."""

    def __init__(self, verifier: SpeakerVerifier, names: Sequence[str], known: Sequence[np.ndarray]) -> None:
        """names, known: of the known speakers; see `diarise`."""
        self._verifier, self._known = verifier, known
        self._labels = dict(enumerate(names))
        self._letters = (letter for letter in letters() if letter not in names)
        self._diarisation = Diarisation(())
        self._segments = 0

    def study(self, samples: np.ndarray) -> None:
        """Find who speaks when in samples (N,) at 24 kHz. Raises NotInstalled, Cancelled."""
        self._diarisation = diarise(samples, SAMPLE_RATE, self._verifier, self._known)

    def segments(self, found: Iterable[Segment]) -> Iterator[tuple[str, DiarizedSegment]]:
        """Yield each segment with its text as it stands in the whole transcript, spaces included."""
        for segment in found:
            for speaker, part in by_speaker(segment, self._diarisation.speaker):
                if part.text.strip():
                    yield part.text, self._labelled(speaker, part)

    def _labelled(self, speaker: int, part: Segment) -> DiarizedSegment:
        if speaker not in self._labels:
            self._labels[speaker] = next(self._letters)
        self._segments += 1
        return DiarizedSegment(
            id=f"seg_{self._segments}",
            start=round(part.start, DECIMALS),
            end=round(part.end, DECIMALS),
            speaker=self._labels[speaker],
            text=part.text.strip(),
        )


def diarised(transcript: Transcript, speakers: Speakers) -> DiarizedTranscript:
    """Return diarized_json."""
    return DiarizedTranscript(
        duration=transcript.seconds,
        text=transcript.text,
        segments=[segment for _, segment in speakers.segments(transcript.segments)],
        usage=DurationUsage(seconds=transcript.seconds),
    )


def letters() -> Iterator[str]:
    """A, B, …, Z, AA, AB, …"""
    for length in count(1):
        yield from map("".join, product(ascii_uppercase, repeat=length))
