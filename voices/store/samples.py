"""More recordings of a kept voice than its first, each with its words."""

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session, undefer

from errors import InvalidRequest, NotFound, quoted
from voices.store.database import Database
from voices.store.profiles import no_voice, packed, unpacked
from voices.store.tables import VoiceProfile, VoiceSample

MAX_SAMPLES = 2
MAX_TOTAL_SECONDS = (
    60.0  # of all recordings of a voice: what a prompt of 8,192 positions holds beside a long text
)


class Samples:
    """Every method sees the voices of one owner only; a voice of another's is NotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, owner: str, sample: VoiceSample) -> VoiceProfile:
        """Keep a recording of the voice it names; InvalidRequest (voice_samples_full): it has enough."""
        with self._database.writing() as session:
            profile = _locked(session, owner, sample.voice_id)
            profile.samples.append(sample)
            check_room(profile)
        return profile

    def remove(self, owner: str, voice_id: str, sample_id: str) -> VoiceProfile:

        def delete(session: Session) -> VoiceProfile:
            profile = _locked(session, owner, voice_id)
            found = [sample for sample in profile.samples if sample.id == sample_id]
            if not found:
                message = f"This voice has no recording {quoted(sample_id)}."
                raise NotFound(message, code="sample_not_found")
            profile.samples.remove(found[0])
            return profile

        return self._database.deleting(delete)

    def codes(self, sample: VoiceSample) -> np.ndarray:
        """int64 (8, T), of the codec that the sample names."""
        return unpacked(self._whole(sample, VoiceSample.codes).codes)

    def recording(self, sample: VoiceSample) -> bytes:
        """FLAC, 24 kHz mono."""
        return self._whole(sample, VoiceSample.flac).flac

    def set_codes(self, sample: VoiceSample, codes: np.ndarray, codec: str) -> None:
        """Replace codes (8, T) that another codec made."""
        with self._database.writing() as session:
            kept = session.get(VoiceSample, sample.id)
            if kept is not None:
                kept.codes, kept.codec = packed(codes), codec

    def _whole(self, sample: VoiceSample, column: InstrumentedAttribute[bytes]) -> VoiceSample:
        """The sample with this column of it; NotFound if it is gone."""
        with self._database.reading() as session:
            found = session.get(VoiceSample, sample.id, options=[undefer(column)])
        if found is None:
            raise no_voice(sample.voice_id)
        return found


def check_room(profile: VoiceProfile) -> None:
    """InvalidRequest (voice_samples_full) if a voice has more recordings, or longer ones, than are kept."""
    seconds = profile.end_seconds - profile.start_seconds + sum(kept.seconds for kept in profile.samples)
    if len(profile.samples) > MAX_SAMPLES or seconds > MAX_TOTAL_SECONDS:
        most = (
            f"A voice has up to {MAX_SAMPLES} recordings beside its first, of {MAX_TOTAL_SECONDS:g} s in all."
        )
        raise InvalidRequest(f"{most} Delete one, or send less.", code="voice_samples_full")


def _locked(session: Session, owner: str, voice_id: str) -> VoiceProfile:
    """The voice, which nobody else changes until the transaction ends."""
    chosen = select(VoiceProfile).where(VoiceProfile.owner == owner, VoiceProfile.id == voice_id)
    profile = session.scalar(chosen.with_for_update())
    if profile is None:
        raise no_voice(voice_id)
    return profile
