"""Onboarding sessions: their progress and result, for clients that ask while they run or later."""

import time
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from errors import NotFound, VoiceServerError, quoted
from voices.store.database import Database
from voices.store.tables import SessionState, VoiceCloneSession

KEPT_SECONDS = 30 * 86_400

Step = dict[str, Any]


class Sessions:
    """Methods with an owner see only that owner's sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, session: VoiceCloneSession) -> None:
        """Save a new session."""
        with self._database.writing() as transaction:
            transaction.add(session)

    def progress(self, voice_id: str, steps: list[Step]) -> None:
        """Record the steps of a running session."""
        with self._database.writing() as transaction:
            _change(transaction, voice_id, steps=steps, state="running")

    def end(
        self, voice_id: str, state: SessionState, steps: list[Step], error: VoiceServerError | None = None
    ) -> None:
        """Record that a session failed or was cancelled. `VoiceStore.keep` completes a successful one."""
        with self._database.writing() as transaction:
            code, message = (error.code, error.message) if error else (None, None)
            finish(transaction, voice_id, state, steps, error_code=code, error_message=message)

    def get(self, owner: str, voice_id: str) -> VoiceCloneSession:
        """Return the session of a voice. Raises NotFound."""
        with self._database.reading() as transaction:
            chosen = select(VoiceCloneSession).where(VoiceCloneSession.voice_id == voice_id)
            found = transaction.scalar(chosen.where(VoiceCloneSession.owner == owner))
        if found is None:
            raise NotFound(f"There is no onboarding of a voice {quoted(voice_id)}.", code="voice_not_found")
        return found

    def sweep(self) -> None:
        """Mark sessions left running by the last process as interrupted; delete those older than 30 days.

        A session of another server on the same database recovers with its next step.
        """
        with self._database.writing() as transaction:
            running = update(VoiceCloneSession).where(VoiceCloneSession.state == "running")
            transaction.execute(running.values(state="interrupted", finished_at=time.time()))
            old = VoiceCloneSession.created_at < time.time() - KEPT_SECONDS
            transaction.execute(delete(VoiceCloneSession).where(old))


def finish(
    transaction: Session, voice_id: str, state: SessionState, steps: list[Step], **values: Any
) -> bool:
    """End a session. Return False if it no longer exists."""
    return _change(transaction, voice_id, state=state, steps=steps, finished_at=time.time(), **values)


def _change(transaction: Session, voice_id: str, **values: Any) -> bool:
    session = transaction.get(VoiceCloneSession, voice_id)
    if session is None:
        return False
    for name, value in values.items():
        setattr(session, name, value)
    return True
