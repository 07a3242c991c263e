"""Speech to text: a recogniser, loaded on first use, that transcribes one window at a time."""

import logging
import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import soxr
import torch

from asr.memory import Decode, RecordingMemory
from asr.sphinx import Sphinx
from asr.transcript import SAMPLE_RATE, Recogniser, Span, Task, Transcript, WindowTranscript
from asr.windows import chunks, windows
from audio.compact import as_float
from concurrency import acquired, driven
from errors import Cancelled, InvalidRequest, ModelError, Overloaded, RecogniserMissing, quoted

log = logging.getLogger(__name__)
T = TypeVar("T")

# Fits beside the 3B on one GPU, and can translate, which the turbo models can't.
PUBLISHED = "openai/whisper-small"
AUTO = "auto"
PLAIN = Task()
# Takes a whole recording: mono samples (N,), float32, or int16 if it is long.
Study = Callable[[np.ndarray], None]
CLOSING_SECONDS = 2.0
FAILURE_SECONDS = 60.0  # how long a recogniser that couldn't be loaded isn't tried again


class Transcriber:
    """Turns speech into text. Thread-safe.

    Requests take turns window by window (30 s at most), so a short recording doesn't wait for a long one.
    """

    def __init__(
        self, load: Callable[[], Recogniser], names: Sequence[str] = (), max_waiting: int = 32
    ) -> None:
        """Create a transcriber; loads nothing yet.

        Args:
            load: loads the recogniser; called on first use.
            names: the model names under which clients may request it.
            max_waiting: maximum recordings in progress or waiting; more raise Overloaded.
        """
        self._load = load
        self.names = tuple(names)
        self._recogniser: Recogniser | None = None
        self._failure, self._failed_at = "", 0.0
        self._recognising, self._counting = threading.BoundedSemaphore(1), threading.Lock()
        self._memory = RecordingMemory()
        self._max_waiting = max_waiting
        self._waiting = 0

    def submit(self, samples: np.ndarray, sample_rate: int, task: Task = PLAIN) -> "TranscriptionJob":
        """Start to transcribe a recording.

        Args:
            samples: mono float32 (N,).
            sample_rate: in Hz.
            task: language, prompt and requested details.

        Returns:
            A job; iterating it transcribes window by window. Times are in seconds from the start of the
            recording. Silence yields nothing.

        Raises (while iterating):
            InvalidRequest: the recogniser doesn't support the task.
            Overloaded: too many recordings are waiting.
            ModelError: the recogniser can't be loaded, or failed.
        """
        return self.submit_lazy(lambda _: samples, sample_rate, math.inf, task)

    def submit_lazy(
        self, decode: Decode, sample_rate: int, longest: float, task: Task = PLAIN, study: Study | None = None
    ) -> "TranscriptionJob":
        """Start to transcribe a recording that is decoded only when its turn comes.

        The iteration takes a place in the queue before it decodes, so that excess requests are rejected
        cheaply.

        Args:
            decode: see asr.memory.Decode.
            sample_rate: of the decoded samples, in Hz.
            longest: maximum duration in seconds.
            task: see `submit`.
            study: is called with all samples before the first window is transcribed.

        Raises (while iterating):
            InvalidAudio: from `decode`.
            InvalidRequest, Overloaded, ModelError: see `submit`.
        """
        return TranscriptionJob(lambda job: self._parts(job, decode, sample_rate, longest, task, study))

    def _parts(
        self,
        job: "TranscriptionJob",
        decode: Decode,
        sample_rate: int,
        longest: float,
        task: Task,
        study: Study | None,
    ) -> Generator[WindowTranscript, None, None]:
        with self._place(), self._memory.held(decode, longest) as samples:
            job.seconds = len(samples) / sample_rate
            task = self._checked(task)
            if study is not None:
                study(samples)
            cut = windows(samples, sample_rate)
            if task.chunking is not None:
                cut = chunks(samples, sample_rate, task.chunking)
            for start, end in cut:
                window = soxr.resample(as_float(samples[start:end]), sample_rate, SAMPLE_RATE)
                heard = self._transcribe_window(window, task)
                task = replace(task, language=heard.language)
                later = start / sample_rate
                yield WindowTranscript(
                    heard.language, tuple(segment.later(later) for segment in heard.segments)
                )

    def align(self, samples: np.ndarray, sample_rate: int, words: Sequence[str]) -> Sequence[Span | None]:
        """When each of these words is said, which are known to be said in a recording of up to 30 s.

        Returns:
            From when to when, in seconds; None for words that are not found.

        Raises:
            Overloaded: too many recordings are waiting.
            ModelError: the recogniser can't be loaded, or failed.
        """
        with self._place():
            narrow = soxr.resample(samples, sample_rate, SAMPLE_RATE)
            return self._with_recogniser(lambda recogniser: recogniser.align(narrow, words))

    def transcribe(self, samples: np.ndarray, sample_rate: int, task: Task = PLAIN) -> Transcript:
        """Return the whole transcript of a recording. For arguments and errors see `submit`."""
        return self.submit(samples, sample_rate, task).transcript()

    @classmethod
    def of_setting(cls, name: str, device: str, max_waiting: int) -> "Transcriber":
        """Create a transcriber for the setting HIGGS_RECOGNISER; see `load_recogniser`."""
        short = Path(name).name
        names = [] if name == AUTO else [short] if Path(name).is_dir() else list(dict.fromkeys((name, short)))
        return cls(lambda: load_recogniser(name, device), names, max_waiting)

    @property
    def languages(self) -> Mapping[str, str]:
        """Supported languages, ISO 639 code → English name. Loads the recogniser."""
        with self._recognising:
            return self._loaded().languages

    @property
    def expected_wer(self) -> float:
        """The word error rate to expect on correct speech. Loads the recogniser."""
        with self._recognising:
            return self._loaded().expected_wer

    def close(self) -> None:
        """Free the recogniser; wait at most CLOSING_SECONDS for a window in progress."""
        waited = self._recognising.acquire(timeout=CLOSING_SECONDS)
        self._unload()
        if waited:
            self._recognising.release()

    def _with_recogniser(self, work: Callable[[Recogniser], T]) -> T:
        """Return the recogniser's answer, when its turn has come; one that failed is let go."""
        with acquired(self._recognising):
            try:
                return work(self._loaded())
            except ModelError:
                self._unload()
                raise

    def _transcribe_window(self, samples: np.ndarray, task: Task) -> WindowTranscript:
        return self._with_recogniser(lambda recogniser: recogniser.transcribe(samples, task))

    def _loaded(self) -> Recogniser:
        """Return the recogniser, loading it if needed. The caller holds `_recognising`.

        Without a network the hub takes minutes to fail, and others wait for it: a failure is remembered.
        """
        if self._recogniser is None:
            if self._failure and time.monotonic() < self._failed_at + FAILURE_SECONDS:
                raise RecogniserMissing(self._failure)
            try:
                self._recogniser = self._load()
            except RecogniserMissing as error:
                self._failure, self._failed_at = error.message, time.monotonic()
                raise
            log.info("loaded the recogniser %s", self._recogniser.name)
        return self._recogniser

    def _unload(self) -> None:
        if self._recogniser is not None:
            self._recogniser.close()
            self._recogniser = None

    def _checked(self, task: Task) -> Task:
        """Return the task with its language as an ISO 639 code: "en-GB" and "English" become "en"."""
        if task.language is None:
            return task
        with self._recognising:
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
            if self._waiting >= self._max_waiting:
                raise Overloaded("Too many recordings are being transcribed; try again later.")
            self._waiting += 1
        try:
            yield
        finally:
            with self._counting:
                self._waiting -= 1


class TranscriptionJob:
    """A transcription in progress. Iterate over it once; call `cancel` from any thread.

    Attributes:
        seconds: duration of the recording; known once the iteration has started.
    """

    def __init__(
        self, parts: "Callable[[TranscriptionJob], Generator[WindowTranscript, None, None]]"
    ) -> None:
        self.seconds = 0.0
        self._parts = parts(self)
        self._cancelled = False

    def __iter__(self) -> Iterator[WindowTranscript]:
        """Yield the result of each window. Raises what `Transcriber.submit` lists, and Cancelled."""
        return self._until_cancelled(driven(self._until_cancelled(self._parts)))

    def _until_cancelled(self, parts: Generator[WindowTranscript, None, None]) -> Iterator[WindowTranscript]:
        with closing(parts):
            for heard in parts:
                if self._cancelled:
                    raise Cancelled("The client disconnected.")
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
        RecogniserMissing: it can't be loaded; the message names the remedy.
    """
    there = device != "cpu" and torch.cuda.is_available()
    device = ("cuda" if device == "auto" else device) if there else "cpu"
    if name == AUTO:
        name = Sphinx.name if device == "cpu" else PUBLISHED
    if name == Sphinx.name:
        return Sphinx()
    # Imported late: loading transformers' Whisper costs seconds and memory.
    from asr.whisper import Whisper

    try:
        return Whisper(name, device)
    except (OSError, ValueError, RuntimeError) as error:
        log.error("can't load the recogniser %s: %s", name, error)
        message = "The server's recogniser can't be loaded; its log says why. HIGGS_RECOGNISER must be"
        message += " pocketsphinx, or the folder or hub id of a Whisper in transformers' format."
        raise RecogniserMissing(message) from error
