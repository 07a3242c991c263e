"""What a kept voice may be called and made of, on every route that makes or changes one."""

import unicodedata

from api.schemas.chat import MAX_INSTRUCTIONS_LENGTH, SoundOfVoice
from api.voice_resolution import MODEL_VOICES
from audio.delivery import Delivery
from errors import InvalidRequest

MAX_NAME_LENGTH = 100
MAX_USER_LENGTH = 128
MAX_TRANSCRIPT_LENGTH = 2_000
ID_PREFIX = "voice_"
TRIAL_TEXT = "Hello! This is how I sound when a computer speaks in my voice."


def voice_name(value: str, param: str) -> str:
    """A name without white space around it; InvalidRequest if it can't be one, or is a built-in voice's."""
    name = plain_text(value, param, MAX_NAME_LENGTH)
    if not name:
        raise InvalidRequest("The name is empty.", code="invalid_value", param=param)
    if name in MODEL_VOICES or name.startswith(ID_PREFIX):
        message = f"The name {name!r} is taken by the server itself; choose another."
        raise InvalidRequest(message, code="voice_name_reserved", param=param)
    return name


def user_name(value: str, param: str) -> str:
    return plain_text(value, param, MAX_USER_LENGTH)


def transcript(value: str | None, param: str) -> str | None:
    """The words of a recording, on one line; None where there are none."""
    words = " ".join((value or "").split())
    return plain_text(words, param, MAX_TRANSCRIPT_LENGTH) or None


def delivery(sound: SoundOfVoice, instructions: str | None, param: str) -> Delivery:
    """How a voice is to speak where nobody says; empty instructions are none."""
    told = plain_text(" ".join((instructions or "").split()), param, MAX_INSTRUCTIONS_LENGTH)
    return sound.delivery(told or None)


def plain_text(value: str, param: str, longest: int) -> str:
    """A text that every database takes: not too long, without control characters."""
    text = value.strip()
    if len(text) > longest:
        message = f"{param} has {len(text)} characters; at most {longest} are kept."
        raise InvalidRequest(message, code="invalid_value", param=param)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InvalidRequest(f"{param} holds control characters.", code="invalid_value", param=param)
    return text
