"""Validation of the fields of saved voices."""

import json
import unicodedata
from collections.abc import Mapping

from api.errors import blamed_on
from api.schemas.chat import MAX_INSTRUCTIONS_LENGTH, SoundOfVoice
from api.schemas.voices import VoiceChange
from api.text_validation import MAX_REFERENCE_TEXT
from api.voice_resolution import MODEL_VOICES
from audio.delivery import Delivery
from errors import InvalidRequest, quoted
from text.pronunciations import checked
from voice_cloning import VoiceCloner

MAX_NAME_LENGTH = 100
MAX_USER_LENGTH = 128
ID_PREFIX = "voice_"
UNNAMED = "Voice"
MAX_NUMBER_LENGTH = 6
# Invisible formatting characters; the joiners are needed in Persian and Hindi.
HIDDEN, JOINERS = ("Cf", "Zl", "Zp"), "\u200c\u200d"
BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols that are drawn blank
TRIAL_TEXT = "Hello! This is how I sound when a computer speaks in my voice."


def voice_name(value: str, param: str) -> str:
    """Return a stripped, valid name. Raises InvalidRequest if it is invalid or reserved."""
    name = label(value, param, MAX_NAME_LENGTH)
    if not name:
        raise InvalidRequest("The name is empty.", code="invalid_value", param=param)
    same = unicodedata.normalize("NFKC", name).casefold()
    if same in MODEL_VOICES or same.startswith(ID_PREFIX):
        message = f"The name {quoted(name)} is reserved; choose another."
        raise InvalidRequest(message, code="voice_name_reserved", param=param)
    return name


def name_of_file(name: str) -> str:
    """Return a voice name derived from a file name, or a default one."""
    stem, dot, _ = name.rpartition(".")
    words = " ".join((stem if dot else name).replace("_", " ").split())[: MAX_NAME_LENGTH - MAX_NUMBER_LENGTH]
    try:
        return voice_name(words, "voice_name")
    except InvalidRequest:
        return UNNAMED


def user_name(value: str, param: str) -> str:
    return label(value, param, MAX_USER_LENGTH)


def label(value: str, param: str, longest: int) -> str:
    """Return a text for display. Raises InvalidRequest if it has invisible characters, or nothing visible."""
    text = unicodedata.normalize("NFC", plain_text(value, param, longest))
    hidden = any(unicodedata.category(one) in HIDDEN and one not in JOINERS for one in text)
    seen = any(unicodedata.category(one)[0] in "LNPS" and one not in BLANK for one in text)
    if hidden or (text and not seen):
        message = f"{param} has invisible characters; use letters, digits or symbols."
        raise InvalidRequest(message, code="invalid_value", param=param)
    return text


def transcript(value: str | None, param: str) -> str | None:
    """Return a transcript on one line; None if it is empty."""
    words = " ".join((value or "").split())
    return plain_text(words, param, MAX_REFERENCE_TEXT) or None


def delivery(sound: SoundOfVoice, instructions: str | None, param: str) -> Delivery:
    """Return a voice's default delivery; empty instructions are None."""
    text = plain_text(" ".join((instructions or "").split()), param, MAX_INSTRUCTIONS_LENGTH)
    return sound.delivery(text or None)


def dictionary(value: str, cloner: VoiceCloner, param: str = "pronunciations") -> dict[str, str]:
    """A dictionary of pronunciations in JSON; empty for no text. InvalidRequest: it can't be applied."""
    try:
        entries = json.loads(value) if value.strip() else {}
        if not isinstance(entries, dict) or not all(isinstance(said, str) for said in entries.values()):
            raise ValueError("it is no object of texts")
    except (ValueError, RecursionError) as error:
        message = f'{param} is not JSON such as {{"Nguyen": "win"}}: {error}.'
        raise InvalidRequest(message, code="invalid_value", param=param) from error
    return readable(entries, cloner, param)


def pronunciations_of(change: VoiceChange, cloner: VoiceCloner) -> dict[str, str] | None:
    """The dictionary that a voice is to have, empty where it is to have none; None leaves it as it is."""
    if "pronunciations" not in change.model_fields_set:
        return None
    return readable(change.pronunciations or {}, cloner, "pronunciations")


def readable(entries: Mapping[str, str], cloner: VoiceCloner, param: str) -> dict[str, str]:
    """A dictionary that this server's model can read. InvalidRequest says which entry it can't."""
    with blamed_on(param):
        found = checked(entries)
        cloner.check_pronunciations(found)
    return found


def plain_text(value: str, param: str, longest: int) -> str:
    """Return a stripped text that any database can store: not too long, no control characters."""
    text = value.strip()
    if len(text) > longest:
        message = f"{param} has {len(text)} characters; the maximum is {longest}."
        raise InvalidRequest(message, code="invalid_value", param=param)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InvalidRequest(
            f"{param} has control characters; remove them.", code="invalid_value", param=param
        )
    return text
