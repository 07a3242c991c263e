"""Validation of texts to speak, and of transcripts."""

from api.errors import blamed_on
from errors import PayloadTooLarge
from text.normalise import speakable
from text.pauses import parted, without_pauses

MAX_REFERENCE_TEXT = 2_000  # characters; more than anyone says in a reference's maximum of 30 s


def check_reference_text(words: str | None, path: str) -> None:
    """Refuse transcripts that are too long for a recording: the model would read all of it."""
    if words is not None and len(words) > MAX_REFERENCE_TEXT:
        message = (
            f"The recording's transcript has {len(words)} characters; the maximum is {MAX_REFERENCE_TEXT}."
        )
        raise PayloadTooLarge(message, code="text_too_long", param=path)


def check_text(text: str, path: str, longest: int) -> None:
    """Check a text to speak.

    Raises:
        PayloadTooLarge: it is too long.
        InvalidRequest: it has an invalid pause, or nothing to speak (text_empty).
    """
    if len(text) > longest:
        message = f"The text has {len(text)} characters; the maximum per request is {longest}."
        raise PayloadTooLarge(message, code="text_too_long", param=path)
    with blamed_on(path):
        parted(text)
        speakable(without_pauses(text))
