"""Speech jobs for their owners: add, list, show, cancel, resume, repeat a piece, delete."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.orm import Session, undefer

from errors import Conflict, NotFound
from voices.store.database import Database
from voices.store.job_tables import OPEN, SpeechJob, SpeechPiece
from voices.store.owned import owned, rows_of
from voices.store.paging import Page, check_count, page


@dataclass(frozen=True)
class ChapterProgress:
    """How far a chapter came: its pieces, and of those that are made the characters, the seconds of sound,
    and the seconds of work."""

    chapter: int
    pieces: int
    done: int
    characters: int
    characters_done: int
    seconds: float
    took: float


class Jobs:
    """Jobs of one owner per call; another owner's raise NotFound."""

    def __init__(self, database: Database, max_jobs: int) -> None:
        self._database, self._max_jobs = database, max_jobs

    def check_room(self, owner: str) -> None:
        """Raise InvalidRequest (jobs_full) if the owner has the maximum of jobs."""
        with self._database.reading() as session:
            check_count(session, SpeechJob, owner, self._max_jobs, "jobs_full")

    def add(self, job: SpeechJob, pieces: Sequence[SpeechPiece]) -> None:
        """Queue a job. Raises InvalidRequest (jobs_full)."""
        with self._database.adding(job.owner) as session:
            check_count(session, SpeechJob, job.owner, self._max_jobs, "jobs_full")
            session.add(job)
            session.flush()
            session.add_all(pieces)

    def get(self, owner: str, job_id: str) -> SpeechJob:
        with self._database.reading() as session:
            return owned(session, SpeechJob, owner, job_id)

    def page(self, owner: str, *, after: str | None, limit: int) -> Page[SpeechJob]:
        """Return up to `limit` jobs, newest first, older than the job `after`."""
        with self._database.reading() as session:
            cursor = None if after is None else owned(session, SpeechJob, owner, after)
            return page(session, rows_of(SpeechJob, owner), SpeechJob, cursor, limit)

    def progress(self, job_ids: Sequence[str]) -> dict[str, list[ChapterProgress]]:
        """Return the progress of the jobs' chapters, in order."""
        made = SpeechPiece.made_at.is_not(None)
        count = func.sum(cast(made, Integer))
        characters = func.sum(SpeechPiece.characters * cast(made, Integer))
        chosen = select(
            SpeechPiece.job_id,
            SpeechPiece.chapter,
            func.count(),
            count,
            func.sum(SpeechPiece.characters),
            characters,
            func.sum((SpeechPiece.seconds + SpeechPiece.pause) * cast(made, Integer)),
            func.sum(SpeechPiece.took * cast(made, Integer)),
        ).where(SpeechPiece.job_id.in_(job_ids))
        grouped = chosen.group_by(SpeechPiece.job_id, SpeechPiece.chapter).order_by(SpeechPiece.chapter)
        found: dict[str, list[ChapterProgress]] = {job_id: [] for job_id in job_ids}
        with self._database.reading() as session:
            for job_id, chapter, *figures in session.execute(grouped):
                *counts, seconds, took = (figure or 0 for figure in figures)  # of none, a sum is NULL
                there, done, length, length_done = map(int, counts)
                found[job_id].append(
                    ChapterProgress(chapter, there, done, length, length_done, float(seconds), float(took))
                )
        return found

    def pieces(
        self,
        owner: str,
        job_id: str,
        *,
        after: int = -1,
        limit: int | None = None,
        chapter: int | None = None,
    ) -> list[SpeechPiece]:
        """The pieces behind this number in their order, of one chapter or of all; their sound is not read."""
        chosen = select(SpeechPiece).where(SpeechPiece.job_id == job_id, SpeechPiece.number > after)
        if chapter is not None:
            chosen = chosen.where(SpeechPiece.chapter == chapter)
        with self._database.reading() as session:
            owned(session, SpeechJob, owner, job_id)
            return list(session.scalars(chosen.order_by(SpeechPiece.number).limit(limit)))

    def piece(self, owner: str, job_id: str, number: int) -> SpeechPiece:
        """Return a piece. Raises NotFound."""
        with self._database.reading() as session:
            owned(session, SpeechJob, owner, job_id)
            return _piece(session, job_id, number)

    def sound(self, job_id: str, number: int) -> bytes:
        """Return the FLAC of a piece. Raises Conflict if it isn't finished."""
        with self._database.reading() as session:
            chosen = select(SpeechPiece).filter_by(job_id=job_id, number=number)
            piece = session.scalar(chosen.options(undefer(SpeechPiece.flac)))
        if piece is None or piece.made_at is None or piece.flac is None:
            raise Conflict(f"Piece {number} is not made yet.", code="job_not_completed")
        return piece.flac

    def make_again(self, owner: str, job_id: str, number: int, seed: int) -> SpeechJob:
        """Queue a piece to be spoken again with this seed, also of a finished job."""
        with self._database.writing() as session:
            job = owned(session, SpeechJob, owner, job_id, lock=True)
            piece = _piece(session, job_id, number)
            piece.made_at, piece.seed = None, seed
            _queue(job)
        return job

    def cancel(self, owner: str, job_id: str) -> SpeechJob:
        """Stop a job; its pieces remain. No effect on finished jobs."""
        with self._database.writing() as session:
            job = owned(session, SpeechJob, owner, job_id, lock=True)
            if job.status in OPEN:
                job.status, job.finished_at = "cancelled", time.time()
        return job

    def resume(self, owner: str, job_id: str) -> SpeechJob:
        """Continue a job that failed or was cancelled; no effect on others."""
        with self._database.writing() as session:
            job = owned(session, SpeechJob, owner, job_id, lock=True)
            if job.status in ("failed", "cancelled"):
                _queue(job)
        return job

    def delete(self, owner: str, job_id: str) -> None:
        """Delete a job and its speech."""
        self._database.deleting(
            lambda session: session.delete(owned(session, SpeechJob, owner, job_id, lock=True))
        )


def _queue(job: SpeechJob) -> None:
    if job.status not in OPEN:
        job.status, job.leased_until = "queued", 0.0
    job.finished_at = job.error_code = job.error_message = None


def _piece(session: Session, job_id: str, number: int) -> SpeechPiece:
    piece = session.scalar(select(SpeechPiece).filter_by(job_id=job_id, number=number))
    if piece is None:
        raise NotFound(f"This job has no piece {number}.", code="piece_not_found")
    return piece
