"""Speech that a model made, on its way out: watermarked, tagged as AI-generated, encoded."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import RawIOBase
from typing import Any, BinaryIO

import numpy as np

from audio.decode import comments_of
from audio.encode import OPTIONS, EncodedAudio, Encoder, Format, encode_audio, encode_stream, format_named
from audio.watermark import watermarked

SOFTWARE = "Higgs Audio voice server"
MADE = "AI-generated speech, made by"
# IPTC's word for media that a trained model made, as C2PA and photo agencies use it.
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MADE_BY = re.compile(rf"{MADE} {SOFTWARE}, model (?P<model>.{{1,200}}?)\. Digital source type: ")


@dataclass(frozen=True)
class SpeechEncoder:
    """Encodes a model's speech so that it can be told from a recording.

    Attributes:
        model: id of the model.
        watermark: add the inaudible mark of audio.watermark.
    """

    model: str
    watermark: bool

    @property
    def tags(self) -> dict[str, str]:
        """The tags of a file, in FFmpeg's names."""
        return {"comment": f"{MADE} {SOFTWARE}, model {self.model}. Digital source type: {SOURCE_TYPE}"}

    def file(self, samples: np.ndarray, format: str) -> EncodedAudio:
        """Encode whole speech (N,); for formats and errors see encode_audio."""
        return encode_audio(np.concatenate(list(self._marked([samples]))), format, self.tags)

    def stream(self, chunks: Iterable[np.ndarray], format: str, start: int = 0) -> Iterator[bytes]:
        """Encode speech (n,) as it comes; the same samples as of `file`.

        start: samples that the listener heard before it, as of audio.watermark.
        """
        return encode_stream(self._marked(chunks, start), format_named(format), tags=self.tags)

    def book(
        self, chunks: Iterable[np.ndarray], format: Format, title: str, chapters: Sequence[Any]
    ) -> Iterator[bytes]:
        """As `stream`, with a title and chapters."""
        return encode_stream(self._marked(chunks), format, tags=self._titled(title), chapters=chapters)

    def write_book(
        self,
        output: BinaryIO | RawIOBase,
        chunks: Iterable[np.ndarray],
        format: Format,
        title: str,
        chapters: Sequence[Any],
    ) -> None:
        """As `book`, to a seekable file."""
        encoder = Encoder(output, format, OPTIONS, tags=self._titled(title), chapters=chapters)
        for samples in self._marked(chunks):
            encoder.write(samples)
        encoder.close()

    def _titled(self, title: str) -> dict[str, str]:
        return self.tags | ({"title": title} if title else {})

    def _marked(self, chunks: Iterable[np.ndarray], start: int = 0) -> Iterator[np.ndarray]:
        return watermarked(chunks, start) if self.watermark else iter(chunks)


def model_in_tags(data: bytes) -> str | None:
    """Return the model that a file's tags name as its maker; None if they name none of ours."""
    found = (MADE_BY.match(comment) for comment in comments_of(data))
    return next((match["model"] for match in found if match), None)
