"""/v1/audio/speech/jobs: books that are spoken in the background, piece by piece, and stored."""

import secrets
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from api.middleware.auth import Owner
from api.openapi import event_stream
from api.outgoing import speech_encoder
from api.polling import polled
from api.schemas.chat import SpeechFormat
from api.schemas.jobs import (
    BookFormat,
    PieceAgain,
    PieceList,
    PieceState,
    SpeechJobDeleted,
    SpeechJobEvent,
    SpeechJobList,
    SpeechJobRequest,
    SpeechJobState,
)
from api.speech_job_orders import ordered_job
from api.state import Cloner, ServerState, State, Voices
from api.streaming import ChunkedResponse, sse, while_connected
from audio.decode import decode_audio
from audio.encode import FORMATS
from errors import Conflict, NotFound
from jobs.download import BOOK_FORMATS, BookFile, blocks_of
from voice_cloning import VoiceCloner
from voices.library import VoiceLibrary
from voices.store.job_tables import OPEN, SpeechJob

router = APIRouter(prefix="/v1/audio/speech/jobs")

POLL_SECONDS = 1.0
FILE = {"schema": {"type": "string", "format": "binary"}}
FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {one.content_type: FILE for one in (*FORMATS.values(), *BOOK_FORMATS.values())}}
}
EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": event_stream(SpeechJobEvent)}}
Limit = Annotated[int, Query(ge=1, le=100)]
Number = Annotated[int, Path(ge=0, lt=2**31)]


@router.post("")
async def create_job(
    body: SpeechJobRequest, request: Request, cloner: Cloner, voices: Voices, state: State, owner: Owner
) -> SpeechJobState:
    """Queue a book. Its whole text is checked first; it is spoken while no other request waits."""
    jobs = voices.store.jobs
    await run_in_threadpool(jobs.check_room, owner)
    job, pieces = await while_connected(request, None, partial(ordered_job, body, cloner, state, owner))
    await run_in_threadpool(jobs.add, job, pieces)
    _changed(state, job.id)
    return await run_in_threadpool(_state, job, cloner, voices)


@router.get("")
def list_jobs(
    cloner: Cloner, voices: Voices, owner: Owner, after: str | None = None, limit: Limit = 20
) -> SpeechJobList:
    """List jobs, newest first."""
    page = voices.store.jobs.page(owner, after=after, limit=limit)
    progress = voices.store.jobs.progress([job.id for job in page.rows])
    data = [SpeechJobState.of(job, progress[job.id], cloner.model_id) for job in page.rows]
    return SpeechJobList(data=data, has_more=page.has_more)


@router.get("/{job_id}")
def retrieve_job(job_id: str, cloner: Cloner, voices: Voices, owner: Owner) -> SpeechJobState:
    return _state(voices.store.jobs.get(owner, job_id), cloner, voices)


@router.get("/{job_id}/events", response_class=StreamingResponse, responses=EVENTS)
async def job_events(
    job_id: str, cloner: Cloner, voices: Voices, state: State, owner: Owner
) -> StreamingResponse:
    """Stream the state: now, at each change, and when the job has ended.

    If the job is deleted meanwhile, the last event is that error. The stream also ends when the server stops.
    """

    def look() -> SpeechJobState:
        return _state(voices.store.jobs.get(owner, job_id), cloner, voices)

    return await polled(look, _event, lambda job: job.status in OPEN, state.drain, POLL_SECONDS)


@router.post("/{job_id}/cancel")
def cancel_job(job_id: str, cloner: Cloner, voices: Voices, state: State, owner: Owner) -> SpeechJobState:
    """Stop a job; its finished pieces remain. No effect on a job that has ended."""
    job = voices.store.jobs.cancel(owner, job_id)
    _changed(state, job_id, stopped=True)
    return _state(job, cloner, voices)


@router.post("/{job_id}/resume")
def resume_job(job_id: str, cloner: Cloner, voices: Voices, state: State, owner: Owner) -> SpeechJobState:
    """Continue a job that failed or was cancelled."""
    job = voices.store.jobs.resume(owner, job_id)
    _changed(state, job_id)
    return _state(job, cloner, voices)


@router.delete("/{job_id}")
def delete_job(job_id: str, voices: Voices, state: State, owner: Owner) -> SpeechJobDeleted:
    """Delete a job and its speech; a running job is stopped."""
    voices.store.jobs.delete(owner, job_id)
    _changed(state, job_id, stopped=True)
    return SpeechJobDeleted(id=job_id)


@router.get("/{job_id}/content", response_class=Response, responses=FILES)
async def job_content(
    job_id: str,
    request: Request,
    voices: Voices,
    state: State,
    owner: Owner,
    response_format: BookFormat = "m4b",
    chapter: Annotated[int | None, Query(ge=0, description="Only this chapter, from 0 on.")] = None,
) -> Response:
    """Return a completed job, or a completed chapter, as one file; m4b and mp3 have chapter marks.

    An m4b is encoded completely before the first byte is sent: some seconds per hour of speech.
    """
    book = await run_in_threadpool(_book, voices, state, owner, job_id, chapter)
    format = BOOK_FORMATS[response_format]
    name = quote(f"{book.title or job_id}.{response_format}", safe="")
    disposition = f"attachment; filename=\"{job_id}.{response_format}\"; filename*=UTF-8''{name}"
    headers = {"content-disposition": disposition}
    if response_format != "m4b":
        return ChunkedResponse(book.streamed(response_format), Uncancelled(), format.content_type, headers)
    file = await while_connected(request, None, partial(book.written, response_format))
    headers["content-length"] = str(file.seek(0, 2))
    file.seek(0)
    return ChunkedResponse(blocks_of(file), Uncancelled(), format.content_type, headers)


@router.get("/{job_id}/pieces")
def list_pieces(
    job_id: str,
    voices: Voices,
    owner: Owner,
    after: Annotated[int, Query(ge=-1, lt=2**31, description="Pieces behind this number.")] = -1,
    limit: Limit = 100,
) -> PieceList:
    rows = voices.store.jobs.pieces(owner, job_id, after=after, limit=limit + 1)
    return PieceList(data=[PieceState.of(row) for row in rows[:limit]], has_more=len(rows) > limit)


@router.get("/{job_id}/pieces/{number}")
def retrieve_piece(job_id: str, number: Number, voices: Voices, owner: Owner) -> PieceState:
    return PieceState.of(voices.store.jobs.piece(owner, job_id, number))


@router.post("/{job_id}/pieces/{number}")
def make_piece_again(
    job_id: str,
    number: Number,
    body: PieceAgain,
    cloner: Cloner,
    voices: Voices,
    state: State,
    owner: Owner,
) -> SpeechJobState:
    """Speak a piece again with another seed; the job is queued again."""
    seed = secrets.randbits(63) if body.seed is None else body.seed
    job = voices.store.jobs.make_again(owner, job_id, number, seed)
    _changed(state, job_id)
    return _state(job, cloner, voices)


@router.get("/{job_id}/pieces/{number}/content", response_class=Response, responses=FILES)
def piece_content(
    job_id: str,
    number: Number,
    voices: Voices,
    state: State,
    owner: Owner,
    response_format: SpeechFormat = "flac",
) -> Response:
    """Return the speech of one piece."""
    voices.store.jobs.piece(owner, job_id, number)
    encoder = speech_encoder(voices.store.jobs.get(owner, job_id).model, state)
    encoded = encoder.file(decode_audio(voices.store.jobs.sound(job_id, number)), response_format)
    return Response(encoded.data, media_type=encoded.content_type)


class Uncancelled:
    """Nothing of the model's waits for a file that is there already."""

    def cancel(self) -> None:
        return


def _book(voices: VoiceLibrary, state: ServerState, owner: str, job_id: str, chapter: int | None) -> BookFile:
    """NotFound: no such job or chapter. Conflict (job_not_completed): a piece of it isn't made."""
    job = voices.store.jobs.get(owner, job_id)
    pieces = voices.store.jobs.pieces(owner, job_id, chapter=chapter)
    if not pieces:
        there = chapter is not None and chapter < len(job.chapters)
        message = (
            f"Chapter {chapter} has nothing to speak." if there else f"This job has no chapter {chapter}."
        )
        raise NotFound(message, code="chapter_not_found", param="chapter")
    missing = sum(piece.made_at is None for piece in pieces)
    if missing:
        message = f"{missing} of {len(pieces)} pieces are not made yet; ask again when they are."
        raise Conflict(message, code="job_not_completed")
    sound = partial(voices.store.jobs.sound, job_id)
    return BookFile(job, pieces, sound, speech_encoder(job.model, state))


def _state(job: SpeechJob, cloner: VoiceCloner, voices: VoiceLibrary) -> SpeechJobState:
    progress = voices.store.jobs.progress([job.id])[job.id]
    return SpeechJobState.of(job, progress, cloner.model_id)


def _event(job: SpeechJobState) -> bytes:
    kind = "updated" if job.status in OPEN else "ended"
    return sse({"type": f"audio.speech.job.{kind}", "job": job.model_dump()})


def _changed(state: ServerState, job_id: str, stopped: bool = False) -> None:
    if state.jobs is not None:
        state.jobs.changed(job_id, stopped)
