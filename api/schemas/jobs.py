"""Bodies and answers of /v1/audio/speech/jobs."""

from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.chat import FaultFound
from api.schemas.fields import UNSUPPORTED, RequestBody
from api.schemas.speech import SpeechFields
from voices.store.job_tables import TITLE_LENGTH, JobStatus, SpeechJob, SpeechPiece
from voices.store.jobs import ChapterProgress

MAX_CHAPTERS = 1_000
BookFormat = Literal["m4b", "mp3", "opus", "flac", "wav"]


class BookChapter(RequestBody):
    title: str = Field(default="", max_length=TITLE_LENGTH)
    text: str = ""


class SpeechJobRequest(SpeechFields):
    """POST /v1/audio/speech/jobs: a book, as `input` or as `chapters`."""

    input: str | None = Field(
        default=None, description="The whole text; chapters begin at the headings of its Markdown."
    )
    chapters: list[BookChapter] | None = Field(default=None, min_length=1, max_length=MAX_CHAPTERS)
    title: str = Field(default="", max_length=TITLE_LENGTH, description="Of the book, for its file.")
    speak_titles: bool = Field(default=True, description="Whether the titles of chapters are read out.")

    @field_validator("max_tokens", "max_completion_tokens")
    @classmethod
    def _has_no_length(cls, value: int | None) -> int | None:
        if value is not None:
            raise PydanticCustomError(UNSUPPORTED, "A job speaks all of its text; leave this out.")
        return value

    @model_validator(mode="after")
    def _brings_one_book(self) -> "SpeechJobRequest":
        if (self.input is None) == (self.chapters is None):
            raise ValueError("send the text either as input or as chapters")
        return self


class ChapterState(BaseModel):
    """The progress of a chapter; seconds: of finished speech."""

    title: str
    pieces: int
    done: int
    seconds: float


class PieceCounts(BaseModel):
    total: int
    done: int


class JobError(BaseModel):
    code: str | None
    message: str | None


class SpeechJobState(BaseModel):
    """A job and its progress.

    seconds: of finished speech; seconds_left: estimated work, null before the first piece.
    note: why it is waiting, if that isn't obvious.
    """

    id: str
    object: Literal["audio.speech.job"] = "audio.speech.job"
    status: JobStatus
    created_at: int
    started_at: int | None
    finished_at: int | None
    model: str
    title: str
    voices: list[str]
    seed: int
    pieces: PieceCounts
    seconds: float
    seconds_left: float | None
    chapters: list[ChapterState]
    error: JobError | None
    note: str | None = None

    @classmethod
    def of(cls, job: SpeechJob, progress: list[ChapterProgress], served: str) -> "SpeechJobState":
        """served: the model that is served here."""
        done, total = sum(one.done for one in progress), sum(one.pieces for one in progress)
        by_chapter = {one.chapter: one for one in progress}
        waits = job.model != served and job.status in ("queued", "in_progress")
        return cls(
            id=job.id,
            status=job.status,
            created_at=int(job.created_at),
            started_at=None if job.started_at is None else int(job.started_at),
            finished_at=None if job.finished_at is None else int(job.finished_at),
            model=job.model,
            title=job.title,
            voices=job.voices,
            seed=job.seed,
            pieces=PieceCounts(total=total, done=done),
            seconds=sum(one.seconds for one in progress),
            seconds_left=_seconds_left(progress) if done < total else 0.0,
            chapters=[_chapter(title, by_chapter.get(n)) for n, title in enumerate(job.chapters)],
            error=JobError(code=job.error_code, message=job.error_message) if job.error_message else None,
            note=f"It waits for a server of the model {job.model!r}." if waits else None,
        )


def _seconds_left(progress: list[ChapterProgress]) -> float | None:
    done, took = sum(one.characters_done for one in progress), sum(one.took for one in progress)
    left = sum(one.characters for one in progress) - done
    return took / done * left if done else None


def _chapter(title: str, progress: ChapterProgress | None) -> ChapterState:
    if progress is None:
        return ChapterState(title=title, pieces=0, done=0, seconds=0.0)
    return ChapterState(title=title, pieces=progress.pieces, done=progress.done, seconds=progress.seconds)


class SpeechJobList(BaseModel):
    object: Literal["list"] = "list"
    data: list[SpeechJobState]
    has_more: bool


class PieceState(BaseModel):
    """A piece of a job. text: as given to the model; faults: see `quality` of a chat."""

    number: int
    object: Literal["audio.speech.job.piece"] = "audio.speech.job.piece"
    chapter: int
    status: Literal["queued", "completed"]
    text: str
    seed: int
    seconds: float | None
    faults: list[FaultFound]

    @classmethod
    def of(cls, piece: SpeechPiece) -> "PieceState":
        made = piece.made_at is not None
        return cls(
            number=piece.number,
            chapter=piece.chapter,
            status="completed" if made else "queued",
            text=" ".join(part[1] for part in piece.parts if isinstance(part, list)),
            seed=piece.seed,
            seconds=piece.seconds if made else None,
            faults=[FaultFound(**fault) for fault in piece.faults] if made else [],
        )


class PieceList(BaseModel):
    object: Literal["list"] = "list"
    data: list[PieceState]
    has_more: bool


class PieceAgain(RequestBody):
    seed: int | None = Field(default=None, ge=0, lt=2**63, description="Default: a random one.")


class SpeechJobDeleted(BaseModel):
    id: str
    object: Literal["audio.speech.job.deleted"] = "audio.speech.job.deleted"
    deleted: Literal[True] = True


class SpeechJobEvent(BaseModel):
    """The state of a job: now, at each change, and when it has ended."""

    type: Literal["audio.speech.job.updated", "audio.speech.job.ended"]
    job: SpeechJobState
