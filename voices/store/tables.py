"""Tables of the voice database. Times are Unix timestamps; every row belongs to one owner."""

from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

ID_LENGTH = 64
NAME_LENGTH = 100
USER_LENGTH = 128
SessionState = Literal["running", "completed", "failed", "cancelled", "interrupted"]
# The size makes MySQL choose MEDIUMBLOB; 30 s of FLAC need about 1 MB.
MAX_FLAC_BYTES = 2**24 - 1
# MySQL's default collations treat "José" and "jose" as equal.
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}
MYSQL |= {key.replace("mysql", "mariadb"): value for key, value in MYSQL.items()}


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
        }
    )


class VoiceConsent(Base):
    """A recording in which a speaker agrees to be cloned."""

    __tablename__ = "voice_consents"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    owner: Mapped[str] = mapped_column(String(ID_LENGTH))
    created_at: Mapped[float] = mapped_column(Double)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    language: Mapped[str] = mapped_column(String(35))
    flac: Mapped[bytes] = mapped_column(LargeBinary(MAX_FLAC_BYTES), deferred=True, deferred_raiseload=True)

    __table_args__ = (Index(None, "owner", "created_at", "id"), MYSQL)


class VoiceProfile(Base):
    """A saved voice: its reference recording, the recording's codes, and metadata.

    Attributes:
        flac: the 24 kHz mono reference that was encoded; the upload itself is not stored.
        codes: uint16, little-endian, 8 rows of one code per frame, made by the codec that `codec` identifies.
        start_seconds, end_seconds: the part of the upload, of source_seconds, that became the reference.
        similarity: of the voice's first trial to the reference, 0 to 1; None if not compared.
        samples: further recordings of the voice, oldest first.
        aliases: other names that it answers to, in alphabetical order.
        speed, pitch, volume, instructions: the default delivery; None keeps the model's own.
        pronunciations: how it says words, as of text.pronunciations; None says nothing of it.
    """

    __tablename__ = "voice_profiles"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    owner: Mapped[str] = mapped_column(String(ID_LENGTH))
    user_id: Mapped[str] = mapped_column(String(USER_LENGTH))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    created_at: Mapped[float] = mapped_column(Double)
    transcript: Mapped[str | None] = mapped_column(Text)
    consent_id: Mapped[str | None] = mapped_column(ForeignKey("voice_consents.id", ondelete="SET NULL"))
    source_seconds: Mapped[float] = mapped_column(Double)
    start_seconds: Mapped[float] = mapped_column(Double)
    end_seconds: Mapped[float] = mapped_column(Double)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    similarity: Mapped[float | None] = mapped_column(Double)
    speed: Mapped[float | None] = mapped_column(Double)
    pitch: Mapped[float | None] = mapped_column(Double)
    volume: Mapped[float | None] = mapped_column(Double)
    instructions: Mapped[str | None] = mapped_column(Text)
    pronunciations: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    codec: Mapped[str] = mapped_column(String(ID_LENGTH))
    flac: Mapped[bytes] = mapped_column(LargeBinary(MAX_FLAC_BYTES), deferred=True, deferred_raiseload=True)
    codes: Mapped[bytes] = mapped_column(LargeBinary(2**16 - 1), deferred=True, deferred_raiseload=True)
    samples: Mapped[list["VoiceSample"]] = relationship(
        order_by="VoiceSample.created_at",
        lazy="selectin",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )

    aliases: Mapped[list["VoiceAlias"]] = relationship(
        order_by="VoiceAlias.name",
        lazy="selectin",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )

    __table_args__ = (
        UniqueConstraint("owner", "user_id", "name"),
        Index(None, "owner", "created_at", "id"),
        MYSQL,
    )


class VoiceSample(Base):
    """A further recording of a saved voice; flac, codes and codec as in VoiceProfile."""

    __tablename__ = "voice_samples"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    voice_id: Mapped[str] = mapped_column(ForeignKey("voice_profiles.id", ondelete="CASCADE"))
    created_at: Mapped[float] = mapped_column(Double)
    transcript: Mapped[str] = mapped_column(Text)
    seconds: Mapped[float] = mapped_column(Double)
    codec: Mapped[str] = mapped_column(String(ID_LENGTH))
    flac: Mapped[bytes] = mapped_column(LargeBinary(MAX_FLAC_BYTES), deferred=True, deferred_raiseload=True)
    codes: Mapped[bytes] = mapped_column(LargeBinary(2**16 - 1), deferred=True, deferred_raiseload=True)

    __table_args__ = (Index(None, "voice_id", "created_at"), MYSQL)


class VoiceAlias(Base):
    """Another name that one of the owner's voices answers to, such as alloy."""

    __tablename__ = "voice_aliases"

    owner: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    voice_id: Mapped[str] = mapped_column(ForeignKey("voice_profiles.id", ondelete="CASCADE"))

    __table_args__ = (Index(None, "voice_id"), MYSQL)


class VoiceCloneSession(Base):
    """One onboarding: the upload, its progress, and why it failed. Remains after a failure.

    Attributes:
        state: running, completed, failed, cancelled (by the client) or interrupted (by a server restart).
        leased_until: When it counts as interrupted unless its server renews it; None in old rows.
        steps: [{"name", "state", "started_at", "seconds"}] in order.
    """

    __tablename__ = "voice_clone_sessions"

    voice_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    owner: Mapped[str] = mapped_column(String(ID_LENGTH))
    user_id: Mapped[str] = mapped_column(String(USER_LENGTH))
    voice_name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    file_name: Mapped[str] = mapped_column(String(255))
    upload_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[float] = mapped_column(Double)
    finished_at: Mapped[float | None] = mapped_column(Double)
    leased_until: Mapped[float | None] = mapped_column(Double)
    state: Mapped[SessionState] = mapped_column(String(16))
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index(None, "state", "created_at"), MYSQL)
