"""Onboarding sessions: what was uploaded and how far each came, for whoever asks while they run or later."""

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
    """Every method that names an owner sees that owner's sessions only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, session: VoiceCloneSession) -> None:
        with self._database.writing() as transaction:
            transaction.add(session)

    def progress(self, voice_id: str, steps: list[Step]) -> None:
        """Note the steps of a session that goes on."""
        with self._database.writing() as transaction:
            _change(transaction, voice_id, steps=steps, state="running")

    def end(
        self, voice_id: str, state: SessionState, steps: list[Step], error: VoiceServerError | None = None
    ) -> None:
        """Note that a session failed or was cancelled; one that succeeds ends with `VoiceStore.keep`."""
        with self._database.writing() as transaction:
            code, message = (error.code, error.message) if error else (None, None)
            finish(transaction, voice_id, state, steps, error_code=code, error_message=message)

    def get(self, owner: str, voice_id: str) -> VoiceCloneSession:
        with self._database.reading() as transaction:
            chosen = select(VoiceCloneSession).where(VoiceCloneSession.voice_id == voice_id)
            found = transaction.scalar(chosen.where(VoiceCloneSession.owner == owner))
        if found is None:
            raise NotFound(f"There is no onboarding of a voice {quoted(voice_id)}.", code="voice_not_found")
        return found

    def sweep(self) -> None:
        """Call what the last server left running interrupted, and forget what ended a month ago.

        A session of another server that still runs on this database sets itself right with its next step.
        """
        with self._database.writing() as transaction:
            running = update(VoiceCloneSession).where(VoiceCloneSession.state == "running")
            transaction.execute(running.values(state="interrupted", finished_at=time.time()))
            old = VoiceCloneSession.created_at < time.time() - KEPT_SECONDS
            transaction.execute(delete(VoiceCloneSession).where(old))


def finish(
    transaction: Session, voice_id: str, state: SessionState, steps: list[Step], **values: Any
) -> bool:
    """End a session; False if it is not there any more."""
    return _change(transaction, voice_id, state=state, steps=steps, finished_at=time.time(), **values)


def _change(transaction: Session, voice_id: str, **values: Any) -> bool:
    session = transaction.get(VoiceCloneSession, voice_id)
    if session is None:
        return False
    for name, value in values.items():
        setattr(session, name, value)
    return True
