"""A finished job as one file, with chapters if the format supports them; pieces are decoded one at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import numpy as np

from audio.decode import decode_audio
from audio.encode import FORMATS, Format
from audio.frames import SAMPLE_RATE
from audio.generated import SpeechEncoder
from concurrency import raise_if_cancelled
from voices.store.job_tables import SpeechJob, SpeechPiece

# An M4B's header stands behind its sound, so that it can't leave before all is encoded.
M4B = Format("audio/mp4", "ipod", "aac", "fltp", bit_rate=64_000)
BOOK_FORMATS = {"m4b": M4B, **{name: FORMATS[name] for name in ("mp3", "opus", "flac", "wav")}}
BLOCK = 2**18
MILLISECONDS = Fraction(1, 1000)

# Number of a piece → its FLAC.
Sound = Callable[[int], bytes]


class BookFile:
    """The speech of finished pieces, joined with the pauses between them; `encoder` marks it."""

    def __init__(
        self, job: SpeechJob, pieces: Sequence[SpeechPiece], sound: Sound, encoder: SpeechEncoder
    ) -> None:
        self._job, self._pieces, self._sound, self._encoder = job, pieces, sound, encoder

    @property
    def title(self) -> str:
        return self._job.title

    def streamed(self, name: str) -> Iterator[bytes]:
        """Yield the file as it is encoded, in any format but m4b."""
        about = self._job.title, list(self.chapters())
        return self._encoder.book(self._samples(), BOOK_FORMATS[name], *about)

    def written(self, name: str) -> BinaryIO:
        """Write the file to a temporary file, which is deleted when closed. Raises Cancelled."""
        with ExitStack() as closing:
            file = closing.enter_context(TemporaryFile())
            about = self._job.title, list(self.chapters())
            self._encoder.write_book(file, self._samples(), BOOK_FORMATS[name], *about)
            file.seek(0)
            closing.pop_all()
            return file

    def chapters(self) -> Iterator[dict[str, Any]]:
        """Return the chapters of pieces for PyAV, in milliseconds."""
        end = 0.0
        for number, chapter in enumerate(dict.fromkeys(piece.chapter for piece in self._pieces)):
            start = end
            mine = (piece for piece in self._pieces if piece.chapter == chapter)
            end += sum((piece.seconds or 0.0) + piece.pause for piece in mine)
            title = self._job.chapters[chapter] or f"Chapter {chapter + 1}"
            times = {"start": round(start * 1000), "end": round(end * 1000), "time_base": MILLISECONDS}
            yield {"id": number, **times, "metadata": {"title": title}}

    def _samples(self) -> Iterator[np.ndarray]:
        for piece in self._pieces:
            raise_if_cancelled()
            yield decode_audio(self._sound(piece.number))
            yield np.zeros(round(piece.pause * SAMPLE_RATE), np.float32)


def blocks_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file in blocks; close it after the last."""
    with file:
        while block := file.read(BLOCK):
            yield block
