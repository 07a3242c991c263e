"""Which voices a chat requests: by name, by recordings in its messages, or by an earlier answer."""

from base64 import b64encode

from api.chat_validation import text_of
from api.kept_audio import KeptAudio
from api.schemas.chat import AudioRequest, ChatRequest
from api.schemas.messages import Message
from api.text_validation import check_reference_text
from api.voice_resolution import Recording, VoiceRequest
from errors import InvalidRequest, NotFound, quoted
from synthesis.references import CLONE
from text.normalise import SPEAKER


def voice_requests(request: ChatRequest, text: str, kept: KeptAudio, owner: str) -> list[VoiceRequest]:
    """Return the voice request of each speaker; usually there is one.

    Each "clone" takes the next recording of the messages. If there are none, a single "clone" takes the last
    earlier answer that a message names. If the text has [SPEAKER0], [SPEAKER1] … and `audio.voices` is unset,
    several recordings are the voices of these speakers.
    """
    audio = request.audio or AudioRequest()
    earlier = earlier_answers(request.messages, kept, owner)
    named = [(f"audio.voices[{number}]", name) for number, name in enumerate(audio.voices or ())]
    clones = sum(name == CLONE for _, name in named) if named else len(set(SPEAKER.findall(text)))
    recordings = different(recordings_of(request), clones)
    if not named:
        several = audio.voice == CLONE and len(recordings) > 1 and SPEAKER.search(text)
        named = [("audio.voice", audio.voice)] * (len(recordings) if several else 1)
    _check_recordings(named, recordings)
    if not recordings and audio.voice == CLONE and not audio.voices:
        recordings = earlier[-1:]
    left = iter(recordings)
    return [
        VoiceRequest(
            name,
            path,
            # An unrequested recording is passed on, so that the answer can say that it was not used.
            next(left, None) if name == CLONE or len(named) == 1 else None,
            falls_back=audio.fallback is not None,
            transcribes=audio.transcribe_reference,
            consent=audio.consent,
        )
        for path, name in named
    ]


def _check_recordings(named: list[tuple[str, str]], recordings: list[Recording]) -> None:
    """Refuse more recordings than cloned voices and, with several speakers, fewer."""
    clones = sum(name == CLONE for _, name in named)
    most = max(clones, 1)
    if len(recordings) > most:
        counted = f"The messages have {len(recordings)} recordings for {most} cloned voice{'s' * (most > 1)}."
        message = f"{counted} For several speakers use [SPEAKER0], [SPEAKER1] in the text."
        raise InvalidRequest(message, code="multiple_references", param=recordings[most].path)
    if len(named) > 1 and len(recordings) < clones:
        path = next(path for path, name in named if name == CLONE)
        message = f"{clones} voices are to be cloned, but the messages have {len(recordings)} recordings."
        raise InvalidRequest(message, code="missing_required_parameter", param=path)


def different(recordings: list[Recording], wanted: int) -> list[Recording]:
    """Remove duplicate recordings: clients resend a chat's history with each turn.

    Keep all if that leaves fewer than `wanted`: two speakers may have the same voice.
    """
    if len(recordings) < 2:
        return recordings  # of megabytes, which need not be hashed
    once: dict[str, Recording] = {}
    for recording in recordings:
        data = recording.data.rpartition(",")[2]  # with or without a data: URI prefix
        before = once.get(data)
        if before is None or (before.transcript is None and recording.transcript is not None):
            once[data] = recording
    return list(once.values()) if len(once) >= wanted else recordings


def recordings_of(request: ChatRequest) -> list[Recording]:
    """Return the input_audio parts of the messages.

    The first one's transcript is `audio.ref_text`. Otherwise, the transcript of one in an assistant message
    is the preceding user message: boson's format of a reference.
    """
    found: list[Recording] = []
    for position, message in enumerate(request.messages):
        for index, part in enumerate(message.content):
            if part.recording is not None:
                data, field = part.recording
                path = f"messages[{position}].content[{index}].{field}"
                words = _boson_transcript(request.messages, position)
                check_reference_text(words, f"messages[{position - 1}].content")
                if not found and request.audio and request.audio.ref_text:
                    check_reference_text(request.audio.ref_text, "audio.ref_text")
                    words = request.audio.ref_text.strip() or words
                found.append(Recording(data, path, words))
    return found


def earlier_answers(messages: list[Message], kept: KeptAudio, owner: str) -> list[Recording]:
    """Return the earlier answers that messages name by id. Raises NotFound (audio_not_found)."""
    answers = []
    for position, message in enumerate(messages):
        if message.audio is not None:
            path, answer = f"messages[{position}].audio.id", kept.find(owner, message.audio.id)
            if answer is None:
                known = f"The audio {quoted(message.audio.id)} is unknown or expired"
                text = f"{known}; put its transcript in content."
                raise NotFound(text, code="audio_not_found", param=path)
            data = b64encode(answer.audio).decode("ascii")
            answers.append(Recording(data, path, answer.transcript, ours=True))
    return answers


def _boson_transcript(messages: list[Message], position: int) -> str | None:
    if position == 0 or messages[position].role != "assistant" or messages[position - 1].role != "user":
        return None
    return SPEAKER.sub("", text_of(messages[position - 1])).strip() or None
