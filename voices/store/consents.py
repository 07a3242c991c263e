"""Consents: recordings in which speakers agree to be cloned."""

from sqlalchemy.orm import undefer

from voices.store.database import Database
from voices.store.owned import owned, rows_of
from voices.store.paging import Page, check_count, page
from voices.store.tables import VoiceConsent


class Consents:
    """Consents of one owner per call; another owner's raise NotFound."""

    def __init__(self, database: Database, max_consents: int) -> None:
        self._database, self._max_consents = database, max_consents

    def add(self, consent: VoiceConsent) -> None:
        """Save a consent. Raises InvalidRequest (voices_full) if the owner has the maximum."""
        with self._database.adding(consent.owner) as session:
            check_count(session, VoiceConsent, consent.owner, self._max_consents)
            session.add(consent)

    def get(self, owner: str, consent_id: str) -> VoiceConsent:
        """Return a consent. Raises NotFound."""
        with self._database.reading() as session:
            return owned(session, VoiceConsent, owner, consent_id)

    def recording(self, owner: str, consent_id: str) -> bytes:
        """Return the recording as FLAC. Raises NotFound."""
        with self._database.reading() as session:
            return owned(session, VoiceConsent, owner, consent_id, undefer(VoiceConsent.flac)).flac

    def page(self, owner: str, *, after: str | None, limit: int) -> Page[VoiceConsent]:
        """Return up to `limit` consents, newest first, older than the consent `after`."""
        with self._database.reading() as session:
            cursor = None if after is None else owned(session, VoiceConsent, owner, after)
            return page(session, rows_of(VoiceConsent, owner), VoiceConsent, cursor, limit)

    def rename(self, owner: str, consent_id: str, name: str) -> VoiceConsent:
        """Rename a consent and return it. Raises NotFound."""
        with self._database.writing() as session:
            consent = owned(session, VoiceConsent, owner, consent_id, lock=True)
            consent.name = name
        return consent

    def delete(self, owner: str, consent_id: str) -> None:
        """Delete a consent; voices linked to it remain, without a consent. Raises NotFound."""
        self._database.deleting(
            lambda session: session.delete(owned(session, VoiceConsent, owner, consent_id, lock=True))
        )
