"""The one who listens: a recogniser that is loaded when first needed, and hears one window at a time."""

import logging
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
import torch

from asr.sphinx import Sphinx
from asr.transcript import SAMPLE_RATE, Heard, Recogniser, Task, Transcript
from asr.windows import windows
from errors import Cancelled, InvalidRequest, ModelError, Overloaded

log = logging.getLogger(__name__)

# Small enough to stand beside the 3B on one card, and it translates, which the turbo ones don't.
PUBLISHED = "openai/whisper-small"
AUTO = "auto"
PLAIN = Task()


class Transcriber:
    """Turns speech into text; safe to use from several threads.

    One window of up to 30 s is heard at a time, so that a short recording need not wait for a long one.
    """

    def __init__(
        self, load: Callable[[], Recogniser], names: Sequence[str] = (), most_waiting: int = 32
    ) -> None:
        """load: makes the recogniser, when it is first needed. names: of it.

        most_waiting: recordings that are listened to at once, or wait for it.
        """
        self._load = load
        self.names = tuple(names)
        self._recogniser: Recogniser | None = None
        self._hearing, self._counting = threading.Lock(), threading.Lock()
        self._most_waiting = most_waiting
        self._waiting = 0

    def listen(self, samples: np.ndarray, sample_rate: int, task: Task = PLAIN) -> "TranscriptionJob":
        """Hear mono float32 samples (N,) window by window; times count from their start.

        Nothing comes where nobody speaks. The iteration raises InvalidRequest for what this recogniser can't
        do, Overloaded where too many wait, and ModelError where it can't be loaded or fails.
        """
        return TranscriptionJob(self._parts(samples, sample_rate, task))

    def _parts(self, samples: np.ndarray, sample_rate: int, task: Task) -> Generator[Heard, None, None]:
        with self._place():
            task = self._checked(task)
            for start, end in windows(samples, sample_rate):
                heard = self._hear(soxr.resample(samples[start:end], sample_rate, SAMPLE_RATE), task)
                task = replace(task, language=heard.language)
                later = start / sample_rate
                yield Heard(heard.language, tuple(segment.later(later) for segment in heard.segments))

    def transcribe(self, samples: np.ndarray, sample_rate: int, task: Task = PLAIN) -> Transcript:
        """All that is said in the samples. Errors as of `listen`."""
        return self.listen(samples, sample_rate, task).transcript(len(samples) / sample_rate)

    @classmethod
    def of_setting(cls, name: str, device: str, most_waiting: int) -> "Transcriber":
        """A listener with the recogniser that `load_recogniser` makes of the name and device."""
        short = Path(name).name
        names = [] if name == AUTO else [short] if Path(name).is_dir() else list(dict.fromkeys((name, short)))
        return cls(lambda: load_recogniser(name, device), names, most_waiting)

    @property
    def languages(self) -> Mapping[str, str]:
        """Code → English name of the languages it knows; loads the recogniser."""
        with self._hearing:
            return self._loaded().languages

    @property
    def expected_wer(self) -> float:
        """The share of wrong words up to which they can be the recogniser's own; loads it."""
        with self._hearing:
            return self._loaded().expected_wer

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

    def _checked(self, task: Task) -> Task:
        """The task with its language as a code: "en-GB" and "English" are "en"."""
        if task.language is None:
            return task
        with self._hearing:
            recogniser = self._loaded()
        codes = {name: code for code, name in recogniser.languages.items()}
        asked = task.language.strip().lower()
        code = codes.get(asked, asked.replace("_", "-").partition("-")[0])
        if code not in recogniser.languages:
            known = ", ".join(recogniser.languages)
            message = f"The recogniser {recogniser.name} knows no language {task.language!r}, but {known}."
            if not recogniser.translates:
                message += " For others set HIGGS_RECOGNISER to a multilingual Whisper, a folder or hub id."
            raise InvalidRequest(message, code="unsupported_language", param="language")
        return replace(task, language=code)

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


class TranscriptionJob:
    """A recording that is being listened to: iterate once over what is heard; `cancel` from any thread."""

    def __init__(self, parts: Generator[Heard, None, None]) -> None:
        self._parts = parts
        self._cancelled = False

    def __iter__(self) -> Iterator[Heard]:
        """Window by window. Errors as of `Listener.listen`; Cancelled behind the window of a `cancel`."""
        with closing(self._parts):
            for heard in self._parts:
                if self._cancelled:
                    raise Cancelled("Nobody waits for the transcript any more.")
                yield heard

    def transcript(self, seconds: float) -> Transcript:
        """All of it, of a recording of so many seconds."""
        heard = list(self)
        language = heard[0].language if heard else "en"
        return Transcript(language, seconds, tuple(segment for part in heard for segment in part.segments))

    def cancel(self) -> None:
        self._cancelled = True


def load_recogniser(name: str, device: str) -> Recogniser:
    """Load a recogniser; ModelError names the remedy.

    name:   pocketsphinx, a folder or hub id of Whisper, or auto: whisper-small on CUDA, else pocketsphinx.
    device: cpu, cuda, or auto.
    """
    device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    if name == AUTO:
        name = PUBLISHED if device == "cuda" else Sphinx.name
    if name == Sphinx.name:
        return Sphinx()
    # Imported only here: it takes seconds and memory, and pocketsphinx needs none of it.
    from asr.whisper import Whisper

    try:
        return Whisper(name, device)
    except (OSError, ValueError, RuntimeError) as error:
        log.error("the recogniser %s can't be loaded: %s", name, error)
        message = "The server's recogniser can't be loaded; its log says why. HIGGS_RECOGNISER must be"
        message += " pocketsphinx, or the folder or hub id of a Whisper in transformers' format."
        raise ModelError(message, code="recogniser_unavailable") from error
