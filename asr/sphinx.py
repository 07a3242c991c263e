"""pocketsphinx, an English recogniser that needs no download; runs in its own process."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pocketsphinx import Decoder

from asr.sphinx_worker import LENGTHS, load_decoder, recognised
from asr.transcript import Segment, Span, Task, WindowTranscript, Word
from errors import ModelError

ROOT = Path(__file__).resolve().parent.parent
FRAMES_PER_SECOND = 100
# "<sil>", "[NOISE]" and "<s>" are not words; "the(2)" is the second pronunciation of "the".
NO_WORD = re.compile(r"[<\[+]")
VARIANT = re.compile(r"\(\d+\)$")
PAUSE_SECONDS = 0.5  # a longer pause begins a new segment


class Sphinx:
    """An English recogniser without punctuation, capitals or prompts."""

    name = "pocketsphinx"
    translates = False
    expected_wer = 0.5  # 0.1 for clear speakers, far higher for unusual voices

    def __init__(self) -> None:
        self.languages = {"en": "english"}
        command = [sys.executable, "-m", "asr.sphinx_worker"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def transcribe(self, samples: np.ndarray, task: Task) -> WindowTranscript:
        """See Recogniser. Raises ModelError if the process has died."""
        return WindowTranscript("en", segments(words(self._ask(samples))))

    def align(self, samples: np.ndarray, words: Sequence[str]) -> list[Span | None]:
        """See Recogniser. Raises ModelError if the process has died."""
        found = self._ask(samples, [word.lower().replace("’", "'") for word in words])  # noqa: RUF001
        return [
            None if frames is None else (frames[0] / FRAMES_PER_SECOND, (frames[1] + 1) / FRAMES_PER_SECOND)
            for frames in found
        ]

    def close(self) -> None:
        with self._process:
            self._process.terminate()

    def _ask(self, samples: np.ndarray, words: Sequence[str] = ()) -> Any:
        """Return the process's answer to samples, and words to find in them."""
        utterance = utterance_of(samples)
        wanted = json.dumps(words).encode() if words else b""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(LENGTHS.pack(len(wanted), len(utterance)) + wanted + utterance)
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            raise ModelError(
                "The recogniser's process ended; send the request again.", code="recogniser_unavailable"
            )
        return json.loads(answer)


def recognise(samples: np.ndarray) -> list[Word]:
    """Return the words of mono float32 samples (N,) at 16 kHz, recognised here. Not thread-safe."""
    return words(recognised(_decoder(), utterance_of(samples)))


@cache
def _decoder() -> Decoder:
    return load_decoder()


def utterance_of(samples: np.ndarray) -> bytes:
    """Return float samples as 16-bit little-endian integers."""
    return (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()


def words(answer: Sequence[Sequence[Any]]) -> list[Word]:
    """Convert the worker's answer, without fillers; see asr.sphinx_worker."""
    return [
        Word(VARIANT.sub("", text), first / FRAMES_PER_SECOND, (last + 1) / FRAMES_PER_SECOND, min(sure, 1.0))
        for text, first, last, sure in answer
        if not NO_WORD.match(text)
    ]


def segments(words: list[Word]) -> tuple[Segment, ...]:
    """Group words into segments, cut at pauses."""
    if not words:
        return ()
    pairs = enumerate(pairwise(words), 1)
    cuts = [index for index, (one, following) in pairs if following.start - one.end > PAUSE_SECONDS]
    return tuple(_segment(words[first:last]) for first, last in pairwise([0, *cuts, len(words)]))


def _segment(words: list[Word]) -> Segment:
    likelihood = sum(math.log(max(word.probability, 1e-9)) for word in words) / len(words)
    return Segment(
        "".join(f" {word.text}" for word in words),
        words[0].start,
        words[-1].end,
        tuple(words),
        mean_log_probability=likelihood,
    )
