"""The one who listens: a recogniser that is loaded when first needed, and hears one window at a time."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import soxr

from errors import InvalidRequest, ModelError, Overloaded
from listening.sphinx import Sphinx
from listening.transcript import SAMPLE_RATE, Heard, Recogniser, Task, Transcript
from listening.windows import windows

log = logging.getLogger(__name__)

# Small enough to stand beside the 3B on one card, and it translates, which the turbo ones don't.
PUBLISHED = "openai/whisper-small"
PLAIN = Task()


class Listener:
    """Turns speech into text; safe to use from several threads.

    One window of up to 30 s is heard at a time, so that a short recording need not wait for a long one.
    """

    def __init__(self, load: Callable[[], Recogniser], most_waiting: int = 32) -> None:
        """load: makes the recogniser, when it is first needed. most_waiting: recordings heard at once."""
        self._load = load
        self._recogniser: Recogniser | None = None
        self._hearing, self._counting = threading.Lock(), threading.Lock()
        self._most_waiting = most_waiting
        self._waiting = 0

    def listen(self, samples: np.ndarray, sample_rate: int, task: Task = PLAIN) -> Iterator[Heard]:
        """Hear mono float32 samples (N,) window by window; times count from their start.

        Nothing comes where nobody speaks. Raises InvalidRequest for what this recogniser can't do,
        Overloaded where too many wait, ModelError where it can't be loaded or fails.
        """
        with self._place():
            self._check(task)
            for start, end in windows(samples, sample_rate):
                heard = self._hear(soxr.resample(samples[start:end], sample_rate, SAMPLE_RATE), task)
                task = replace(task, language=heard.language)
                later = start / sample_rate
                yield Heard(heard.language, tuple(segment.later(later) for segment in heard.segments))

    def transcribe(self, samples: np.ndarray, sample_rate: int, task: Task = PLAIN) -> Transcript:
        """All that is said in the samples. Errors as of `listen`."""
        heard = list(self.listen(samples, sample_rate, task))
        segments = tuple(segment for part in heard for segment in part.segments)
        language = heard[0].language if heard else task.language or "en"
        return Transcript(language, len(samples) / sample_rate, segments)

    @property
    def languages(self) -> Mapping[str, str]:
        """Code → English name of the languages it knows; loads the recogniser."""
        with self._hearing:
            return self._loaded().languages

    @property
    def trust(self) -> float:
        """The share of wrong words up to which they can be the recogniser's own; loads it."""
        with self._hearing:
            return self._loaded().trust

    def close(self) -> None:
        with self._hearing:
            self._let_go()

    def _hear(self, samples: np.ndarray, task: Task) -> Heard:
        with self._hearing:
            try:
                return self._loaded().hear(samples, task)
            except ModelError:
                self._let_go()
                raise

    def _loaded(self) -> Recogniser:
        """The recogniser; to be called by the holder of `_hearing`."""
        if self._recogniser is None:
            self._recogniser = self._load()
            log.info("the recogniser %s is loaded", self._recogniser.name)
        return self._recogniser

    def _let_go(self) -> None:
        if self._recogniser is not None:
            self._recogniser.close()
            self._recogniser = None

    def _check(self, task: Task) -> None:
        with self._hearing:
            recogniser = self._loaded()
        if task.language is not None and task.language not in recogniser.languages:
            known = ", ".join(recogniser.languages)
            message = f"The recogniser {recogniser.name} knows no language {task.language!r}, but {known}."
            if not recogniser.translates:
                message += " For others set HIGGS_RECOGNISER to a multilingual Whisper, a folder or hub id."
            raise InvalidRequest(message, code="unsupported_language", param="language")

    @contextmanager
    def _place(self) -> Iterator[None]:
        with self._counting:
            if self._waiting >= self._most_waiting:
                raise Overloaded("Too many recordings are being listened to; send this one again later.")
            self._waiting += 1
        try:
            yield
        finally:
            with self._counting:
                self._waiting -= 1


def load_recogniser(name: str, device: str) -> Recogniser:
    """name: "pocketsphinx", a folder or hub id of Whisper, or "auto": the published Whisper on CUDA, else
    pocketsphinx. Raises ModelError naming the remedy."""
    if name == "auto":
        name = PUBLISHED if device == "cuda" else Sphinx.name
    if name == Sphinx.name:
        return Sphinx()
    # Imported only here: it takes seconds and memory, and pocketsphinx needs none of it.
    from listening.whisper import Whisper

    try:
        return Whisper(name, device)
    except (OSError, ValueError) as error:
        log.error("the recogniser %s can't be loaded: %s", name, error)
        message = "The server's recogniser can't be loaded; its log says why. HIGGS_RECOGNISER must be"
        message += " pocketsphinx, or the folder or hub id of a Whisper in transformers' format."
        raise ModelError(message, code="recogniser_unavailable") from error
