"""What a kept voice may be called and made of, on every route that makes or changes one."""

import unicodedata

from api.schemas.chat import MAX_INSTRUCTIONS_LENGTH, SoundOfVoice
from api.text_validation import MAX_REFERENCE_TEXT
from api.voice_resolution import MODEL_VOICES
from audio.delivery import Delivery
from errors import InvalidRequest, quoted

MAX_NAME_LENGTH = 100
MAX_USER_LENGTH = 128
ID_PREFIX = "voice_"
UNNAMED = "Voice"
MAX_NUMBER_LENGTH = 6
# Marks of direction, and others without a shape; the joiners have a sense in Persian and in Hindi.
HIDDEN, JOINERS = ("Cf", "Zl", "Zp"), "\u200c\u200d"
BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and signs that are drawn as nothing
TRIAL_TEXT = "Hello! This is how I sound when a computer speaks in my voice."


def voice_name(value: str, param: str) -> str:
    """A name without white space around it; InvalidRequest if it can't be one, or is a built-in voice's."""
    name = label(value, param, MAX_NAME_LENGTH)
    if not name:
        raise InvalidRequest("The name is empty.", code="invalid_value", param=param)
    same = unicodedata.normalize("NFKC", name).casefold()
    if same in MODEL_VOICES or same.startswith(ID_PREFIX):
        message = f"The name {quoted(name)} is taken by the server itself; choose another."
        raise InvalidRequest(message, code="voice_name_reserved", param=param)
    return name


def name_of_file(name: str) -> str:
    """A name for a voice that nobody named: that of its file, as far as it can be one."""
    stem, dot, _ = name.rpartition(".")
    words = " ".join((stem if dot else name).replace("_", " ").split())[: MAX_NAME_LENGTH - MAX_NUMBER_LENGTH]
    try:
        return voice_name(words, "voice_name")
    except InvalidRequest:
        return UNNAMED


def user_name(value: str, param: str) -> str:
    return label(value, param, MAX_USER_LENGTH)


def label(value: str, param: str, longest: int) -> str:
    """A text by which people tell one thing from another: what it holds can be seen, and in its order."""
    text = unicodedata.normalize("NFC", plain_text(value, param, longest))
    hidden = any(unicodedata.category(one) in HIDDEN and one not in JOINERS for one in text)
    seen = any(unicodedata.category(one)[0] in "LNPS" and one not in BLANK for one in text)
    if hidden or (text and not seen):
        message = f"{param} holds characters that can't be seen; write it in letters, digits or signs."
        raise InvalidRequest(message, code="invalid_value", param=param)
    return text


def transcript(value: str | None, param: str) -> str | None:
    """The words of a recording, on one line; None where there are none."""
    words = " ".join((value or "").split())
    return plain_text(words, param, MAX_REFERENCE_TEXT) or None


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
