"""Speech to text: a recogniser, loaded when first needed, that transcribes one window at a time."""

import logging
import math
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
import torch

from asr.memory import Decode, RecordingMemory, as_float
from asr.sphinx import Sphinx
from asr.transcript import SAMPLE_RATE, Heard, Recogniser, Task, Transcript
from asr.windows import windows
from concurrency import one_of
from errors import Cancelled, InvalidRequest, ModelError, Overloaded, quoted

log = logging.getLogger(__name__)

# Small enough to stand beside the 3B on one card, and it translates, which the turbo ones don't.
PUBLISHED = "openai/whisper-small"
AUTO = "auto"
PLAIN = Task()
CLOSING_SECONDS = 2.0


class Transcriber:
    """Turns speech into text; thread-safe.

    Requests take turns window by window (30 s at most), so a short recording never waits for a long one.
    """

    def __init__(
        self, load: Callable[[], Recogniser], names: Sequence[str] = (), most_waiting: int = 32
    ) -> None:
        """Set up; nothing is loaded yet.

        Args:
            load: loads the recogniser; called once, when it is first needed.
            names: the model names under which clients may ask for it.
            most_waiting: maximum recordings in progress or waiting; more raise Overloaded.
        """
        self._load = load
        self.names = tuple(names)
        self._recogniser: Recogniser | None = None
        self._hearing, self._counting = threading.BoundedSemaphore(1), threading.Lock()
        self._memory = RecordingMemory()
        self._most_waiting = most_waiting
        self._waiting = 0

    def listen(self, samples: np.ndarray, sample_rate: int, task: Task = PLAIN) -> "TranscriptionJob":
        """Start to transcribe a recording.

        Args:
            samples: mono float32 (N,).
            sample_rate: in Hz.
            task: language, prompt and details wanted.

        Returns:
            A job to iterate over, window by window. Times are in seconds from the start of the recording;
            silence yields nothing.

        Raises (while iterating):
            InvalidRequest: the recogniser can't do the task.
            Overloaded: too many recordings are waiting.
            ModelError: the recogniser can't be loaded, or failed.
        """
        return self.listen_to(lambda _: samples, sample_rate, math.inf, task)

    def listen_to(
        self, decode: Decode, sample_rate: int, longest: float, task: Task = PLAIN
    ) -> "TranscriptionJob":
        """Hear a recording that is still to be decoded, up to `longest` seconds of it, as of `listen`.

        It is decoded when the iteration begins, behind the place that it takes, so that a crowd of recordings
        is refused before it costs anything. Errors as of `decode`, too.
        """
        return TranscriptionJob(lambda hearing: self._parts(hearing, decode, sample_rate, longest, task))

    def _parts(
        self, hearing: "TranscriptionJob", decode: Decode, sample_rate: int, longest: float, task: Task
    ) -> Generator[Heard, None, None]:
        with self._place(), self._memory.held(decode, longest) as samples:
            hearing.seconds = len(samples) / sample_rate
            task = self._checked(task)
            for start, end in windows(samples, sample_rate):
                window = soxr.resample(as_float(samples[start:end]), sample_rate, SAMPLE_RATE)
                heard = self._hear(window, task)
                task = replace(task, language=heard.language)
                later = start / sample_rate
                yield Heard(heard.language, tuple(segment.later(later) for segment in heard.segments))

    def transcribe(self, samples: np.ndarray, sample_rate: int, task: Task = PLAIN) -> Transcript:
        """The whole transcript of a recording; arguments and errors are those of `listen`."""
        return self.listen(samples, sample_rate, task).transcript()

    @classmethod
    def of_setting(cls, name: str, device: str, most_waiting: int) -> "Transcriber":
        """A transcriber for the setting HIGGS_RECOGNISER; see `load_recogniser`."""
        short = Path(name).name
        names = [] if name == AUTO else [short] if Path(name).is_dir() else list(dict.fromkeys((name, short)))
        return cls(lambda: load_recogniser(name, device), names, most_waiting)

    @property
    def languages(self) -> Mapping[str, str]:
        """Supported languages, ISO 639 code → English name. Loads the recogniser."""
        with self._hearing:
            return self._loaded().languages

    @property
    def expected_wer(self) -> float:
        """The word error rate that may be the recogniser's own fault. Loads the recogniser."""
        with self._hearing:
            return self._loaded().expected_wer

    def close(self) -> None:
        """Let the recogniser go; one that still hears a window is not waited for long."""
        waited = self._hearing.acquire(timeout=CLOSING_SECONDS)
        self._let_go()
        if waited:
            self._hearing.release()

    def _hear(self, samples: np.ndarray, task: Task) -> Heard:
        with one_of(self._hearing):
            try:
                return self._loaded().hear(samples, task)
            except ModelError:
                self._let_go()
                raise

    def _loaded(self) -> Recogniser:
        """The recogniser, loaded if need be. The caller holds `_hearing`."""
        if self._recogniser is None:
            self._recogniser = self._load()
            log.info("the recogniser %s is loaded", self._recogniser.name)
        return self._recogniser

    def _let_go(self) -> None:
        if self._recogniser is not None:
            self._recogniser.close()
            self._recogniser = None

    def _checked(self, task: Task) -> Task:
        """The task with its language as an ISO 639 code: "en-GB" and "English" become "en"."""
        if task.language is None:
            return task
        with self._hearing:
            recogniser = self._loaded()
        codes = {name: code for code, name in recogniser.languages.items()}
        asked = task.language.strip().lower()
        code = codes.get(asked, asked.replace("_", "-").partition("-")[0])
        if code not in recogniser.languages:
            known = ", ".join(recogniser.languages)
            unknown = quoted(task.language)
            message = f"{recogniser.name} doesn't support the language {unknown}, only {known}."
            if not recogniser.translates:
                message += " For others set HIGGS_RECOGNISER to a multilingual Whisper, a folder or hub id."
            raise InvalidRequest(message, code="unsupported_language", param="language")
        return replace(task, language=code)

    @contextmanager
    def _place(self) -> Iterator[None]:
        with self._counting:
            if self._waiting >= self._most_waiting:
                raise Overloaded("Too many recordings are being transcribed; try again later.")
            self._waiting += 1
        try:
            yield
        finally:
            with self._counting:
                self._waiting -= 1


class TranscriptionJob:
    """A transcription in progress: iterate over it once; `cancel` from any thread.

    seconds: how long it is; known once the iteration has begun.
    """

    def __init__(self, parts: "Callable[[TranscriptionJob], Generator[Heard, None, None]]") -> None:
        self.seconds = 0.0
        self._parts = parts(self)
        self._cancelled = False

    def __iter__(self) -> Iterator[Heard]:
        """The results window by window. Raises as `Transcriber.listen` says; Cancelled after `cancel`."""
        with closing(self._parts):
            for heard in self._parts:
                if self._cancelled:
                    raise Cancelled("The client left.")
                yield heard

    def transcript(self) -> Transcript:
        """Wait for the whole transcript."""
        heard = list(self)
        language = heard[0].language if heard else "en"
        return Transcript(
            language, self.seconds, tuple(segment for part in heard for segment in part.segments)
        )

    def cancel(self) -> None:
        self._cancelled = True


def load_recogniser(name: str, device: str) -> Recogniser:
    """Load a recogniser.

    Args:
        name: "pocketsphinx", a Whisper's folder or hub id, or "auto": whisper-small on CUDA, else
            pocketsphinx.
        device: "cpu", "cuda", "cuda:1" or "auto".

    Raises:
        ModelError: it can't be loaded; the message names the remedy.
    """
    there = device != "cpu" and torch.cuda.is_available()
    device = ("cuda" if device == "auto" else device) if there else "cpu"
    if name == AUTO:
        name = Sphinx.name if device == "cpu" else PUBLISHED
    if name == Sphinx.name:
        return Sphinx()
    # Imported late: transformers' Whisper takes seconds and memory that pocketsphinx doesn't need.
    from asr.whisper import Whisper

    try:
        return Whisper(name, device)
    except (OSError, ValueError, RuntimeError) as error:
        log.error("the recogniser %s can't be loaded: %s", name, error)
        message = "The server's recogniser can't be loaded; its log says why. HIGGS_RECOGNISER must be"
        message += " pocketsphinx, or the folder or hub id of a Whisper in transformers' format."
        raise ModelError(message, code="recogniser_unavailable") from error
