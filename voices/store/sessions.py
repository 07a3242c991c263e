"""Onboarding sessions: their progress and result, for clients that ask while they run or later."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from errors import NotFound, StoreUnavailable, VoiceServerError, quoted
from voices.store.database import Database
from voices.store.tables import SessionState, VoiceCloneSession

KEPT_SECONDS = 30 * 86_400
# A session whose server renews it no more is interrupted; other servers on the same database let the rest be.
LEASE_SECONDS, RENEWAL_SECONDS = 60.0, 15.0

Step = dict[str, Any]


class Sessions:
    """Methods with an owner see only that owner's sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, session: VoiceCloneSession) -> None:
        """Save a new session, leased to this server for a minute; `held` renews the lease."""
        session.leased_until = time.time() + LEASE_SECONDS
        with self._database.writing() as transaction:
            transaction.add(session)

    def progress(self, voice_id: str, steps: list[Step]) -> None:
        """Record the steps of a running session."""
        with self._database.writing() as transaction:
            leased_until = time.time() + LEASE_SECONDS
            _change(transaction, voice_id, steps=steps, state="running", leased_until=leased_until)

    @contextmanager
    def held(self, voice_id: str) -> Iterator[None]:
        """Renew the lease of a running session until the block ends, however long a step takes."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(RENEWAL_SECONDS):
                with suppress(StoreUnavailable):
                    self._renew(voice_id)

        threading.Thread(target=renew, name="lease", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _renew(self, voice_id: str) -> None:
        running = VoiceCloneSession.voice_id == voice_id, VoiceCloneSession.state == "running"
        renewed = update(VoiceCloneSession).where(*running).values(leased_until=time.time() + LEASE_SECONDS)
        with self._database.writing() as transaction:
            transaction.execute(renewed)

    def end(
        self, voice_id: str, state: SessionState, steps: list[Step], error: VoiceServerError | None = None
    ) -> None:
        """Record that a session failed or was cancelled. `VoiceStore.keep` completes a successful one."""
        with self._database.writing() as transaction:
            code, message = (error.code, error.message) if error else (None, None)
            finish(transaction, voice_id, state, steps, error_code=code, error_message=message)

    def get(self, owner: str, voice_id: str) -> VoiceCloneSession:
        """Return the session of a voice; one whose lease has run out is interrupted. Raises NotFound."""
        with self._database.reading() as transaction:
            chosen = select(VoiceCloneSession).where(VoiceCloneSession.voice_id == voice_id)
            found = transaction.scalar(chosen.where(VoiceCloneSession.owner == owner))
        if found is None:
            raise NotFound(f"There is no onboarding of a voice {quoted(voice_id)}.", code="voice_not_found")
        if found.state == "running" and (found.leased_until or 0.0) < time.time():
            found.state, found.finished_at = "interrupted", found.leased_until
        return found

    def sweep(self, now: float | None = None) -> None:
        """Mark running sessions whose lease has run out as interrupted; delete those older than 30 days."""
        now = time.time() if now is None else now
        lapsed = or_(VoiceCloneSession.leased_until.is_(None), VoiceCloneSession.leased_until < now)
        with self._database.writing() as transaction:
            running = update(VoiceCloneSession).where(VoiceCloneSession.state == "running", lapsed)
            transaction.execute(running.values(state="interrupted", finished_at=now))
            old = VoiceCloneSession.created_at < now - KEPT_SECONDS
            transaction.execute(delete(VoiceCloneSession).where(old))


def finish(
    transaction: Session, voice_id: str, state: SessionState, steps: list[Step], **values: Any
) -> bool:
    """End a session. Return False if it no longer exists."""
    return _change(transaction, voice_id, state=state, steps=steps, finished_at=time.time(), **values)


def _change(transaction: Session, voice_id: str, **values: Any) -> bool:
    session = transaction.get(VoiceCloneSession, voice_id, with_for_update=True)
    if session is None:
        return False
    for name, value in values.items():
        setattr(session, name, value)
    return True
