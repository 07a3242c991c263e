"""Tables of speech jobs: books that are spoken piece by piece. See tables.py."""

from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from voices.store.tables import ID_LENGTH, MAX_FLAC_BYTES, MYSQL, Base

JobStatus = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
OPEN: tuple[JobStatus, ...] = ("queued", "in_progress")
TITLE_LENGTH = 200


class SpeechJob(Base):
    """A book on its way to speech.

    model:    the one that speaks it.
    voices:   of each speaker: the id of a kept voice or of one of the model's, default, or clone for flac.
    flac:     24 kHz mono: the recording to clone or, where the model makes up its voice, a piece that was
              spoken by it; None for neither. transcript: its words, where they are known.
    options:  temperature, top_p, top_k, and how it is delivered; what is missing is left to the model.
    seed:     of the first piece; those behind it follow.
    chapters: their titles.
    worker, leased_until: the server that works on it; the others leave it alone until then.
    """

    __tablename__ = "speech_jobs"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    owner: Mapped[str] = mapped_column(String(ID_LENGTH))
    created_at: Mapped[float] = mapped_column(Double)
    started_at: Mapped[float | None] = mapped_column(Double)
    finished_at: Mapped[float | None] = mapped_column(Double)
    status: Mapped[JobStatus] = mapped_column(String(16))
    model: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    voices: Mapped[list[str]] = mapped_column(JSON)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    seed: Mapped[int] = mapped_column(BigInteger)
    verify: Mapped[bool] = mapped_column(Boolean)
    chapters: Mapped[list[str]] = mapped_column(JSON)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    worker: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    leased_until: Mapped[float] = mapped_column(Double)
    transcript: Mapped[str | None] = mapped_column(Text)
    flac: Mapped[bytes | None] = mapped_column(
        LargeBinary(MAX_FLAC_BYTES), deferred=True, deferred_raiseload=True
    )

    __table_args__ = (Index(None, "owner", "created_at", "id"), Index(None, "status"), MYSQL)


class SpeechPiece(Base):
    """A few sentences of a job, and their speech once it is made.

    parts:   [[number of the voice, text] or seconds of silence], as the model is asked to speak them.
    pause:   seconds of silence behind it.
    made_at: None until it is made; seconds, took (of work), faults and flac are of that time.
    """

    __tablename__ = "speech_pieces"

    job_id: Mapped[str] = mapped_column(ForeignKey("speech_jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    chapter: Mapped[int] = mapped_column(Integer)
    parts: Mapped[list[Any]] = mapped_column(JSON)
    characters: Mapped[int] = mapped_column(Integer)
    pause: Mapped[float] = mapped_column(Double)
    seed: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[float | None] = mapped_column(Double)
    seconds: Mapped[float | None] = mapped_column(Double)
    took: Mapped[float | None] = mapped_column(Double)
    faults: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    # Last, since SQLite reads a row from its beginning: what is asked of all pieces stands before it.
    flac: Mapped[bytes | None] = mapped_column(
        LargeBinary(MAX_FLAC_BYTES), deferred=True, deferred_raiseload=True
    )

    __table_args__ = (MYSQL,)
