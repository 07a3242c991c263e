"""The thread that speaks queued jobs, one piece at a time, with lower priority than live requests."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from typing import Any, Protocol

from audio.delivery import Delivery
from audio.encode import encode_audio
from audio.frames import SAMPLE_RATE
from concurrency import Cancellation, cancelled_by
from errors import (
    Cancelled,
    EngineFailed,
    Loading,
    ModelError,
    NotFound,
    Overloaded,
    ShuttingDown,
    StoreUnavailable,
    VoiceServerError,
)
from higgs.speech import SpeechStream
from higgs.spoken import Speech
from jobs.piece_voices import PieceVoices
from synthesis.options import SpeechOptions
from text.normalise import Part
from voice_cloning import VoiceCloner
from voices.library import VoiceLibrary
from voices.store.job_queue import MadePiece
from voices.store.job_tables import JobStatus, SpeechJob, SpeechPiece

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0  # how often to look for jobs that other servers abandoned
RETRY_SECONDS = 5.0  # delay after a temporary failure
MAX_TRIES = 4  # attempts at a piece if the model fails
SEEDS_APART = 5_000_011  # between the seeds of one piece's attempts, so that no other piece has them
TEMPORARY = (StoreUnavailable, Loading, Overloaded)  # the job waits


class BestAttempt(Protocol):
    """Speaks a text, several times if needed; returns the best speech and its faults.

    begin: starts an attempt. verify: check it with the recogniser.
    """

    def __call__(
        self, begin: Callable[[], SpeechStream], text: str, verify: bool
    ) -> tuple[Speech, list[dict[str, Any]]]: ...


class JobMaker:
    """Speaks the pieces of queued jobs in a thread of its own, from `start` to `stop`.

    Args:
        cloner: speaks.
        library: the saved voices, and the store with the jobs.
        best_attempt: speaks a piece.
        held: returns whether no further piece may be started, because the server is stopping.
        noted: called with None after each finished piece, and with the status of each finished job.
    """

    def __init__(
        self,
        cloner: VoiceCloner,
        library: VoiceLibrary,
        best_attempt: BestAttempt,
        held: Callable[[], bool],
        noted: Callable[[JobStatus | None], None],
    ) -> None:
        self._cloner, self._queue = cloner, library.store.job_queue
        self._voices = PieceVoices(cloner, library)
        self._best_attempt, self._held, self._noted = best_attempt, held, noted
        self._changed = threading.Event()
        self._stopped = False
        self._work = Cancellation()
        self._job_id: str | None = None  # the current job
        self._served: dict[str, float] = {}  # owner → when their last piece was started
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def changed(self, job_id: str, stopped: bool = False) -> None:
        """Call after a job was queued or cancelled."""
        if stopped and self._job_id == job_id:
            self._work.cancel()
        self._changed.set()

    def stop(self) -> None:
        """Abandon the current piece; the next server to start continues with it."""
        self._stopped = True
        self._work.cancel()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            self._changed.clear()
            try:
                worked = not self._held() and self._work_on_next()
                wait = 0.0 if worked else POLL_SECONDS
            except (ShuttingDown, EngineFailed):
                break
            except TEMPORARY as error:
                log.warning("jobs wait: %s", error)
                wait = RETRY_SECONDS
            except Exception:
                log.exception("unforeseen error while jobs are worked on")
                wait = RETRY_SECONDS
            if wait:
                self._changed.wait(wait)
        try:
            self._queue.release()
        except StoreUnavailable:
            log.warning("the lease of a job could not be released; other servers wait until it expires")

    def _work_on_next(self) -> bool:
        """Make one piece, of the owner who has waited longest; return whether there was one to make."""
        jobs = self._queue.open_jobs(self._cloner.model_id)
        for job in sorted(jobs, key=lambda job: (self._served.get(job.owner, 0.0), job.created_at)):
            if self._queue.claim(job.id):
                self._served[job.owner] = time.monotonic()
                self._work_on(job)
                return True
        return False

    def _work_on(self, job: SpeechJob) -> None:
        piece = self._queue.next_piece(job.id)
        if piece is None:
            return self._complete(job)
        self._work, self._job_id = Cancellation(), job.id
        if self._stopped:
            return
        try:
            with cancelled_by(self._work):
                self._make(job, piece)
        except Cancelled:
            return
        except (*TEMPORARY, ShuttingDown, EngineFailed):
            raise
        except Exception as error:
            self._fail(job, piece, error)
        finally:
            # The old one refers to the piece's stream, which would keep the model from being unloaded.
            self._work, self._job_id = Cancellation(), None

    def _make(self, job: SpeechJob, piece: SpeechPiece) -> None:
        began = time.monotonic()
        speech, faults = self._spoken(job, piece)
        flac = encode_audio(speech.samples, "flac").data
        seconds, took = len(speech.samples) / SAMPLE_RATE, time.monotonic() - began
        made = MadePiece(piece.number, speech.seed, flac, seconds, took, faults)
        voice = self._voices.voice_of(job, piece, speech.as_spoken)
        if not self._queue.keep(job.id, piece, made, voice):
            return
        self._noted(None)
        log.info("a piece of a job is made", extra={"details": _details(job, piece, took)})

    def _spoken(self, job: SpeechJob, piece: SpeechPiece) -> tuple[Speech, list[dict[str, Any]]]:
        """Return the speech of a piece and its faults; if the model fails, another seed is tried."""
        voices, options = self._voices.of(job), _options(job)
        parts: list[Part] = [tuple(part) if isinstance(part, list) else float(part) for part in piece.parts]
        seeds = ((piece.seed + attempt * SEEDS_APART) % 2**63 for attempt in count())

        def begin() -> SpeechStream:
            return self._cloner.stream_parts(parts, voices, SpeechOptions(seed=next(seeds), **options))

        text = " ".join(part[1] for part in parts if isinstance(part, tuple))
        for tried in range(1, MAX_TRIES + 1):
            try:
                return self._best_attempt(begin, text, job.verify)
            except ModelError:
                if tried == MAX_TRIES:
                    raise
        raise AssertionError("unreachable")

    def _complete(self, job: SpeechJob) -> None:
        if self._queue.complete(job.id):
            self._noted("completed")
            log.info("a job is completed", extra={"details": {"job": job.id}})

    def _fail(self, job: SpeechJob, piece: SpeechPiece, error: Exception) -> None:
        known = isinstance(error, VoiceServerError)
        if not known:
            log.exception("unforeseen error in a job", exc_info=error)
        message = error.message if isinstance(error, VoiceServerError) else "The server's log says why."
        code = error.code if isinstance(error, VoiceServerError) else "internal_error"
        if not isinstance(error, NotFound):
            message = f"Piece {piece.number} could not be made: {message}"
        if not self._queue.fail(job.id, code, message):
            return
        self._noted("failed")
        log.warning("a job failed", extra={"details": {"job": job.id, "piece": piece.number, "code": code}})


def _options(job: SpeechJob) -> dict[str, Any]:
    """Return a job's options as keyword arguments of SpeechOptions."""
    options = dict(job.options)
    sound = {name: options.pop(name, None) for name in asdict(Delivery())}
    return {**options, "delivery": Delivery(**sound)}


def _details(job: SpeechJob, piece: SpeechPiece, took: float) -> dict[str, Any]:
    return {"job": job.id, "piece": piece.number, "seconds": round(took, 2)}
