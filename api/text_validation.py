"""What may be spoken, on every route that speaks."""

from api.errors import blamed_on
from errors import PayloadTooLarge
from text.normalise import speakable
from text.pauses import parted, without_pauses

MAX_REFERENCE_TEXT = 2_000  # characters; nobody says more in the half minute that a recording may last


def check_reference_text(words: str | None, path: str) -> None:
    """Refuse words of a recording that nobody can have said in it: they would all be read by the model."""
    if words is not None and len(words) > MAX_REFERENCE_TEXT:
        message = (
            f"The words of a recording have {len(words)} characters; at most {MAX_REFERENCE_TEXT} are taken."
        )
        raise PayloadTooLarge(message, code="text_too_long", param=path)


def check_text(text: str, path: str, longest: int) -> None:
    """Refuse a text that is too long (PayloadTooLarge), has a bad pause, or nothing to speak (text_empty)."""
    if len(text) > longest:
        message = f"The text has {len(text)} characters; at most {longest} are spoken in one request."
        raise PayloadTooLarge(message, code="text_too_long", param=path)
    with blamed_on(path):
        parted(text)
        speakable(without_pauses(text))
