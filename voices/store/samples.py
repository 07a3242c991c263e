"""Further recordings of a saved voice, each with its transcript."""

import numpy as np
from sqlalchemy.orm import InstrumentedAttribute, Session, undefer

from errors import InvalidRequest, NotFound, quoted
from voices.store.database import Database
from voices.store.owned import owned
from voices.store.profiles import no_voice, packed, unpacked
from voices.store.tables import VoiceProfile, VoiceSample

MAX_SAMPLES = 2
# All recordings of a voice: they fit a prompt of 8,192 positions together with a long text.
MAX_TOTAL_SECONDS = 60.0


class Samples:
    """Recordings of one owner's voices; a voice of another owner raises NotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, owner: str, sample: VoiceSample) -> VoiceProfile:
        """Add a recording to the voice it names.

        Raises:
            NotFound: there is no such voice.
            InvalidRequest: voice_samples_full.
        """
        with self._database.writing() as session:
            profile = owned(session, VoiceProfile, owner, sample.voice_id, lock=True)
            profile.samples.append(sample)
            check_room(profile)
        return profile

    def remove(self, owner: str, voice_id: str, sample_id: str) -> VoiceProfile:
        """Remove a recording; return its voice. Raises NotFound."""

        def delete(session: Session) -> VoiceProfile:
            profile = owned(session, VoiceProfile, owner, voice_id, lock=True)
            found = [sample for sample in profile.samples if sample.id == sample_id]
            if not found:
                message = f"This voice has no recording {quoted(sample_id)}."
                raise NotFound(message, code="sample_not_found")
            profile.samples.remove(found[0])
            return profile

        return self._database.deleting(delete)

    def codes(self, sample: VoiceSample) -> np.ndarray:
        """Return codes int64 (8, T) of the codec that `sample.codec` identifies. Raises NotFound."""
        return unpacked(self._whole(sample, VoiceSample.codes).codes)

    def recording(self, sample: VoiceSample) -> bytes:
        """Return the recording as FLAC, 24 kHz mono. Raises NotFound."""
        return self._whole(sample, VoiceSample.flac).flac

    def set_codes(self, sample: VoiceSample, codes: np.ndarray, codec: str) -> None:
        """Replace a recording's codes (8, T) and their codec."""
        with self._database.writing() as session:
            kept = session.get(VoiceSample, sample.id, with_for_update=True)
            if kept is not None:
                kept.codes, kept.codec = packed(codes), codec

    def _whole(self, sample: VoiceSample, column: InstrumentedAttribute[bytes]) -> VoiceSample:
        """Return the sample with this deferred column loaded. Raises NotFound if it was deleted."""
        with self._database.reading() as session:
            found = session.get(VoiceSample, sample.id, options=[undefer(column)])
        if found is None:
            raise no_voice(sample.voice_id)
        return found


def check_room(profile: VoiceProfile) -> None:
    """Raise InvalidRequest (voice_samples_full) if a voice's recordings are too many or too long."""
    seconds = profile.end_seconds - profile.start_seconds + sum(kept.seconds for kept in profile.samples)
    if len(profile.samples) > MAX_SAMPLES or seconds > MAX_TOTAL_SECONDS:
        message = (
            f"A voice can have {MAX_SAMPLES} recordings beside its first, and {MAX_TOTAL_SECONDS:g} s in all."
        )
        raise InvalidRequest(f"{message} Delete one, or send less.", code="voice_samples_full")
