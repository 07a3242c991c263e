"""Speech jobs for the servers that work on them: the next piece, and the results."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import CursorResult, Update, exists, or_, select, update
from sqlalchemy.orm import Session, undefer

from voices.store.database import Database
from voices.store.job_tables import OPEN, SpeechJob, SpeechPiece

LEASE_SECONDS = 60.0  # longer than a piece usually takes; a server that is killed holds its job so long


@dataclass(frozen=True)
class MadePiece:
    """A finished piece: its seed, FLAC, seconds of speech and of work, and faults."""

    number: int
    seed: int
    flac: bytes
    seconds: float
    took: float
    faults: list[dict[str, Any]]


class JobQueue:
    """Jobs are leased, so that several servers can share one database.

    worker: identifies this server.
    """

    def __init__(self, database: Database, worker: str) -> None:
        self._database, self._worker = database, worker

    def open_jobs(self, model: str) -> Sequence[SpeechJob]:
        """The jobs for this model that nobody else works on, oldest first."""
        free = or_(SpeechJob.leased_until < time.time(), SpeechJob.worker == self._worker)
        chosen = select(SpeechJob).where(SpeechJob.status.in_(OPEN), SpeechJob.model == model, free)
        with self._database.reading() as session:
            return session.scalars(chosen.order_by(SpeechJob.created_at, SpeechJob.id)).all()

    def claim(self, job_id: str) -> bool:
        """Lease a job, or go on with it; False where another server was faster, or it isn't open any more."""
        now = time.time()
        free = or_(SpeechJob.leased_until < now, SpeechJob.worker == self._worker)
        claimed = update(SpeechJob).where(SpeechJob.id == job_id, SpeechJob.status.in_(OPEN), free)
        begun = update(SpeechJob).where(SpeechJob.id == job_id, SpeechJob.started_at.is_(None))
        lease = {"worker": self._worker, "leased_until": now + LEASE_SECONDS, "status": "in_progress"}
        with self._database.writing() as session:
            if not _changed(session, claimed.values(lease)):
                return False
            session.execute(begun.values(started_at=now))
        return True

    def next_piece(self, job_id: str) -> SpeechPiece | None:
        """The first piece that isn't made; None where all are."""
        chosen = select(SpeechPiece).where(SpeechPiece.job_id == job_id, SpeechPiece.made_at.is_(None))
        with self._database.reading() as session:
            return session.scalar(chosen.order_by(SpeechPiece.number).limit(1))

    def recording(self, job_id: str) -> tuple[bytes | None, str | None]:
        """The FLAC that the job clones, and its words; None where there are none."""
        with self._database.reading() as session:
            job = session.get(SpeechJob, job_id, options=[undefer(SpeechJob.flac)])
        return (None, None) if job is None else (job.flac, job.transcript)

    def keep(
        self, job_id: str, asked: SpeechPiece, made: MadePiece, voice: tuple[bytes, str] | None = None
    ) -> bool:
        """Keep a piece that was made; False where it isn't wanted any more, or is made by somebody else.

        asked: the piece as it was when the work began.
        voice: FLAC and its words, which become the voice of the job's further pieces unless they have one.
        """
        wanted = update(SpeechPiece).where(
            SpeechPiece.job_id == job_id,
            SpeechPiece.number == asked.number,
            SpeechPiece.seed == asked.seed,
            SpeechPiece.made_at.is_(None),
        )
        without = update(SpeechJob).where(SpeechJob.id == job_id, SpeechJob.flac.is_(None))
        values = {name: value for name, value in vars(made).items() if name != "number"}
        with self._database.writing() as session:
            _lock(session, job_id)
            if not _changed(session, wanted.values(**values, made_at=time.time())):
                return False
            if voice is not None:
                session.execute(without.values(flac=voice[0], transcript=voice[1]))
        return True

    def complete(self, job_id: str) -> bool:
        """End a job if all its pieces are made; return whether they are."""
        left = exists().where(SpeechPiece.job_id == job_id, SpeechPiece.made_at.is_(None))
        ended = update(SpeechJob).where(SpeechJob.id == job_id, SpeechJob.status.in_(OPEN), ~left)
        values = {"status": "completed", "finished_at": time.time(), "leased_until": 0.0}
        with self._database.writing() as session:
            _lock(session, job_id)
            return _changed(session, ended.values(values))

    def fail(self, job_id: str, code: str | None, message: str) -> bool:
        """End a job that can't go on, and say why; False where it isn't this server's any more."""
        mine = SpeechJob.id == job_id, SpeechJob.status.in_(OPEN), SpeechJob.worker == self._worker
        values = {"status": "failed", "error_code": code, "error_message": message, "leased_until": 0.0}
        with self._database.writing() as session:
            return _changed(session, update(SpeechJob).where(*mine).values(**values, finished_at=time.time()))

    def release(self) -> None:
        """Leave the jobs of this server to others, as it ends."""
        mine = update(SpeechJob).where(SpeechJob.worker == self._worker, SpeechJob.leased_until > 0)
        with self._database.writing() as session:
            session.execute(mine.values(leased_until=0.0))

    def take_over(self) -> None:
        """End all leases of a file that only this server has open: who held them was killed."""
        if self._database.opened_alone:
            with self._database.writing() as session:
                session.execute(update(SpeechJob).values(leased_until=0.0))


def _lock(session: Session, job_id: str) -> None:
    """Lock a job before its pieces, as Jobs.make_again does.

    In a statement of its own, since PostgreSQL shows a statement that waited the pieces as they were before.
    """
    session.execute(select(SpeechJob.id).where(SpeechJob.id == job_id).with_for_update())


def _changed(session: Session, statement: Update) -> bool:
    """Return whether a statement changed a row."""
    done = session.execute(statement, execution_options={"synchronize_session": False})
    return cast(CursorResult[Any], done).rowcount > 0
