"""The voice store: persistent, transactional storage of voices.

It handles bytes and arrays only, and has no model. Its methods block: call them in threads.
"""

from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from errors import Cancelled
from voices.store.consents import Consents
from voices.store.database import Database
from voices.store.job_queue import JobQueue
from voices.store.jobs import Jobs
from voices.store.paging import check_count
from voices.store.profiles import Profiles, name_taken, no_voice
from voices.store.samples import Samples
from voices.store.sessions import Sessions, Step, finish
from voices.store.tables import VoiceCloneSession, VoiceProfile

MAX_VOICES = 1000
MAX_JOBS = 20


class VoiceStore:
    """Stores voices and jobs. Each method is one transaction; raises StoreUnavailable without the database.

    Attributes:
        profiles: the saved voices.
        samples: further recordings of them.
        sessions: their onboardings.
        consents: recordings of the speakers' consent.
        jobs: books that are spoken, for their owners.
        job_queue: the same, for the server that speaks them.
    """

    def __init__(self, url: str, max_voices: int = MAX_VOICES, max_jobs: int = MAX_JOBS) -> None:
        """Open and migrate the database.

        Args:
            url: the database's URL; see Database.
            max_voices: maximum voices per owner, and maximum consents.
            max_jobs: maximum speech jobs per owner.

        Raises:
            StartError: the database can't be opened; the message names the remedy.
        """
        self._database = Database(url)
        self._max_voices = max_voices
        self.profiles = Profiles(self._database)
        self.samples = Samples(self._database)
        self.sessions = Sessions(self._database)
        self.consents = Consents(self._database, max_voices)
        self.jobs = Jobs(self._database, max_jobs)
        self.job_queue = JobQueue(self._database, uuid4().hex)
        self.sessions.sweep()
        self.job_queue.take_over()

    def check_room(self, owner: str) -> None:
        """Raise InvalidRequest (voices_full) if the owner has the maximum of voices."""
        with self._database.reading() as session:
            check_count(session, VoiceProfile, owner, self._max_voices)

    def keep(self, profile: VoiceProfile, steps: list[Step] | None = None) -> None:
        """Save a voice. With the steps of its session, complete that session in the same transaction.

        Raises:
            InvalidRequest: voices_full, the owner has the maximum of voices.
            Conflict: the user already has a voice with that name.
            NotFound: its consent was deleted meanwhile.
            Cancelled: its session was deleted meanwhile.
        """
        try:
            with self._database.adding(profile.owner) as session:
                check_count(session, VoiceProfile, profile.owner, self._max_voices)
                if steps is not None and not finish(session, profile.id, "completed", steps):
                    raise Cancelled("The voice was deleted while it was being created.")
                session.add(profile)
        except IntegrityError as error:
            if profile.consent_id is not None:
                self.consents.get(profile.owner, profile.consent_id)
            raise name_taken(profile.name) from error

    def delete(self, owner: str, voice_id: str) -> None:
        """Delete a voice with its recordings and session, or the session of a failed onboarding.

        Raises:
            NotFound: the owner has no such voice or session.
        """

        # The session first, which `keep` locks: the voice that it saves is seen after that.
        begun = select(VoiceCloneSession).filter_by(owner=owner, voice_id=voice_id).with_for_update()
        kept = select(VoiceProfile).filter_by(owner=owner, id=voice_id).with_for_update()

        def delete(session: Session) -> bool:
            found = [session.scalar(begun), session.scalar(kept)]
            for row in found:
                if row is not None:
                    session.delete(row)
            return any(found)

        if not self._database.deleting(delete):
            raise no_voice(voice_id)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
