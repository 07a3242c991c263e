"""What a chat means here: which text is spoken, which recording is the reference, what is refused."""

from dataclasses import dataclass

from api.schemas import AudioRequest, ChatRequest, Message
from api.text_rules import check_text
from api.voice_choice import Recording
from audio.text import spoken_part
from errors import InvalidRequest


@dataclass(frozen=True)
class SpokenText:
    """What is to be spoken, and where it stands in the body."""

    text: str
    path: str


def check_supported(request: ChatRequest) -> AudioRequest:
    """Refuse what this route can't do; return the audio asked for, WAV in the default voice where unsaid."""
    if request.n not in (None, 1):
        raise _unsupported("n", "One answer is made per request; send several requests instead.")
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


def reference_recording(request: ChatRequest) -> Recording | None:
    """The one input_audio of the messages, if any.

    Its transcript is `audio.ref_text`, else, for audio in an assistant message, the text of the user
    message right before it: boson's own way of showing a voice.
    """
    found = [
        (position, part_index, part.input_audio)
        for position, message in enumerate(request.messages)
        for part_index, part in enumerate(message.content)
        if part.input_audio is not None
    ]
    if not found:
        return None
    if len(found) > 1:
        position, part_index, _ = found[1]
        message = f"The messages hold {len(found)} recordings; a voice is cloned from exactly one."
        raise InvalidRequest(message, code="multiple_references", param=_path(position, part_index))
    position, part_index, recording = found[0]
    given = request.audio.ref_text if request.audio else None
    transcript = (given or "").strip() or _boson_transcript(request.messages, position)
    return Recording(recording.data, _path(position, part_index), transcript)


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
