"""What a chat means here: which text is spoken, which recording is the reference, what is refused."""

from base64 import b64encode
from dataclasses import dataclass

from api.kept_audio import KeptAudio
from api.schemas import AudioRequest, ChatRequest, Message
from api.text_rules import check_text
from api.voice_choice import CLONE, Recording
from audio.text import spoken_part
from errors import InvalidRequest, NotFound


@dataclass(frozen=True)
class SpokenText:
    """What is to be spoken, and where it stands in the body."""

    text: str
    path: str


def check_supported(request: ChatRequest) -> AudioRequest:
    """Refuse what this route can't do; return the audio asked for, WAV in the default voice where unsaid."""
    if request.n not in (None, 1):
        raise _unsupported("n", "One answer is made per request; send several requests instead.")
    if request.stream and request.verify:
        raise _unsupported("verify", "A stream leaves before it can be heard as a whole; ask without stream.")
    if request.modalities is not None and "audio" not in request.modalities:
        raise _unsupported("modalities", 'This model answers with audio; modalities must name "audio".')
    return request.audio or AudioRequest()


def spoken_text(request: ChatRequest, longest: int) -> SpokenText:
    """The text of the last user message, without a leading instruction unless strip_instruction is false."""
    index = max((i for i, message in enumerate(request.messages) if message.role == "user"), default=None)
    if index is None:
        raise InvalidRequest("There is no user message to speak.", code="text_empty", param="messages")
    path = f"messages[{index}].content"
    text = _text_of(request.messages[index])
    check_text(text, path, longest)
    return SpokenText(spoken_part(text, strip_instruction=request.strip_instruction), path)


def reference_recording(request: ChatRequest, kept: KeptAudio) -> Recording | None:
    """The one input_audio of the messages; without any, a clone is one of the earlier answer named last.

    Its transcript is `audio.ref_text`, else, for audio in an assistant message, the text of the user
    message right before it: boson's own way of showing a voice.
    """
    found = [
        (position, part_index, part.input_audio)
        for position, message in enumerate(request.messages)
        for part_index, part in enumerate(message.content)
        if part.input_audio is not None
    ]
    earlier = _earlier_answers(request.messages, kept)
    if not found:
        wants_clone = request.audio is not None and request.audio.voice == CLONE
        return earlier[-1] if earlier and wants_clone else None
    if len(found) > 1:
        position, part_index, _ = found[1]
        message = f"The messages hold {len(found)} recordings; a voice is cloned from exactly one."
        raise InvalidRequest(message, code="multiple_references", param=_path(position, part_index))
    position, part_index, recording = found[0]
    given = request.audio.ref_text if request.audio else None
    transcript = (given or "").strip() or _boson_transcript(request.messages, position)
    return Recording(recording.data, _path(position, part_index), transcript)


def _earlier_answers(messages: list[Message], kept: KeptAudio) -> list[Recording]:
    """The answers that messages name by their ids; NotFound (audio_not_found) for one that isn't kept."""
    answers = []
    for position, message in enumerate(messages):
        if message.audio is not None:
            path, answer = f"messages[{position}].audio.id", kept.find(message.audio.id)
            if answer is None:
                text = f"The audio {message.audio.id!r} is unknown or expired; put its transcript in content."
                raise NotFound(text, code="audio_not_found", param=path)
            answers.append(Recording(b64encode(answer.audio).decode("ascii"), path, answer.transcript))
    return answers


def _boson_transcript(messages: list[Message], position: int) -> str | None:
    if position == 0 or messages[position].role != "assistant" or messages[position - 1].role != "user":
        return None
    return _text_of(messages[position - 1]) or None


def _text_of(message: Message) -> str:
    return "\n".join(part.text for part in message.content if part.text).strip()


def _path(position: int, part_index: int) -> str:
    return f"messages[{position}].content[{part_index}].input_audio.data"


def _unsupported(param: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, code="unsupported", param=param)
