"""The store of voices: what it keeps survives the process, and is whole or not there at all.

It takes bytes and arrays, and knows nothing of models or sound. Its methods block: call them from threads.
"""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from errors import Cancelled
from voices.store.consents import Consents
from voices.store.database import Database
from voices.store.paging import check_count
from voices.store.profiles import Profiles, name_taken, no_voice
from voices.store.samples import Samples
from voices.store.sessions import Sessions, Step, finish
from voices.store.tables import VoiceCloneSession, VoiceProfile

MAX_VOICES = 1000


class VoiceStore:
    """profiles: the kept voices; samples: more recordings of them; sessions: how they came to be; consents:
    who agreed to it.

    Each method is one transaction. StoreUnavailable while the database is away or full.
    """

    def __init__(self, url: str, max_voices: int = MAX_VOICES) -> None:
        """Open the database of this URL and migrate it; StartError names the remedy if it can't be.

        max_voices: that one owner may keep, and as many consents.
        """
        self._database = Database(url)
        self._max_voices = max_voices
        self.profiles = Profiles(self._database)
        self.samples = Samples(self._database)
        self.sessions = Sessions(self._database)
        self.consents = Consents(self._database, max_voices)
        self.sessions.sweep()

    def check_room(self, owner: str) -> None:
        """InvalidRequest (voices_full) if the owner keeps as many voices as may be kept."""
        with self._database.reading() as session:
            check_count(session, VoiceProfile, owner, self._max_voices)

    def keep(self, profile: VoiceProfile, steps: list[Step] | None = None) -> None:
        """Add a voice and, with the steps of its session, complete that session at once.

        InvalidRequest (voices_full): its owner keeps too many. Conflict: its user has a voice of that name.
        NotFound: its consent went meanwhile. Cancelled: its session was deleted meanwhile.
        """
        try:
            with self._database.writing() as session:
                check_count(session, VoiceProfile, profile.owner, self._max_voices)
                session.add(profile)
                session.flush()
                if steps is not None and not finish(session, profile.id, "completed", steps):
                    raise Cancelled("The voice was deleted while it was made.")
        except IntegrityError as error:
            if profile.consent_id is not None:
                self.consents.get(profile.owner, profile.consent_id)
            raise name_taken(profile.name) from error

    def delete(self, owner: str, voice_id: str) -> None:
        """Delete a voice with its recording and its session, or the session of one that failed."""

        def delete(session: Session) -> bool:
            found = [
                session.scalar(select(VoiceProfile).filter_by(owner=owner, id=voice_id)),
                session.scalar(select(VoiceCloneSession).filter_by(owner=owner, voice_id=voice_id)),
            ]
            for row in found:
                if row is not None:
                    session.delete(row)
            return any(found)

        if not self._database.deleting(delete):
            raise no_voice(voice_id)

    def close(self) -> None:
        self._database.close()
