"""Which text of a chat is spoken, and which requests are refused."""

import re
from dataclasses import dataclass, replace

from api.schemas.chat import AudioRequest, ChatRequest
from api.schemas.messages import Message
from api.text_validation import check_text
from errors import InvalidRequest, PayloadTooLarge
from higgs.prompts.v2 import INSTRUCTION
from synthesis.options import SpeechOptions
from text.normalise import spoken_part

# The format of system messages in boson's clients.
SCENE = re.compile(r"<\|scene_desc_start\|>(.*?)<\|scene_desc_end\|>", re.DOTALL)


@dataclass(frozen=True)
class ChatText:
    """The text to speak, and the path of its field."""

    text: str
    path: str


def check_supported(request: ChatRequest) -> AudioRequest:
    """Refuse what this route doesn't support; return the audio request, or the default one."""
    if request.n not in (None, 1):
        raise _unsupported("n", "Only one answer per request is supported; send several requests instead.")
    if request.stream and request.verify:
        raise _unsupported("verify", "Streamed speech can't be verified before it is sent; omit stream.")
    if request.modalities is not None and "audio" not in request.modalities:
        raise _unsupported("modalities", 'This model answers with audio; modalities must include "audio".')
    return request.audio or AudioRequest()


def check_untimed(request: ChatRequest) -> None:
    """Refuse times of words where nothing is spoken."""
    if request.wants_times:
        name = "timestamp_granularities" if request.wants_words else "caption_format"
        raise _unsupported(name, "Ask /v1/audio/transcriptions for the times of a recording's words.")


def spoken_text(request: ChatRequest, longest: int) -> ChatText:
    """Return the last user message's text, without a leading instruction if strip_instruction is set."""
    index = max((i for i, message in enumerate(request.messages) if message.role == "user"), default=None)
    if index is None:
        raise InvalidRequest("There is no user message to speak.", code="text_empty", param="messages")
    path = f"messages[{index}].content"
    text = text_of(request.messages[index])
    check_text(text, path, longest)
    return ChatText(spoken_part(text, strip_instruction=request.strip_instruction), path)


def speech_options(request: ChatRequest, longest: int) -> SpeechOptions:
    """Return the speech options of all fields; system messages describe the scene."""
    scenes = []
    for index, message in enumerate(request.messages):
        if message.role in ("system", "developer"):
            text = text_of(message)
            if len(text) > longest:
                wrong = f"The system message has {len(text)} characters; the maximum is {longest}."
                raise PayloadTooLarge(wrong, code="text_too_long", param=f"messages[{index}].content")
            scenes += SCENE.findall(text) or [text.removeprefix(INSTRUCTION)]
    delivery = (request.audio or AudioRequest()).delivery(request.instructions)
    scene = "\n".join(scenes).strip() or None
    return replace(
        request.sampling(), delivery=delivery, scene=scene, pronunciations=request.pronunciations or {}
    )


def text_of(message: Message) -> str:
    return "\n".join(part.text for part in message.content if part.text).strip()


def _unsupported(param: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, code="unsupported", param=param)
