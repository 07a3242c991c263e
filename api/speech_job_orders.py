"""Validate a request for a speech job and plan its pieces, so that errors are reported at once."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from uuid import uuid4

from api.errors import blamed_on
from api.schemas.jobs import SpeechJobRequest
from api.speech_requests import check_speakable, options_of, voice_requests
from api.state import ServerState
from api.voice_resolution import VoiceRequest, choose_voices
from api.voice_validation import plain_text
from audio.decode import decode_audio, decode_base64_audio
from audio.encode import encode_audio
from audio.reference import prepare_reference
from concurrency import raise_if_cancelled
from errors import InvalidRequest, PayloadTooLarge
from jobs.book import MAX_TITLE, Chapter, PlannedPiece, chapters_of, pieces_of
from synthesis.references import CLONE, VoiceReference
from text.normalise import Part
from voice_cloning import VoiceCloner
from voices.store.job_tables import SpeechJob, SpeechPiece

# A chapter, and the fields of its title and its text.
Placed = tuple[Chapter, str, str]
# A chapter, and what is spoken for its title and its text.
ReadChapter = tuple[Chapter, list[Part], list[Part]]
Reader = Callable[[str], list[Part]]


def ordered_job(
    body: SpeechJobRequest, cloner: VoiceCloner, state: ServerState, owner: str
) -> tuple[SpeechJob, list[SpeechPiece]]:
    """Return a job that is ready to be queued, and its pieces.

    Raises:
        PayloadTooLarge: the book is too long.
        NotFound, InvalidRequest, InvalidAudio: as for speech; see begin_speech.
    """
    check_speakable(body, cloner)
    wanted = voice_requests(body)
    placed = placed_chapters(body, state.limits.job_characters)
    options = options_of(body)
    voices, used = choose_voices(wanted, options, cloner, state, owner)
    read = partial(cloner.parts, voices=list(voices), options=options)
    chapters = read_chapters(body, placed, read)
    planned = pieces_of([(title, text) for _, title, text in chapters])
    flac, transcript = _recording(wanted, voices, cloner, state.limits.upload_bytes)
    seed = secrets.randbits(63) if options.seed is None else options.seed
    job = SpeechJob(
        id=f"job_{uuid4().hex}",
        owner=owner,
        created_at=time.time(),
        status="queued",
        model=cloner.model_id,
        title=_title(body.title, "title"),
        voices=used.used.split(", "),
        options={
            **{name: getattr(options, name) for name in ("temperature", "top_k", "top_p")},
            **asdict(options.delivery),
        },
        seed=seed,
        verify=state.verifier(body.verify) is not None,
        chapters=[chapter.shown for chapter, *_ in chapters],
        leased_until=0.0,
        transcript=transcript,
        flac=flac,
    )
    return job, [_piece(job, number, piece) for number, piece in enumerate(planned)]


def placed_chapters(body: SpeechJobRequest, max_characters: int) -> list[Placed]:
    """Return the chapters and their fields. Raises PayloadTooLarge."""
    given = body.chapters or []
    characters = len(body.input or "") + sum(len(one.title) + len(one.text) for one in given)
    path = "input" if body.chapters is None else "chapters"
    if characters > max_characters:
        message = f"The book has {characters} characters; the maximum is {max_characters}. Send it in parts."
        raise PayloadTooLarge(message, code="text_too_long", param=path)
    if body.input is not None:
        return [(chapter, path, path) for chapter in chapters_of(body.input)]
    paths = [(f"chapters[{number}].title", f"chapters[{number}].text") for number in range(len(given))]
    return [
        (Chapter(_title(one.title, title), one.text), title, text)
        for one, (title, text) in zip(given, paths, strict=True)
    ]


def read_chapters(body: SpeechJobRequest, placed: Sequence[Placed], read: Reader) -> list[ReadChapter]:
    """Return the chapters with what is spoken of them.

    Chapters of an input that have nothing to speak are left out; those that were sent keep their numbers.
    Raises InvalidRequest (text_empty) if no chapter has anything.
    """
    found: list[ReadChapter] = []
    for chapter, title_path, text_path in placed:
        title = _parts(chapter.title, title_path, read) if body.speak_titles else []
        text = _parts(chapter.text, text_path, read)
        if title or text or body.chapters is not None:
            found.append((chapter, title, text))
    if not any(title or text for _, title, text in found):
        path = "input" if body.chapters is None else "chapters"
        raise InvalidRequest("The text holds nothing to speak.", code="text_empty", param=path)
    return found


def _parts(text: str, path: str, read: Reader) -> list[Part]:
    """Return the parts of a title or of a chapter's text; none if there is nothing to speak."""
    raise_if_cancelled()
    try:
        with blamed_on(path):
            parts = read(text)
    except InvalidRequest as error:
        if error.code != "text_empty":
            raise
        return []
    return parts if any(isinstance(part, tuple) for part in parts) else []


def _recording(
    wanted: Sequence[VoiceRequest],
    voices: Sequence[VoiceReference | None],
    cloner: VoiceCloner,
    max_bytes: int,
) -> tuple[bytes | None, str | None]:
    """Return the reference as FLAC, prepared for the model, and its transcript; None if nothing is cloned."""
    for request, voice in zip(wanted, voices, strict=True):
        if request.name == CLONE and request.recording and voice:
            data = decode_base64_audio(request.recording.data, max_bytes=max_bytes)
            used = prepare_reference(decode_audio(data), cloner.max_reference_seconds)
            return encode_audio(used.samples, "flac").data, voice.transcript
    return None, None


def _title(value: str, param: str) -> str:
    return plain_text(" ".join(value.split()), param, MAX_TITLE)


def _piece(job: SpeechJob, number: int, planned: PlannedPiece) -> SpeechPiece:
    return SpeechPiece(
        job_id=job.id,
        number=number,
        chapter=planned.chapter,
        parts=[list(part) if isinstance(part, tuple) else part for part in planned.parts],
        characters=planned.characters,
        pause=planned.pause,
        seed=(job.seed + planned.first) % 2**63,
        faults=[],
    )
