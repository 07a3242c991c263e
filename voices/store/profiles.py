"""Voice profiles of each owner: add, find, list, edit, delete."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain, count
from types import MappingProxyType

import numpy as np
from sqlalchemy import Select, delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session, undefer

from audio.frames import CODEBOOKS
from errors import Conflict, InvalidRequest, NotFound, quoted
from voices.store.database import Database
from voices.store.owned import missing, owned, rows_of
from voices.store.paging import Page, page
from voices.store.tables import VoiceAlias, VoiceProfile

CODE_TYPE = np.dtype("<u2")
MAX_LISTED = 3


@dataclass(frozen=True)
class Sample:
    """A voice's reference recording.

    Attributes:
        flac: FLAC bytes, 24 kHz mono.
        codes: int64 (8, T).
        codec: identifies the codec that made the codes.
    """

    flac: bytes
    codes: np.ndarray
    codec: str


class Profiles:
    """Voice profiles of one owner per call; another owner's raise NotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, owner: str, voice_id: str) -> VoiceProfile:
        """Return a voice. Raises NotFound."""
        with self._database.reading() as session:
            return owned(session, VoiceProfile, owner, voice_id)

    def find(self, owner: str, name: str) -> VoiceProfile | None:
        """Return the voice with this id, else with this name; None if there is none.

        Raises:
            InvalidRequest: voice_ambiguous, several voices have this name.
        """
        with self._database.reading() as session:
            found = session.scalar(_of(owner).where(VoiceProfile.id == name))
            if found is not None:
                return found
            named = session.scalars(_of(owner).where(VoiceProfile.name == name).limit(MAX_LISTED)).all()
        if len(named) > 1:
            ids = ", ".join(profile.id for profile in named)
            message = f"Several voices are named {quoted(name)}; use an id instead, such as {ids}."
            raise InvalidRequest(message, code="voice_ambiguous")
        return named[0] if named else None

    def aliased(self, owner: str, alias: str) -> VoiceProfile | None:
        """Return the voice that has this alias; None if there is none."""
        with self._database.reading() as session:
            known = _of(owner).join(VoiceProfile.aliases).where(VoiceAlias.owner == owner)
            return session.scalar(known.where(VoiceAlias.name == alias))

    def aliases(self, owner: str) -> dict[str, str]:
        """Return all aliases, in alphabetical order, with the ids of their voices."""
        with self._database.reading() as session:
            rows = session.scalars(select(VoiceAlias).filter_by(owner=owner).order_by(VoiceAlias.name))
            return {row.name: row.voice_id for row in rows}

    def taken(self, owner: str, user_id: str, name: str) -> bool:
        """Return whether this user of the owner has a voice with this name."""
        with self._database.reading() as session:
            same = _of(owner).where(VoiceProfile.user_id == user_id, VoiceProfile.name == name)
            return session.scalar(same) is not None

    def free_name(self, owner: str, user_id: str, name: str) -> str:
        """Return `name`, with the first free number appended if the user has a voice with it."""
        base = re.sub(r" \d+$", "", name)
        alike = select(VoiceProfile.name).filter_by(owner=owner, user_id=user_id)
        with self._database.reading() as session:
            taken = set(session.scalars(alike.where(VoiceProfile.name.startswith(base, autoescape=True))))
        names = chain([name], (f"{base} {number}" for number in count(2)))
        return next(each for each in names if each not in taken)

    def page(
        self, owner: str, *, after: str | None, limit: int, user_id: str | None = None
    ) -> Page[VoiceProfile]:
        """Return up to `limit` voices, newest first, older than the voice `after`; of one user if given."""
        chosen = _of(owner) if user_id is None else _of(owner).where(VoiceProfile.user_id == user_id)
        with self._database.reading() as session:
            cursor = None if after is None else owned(session, VoiceProfile, owner, after)
            return page(session, chosen, VoiceProfile, cursor, limit)

    def sample(self, owner: str, voice_id: str) -> Sample:
        """Return a voice's reference recording. Raises NotFound."""
        profile = self._with(owner, voice_id, VoiceProfile.flac, VoiceProfile.codes)
        return Sample(profile.flac, unpacked(profile.codes), profile.codec)

    def codes(self, owner: str, voice_id: str) -> tuple[np.ndarray, str]:
        """Return the codes int64 (8, T) of a voice's reference and their codec. Raises NotFound.

        Doesn't read the FLAC, which is a hundred times as large.
        """
        profile = self._with(owner, voice_id, VoiceProfile.codes)
        return unpacked(profile.codes), profile.codec

    def _with(self, owner: str, voice_id: str, *columns: InstrumentedAttribute[bytes]) -> VoiceProfile:
        """Return the voice with these deferred columns loaded."""
        with self._database.reading() as session:
            return owned(session, VoiceProfile, owner, voice_id, *map(undefer, columns))

    def change(
        self,
        owner: str,
        voice_id: str,
        *,
        name: str | None = None,
        transcript: str | None = None,
        delivery: Mapping[str, float | str | None] = MappingProxyType({}),
        pronunciations: Mapping[str, str] | None = None,
        aliases: Collection[str] | None = None,
    ) -> VoiceProfile:
        """Edit a voice; None leaves a field unchanged.

        Args:
            owner: who owns the voice.
            voice_id: its id.
            name: new name.
            transcript: new transcript; empty removes it.
            delivery: new values of the columns speed, pitch, volume, instructions.
            pronunciations: new ones, empty for none; None keeps them.
            aliases: all that the voice is to have; other voices lose them. None keeps the voice's own.

        Raises:
            NotFound: there is no such voice.
            Conflict: the name is taken, or another request gave away an alias at the same time.
        """
        try:
            with self._database.writing() as session:
                profile = owned(session, VoiceProfile, owner, voice_id, lock=True)
                if name is not None:
                    profile.name = name
                if transcript is not None:
                    profile.transcript = transcript or None
                for column, value in delivery.items():
                    setattr(profile, column, value)
                if pronunciations is not None:
                    profile.pronunciations = dict(pronunciations) or None
                session.flush()
                if aliases is not None:
                    _give_aliases(session, profile, aliases)
        except IntegrityError as error:
            if aliases:
                message = "The aliases or the name were taken at the same time; try again."
                raise Conflict(message, code="voice_name_taken") from error
            raise name_taken(name or "") from error
        return profile

    def set_codes(self, owner: str, voice_id: str, codes: np.ndarray, codec: str) -> None:
        """Replace the codes (8, T) of a voice's reference, and their codec. Raises NotFound."""
        with self._database.writing() as session:
            profile = owned(session, VoiceProfile, owner, voice_id, lock=True)
            profile.codes, profile.codec = packed(codes), codec


def packed(codes: np.ndarray) -> bytes:
    """Return codes (8, T) in their stored form."""
    return codes.astype(CODE_TYPE).tobytes()


def unpacked(data: bytes) -> np.ndarray:
    """Return stored codes as int64 (8, T)."""
    return np.frombuffer(data, CODE_TYPE).reshape(CODEBOOKS, -1).astype(np.int64)


def name_taken(name: str) -> Conflict:
    message = f"A voice named {quoted(name)} already exists; choose another name, or delete that one first."
    return Conflict(message, code="voice_name_taken")


def no_voice(voice_id: str) -> NotFound:
    return missing(VoiceProfile, voice_id)


def _of(owner: str) -> Select[VoiceProfile]:
    return rows_of(VoiceProfile, owner)


def _give_aliases(session: Session, profile: VoiceProfile, names: Collection[str]) -> None:
    """Let the voice have exactly these aliases."""
    replaced = or_(VoiceAlias.voice_id == profile.id, VoiceAlias.name.in_(names))
    session.execute(delete(VoiceAlias).where(VoiceAlias.owner == profile.owner, replaced))
    session.add_all(VoiceAlias(owner=profile.owner, name=name, voice_id=profile.id) for name in names)
    session.flush()
    session.refresh(profile, ["aliases"])
