"""What may be spoken, on every route that speaks."""

from api.errors import blamed_on
from errors import PayloadTooLarge
from text.normalise import speakable
from text.pauses import parted, without_pauses


def check_text(text: str, path: str, longest: int) -> None:
    """Refuse a text that is too long (PayloadTooLarge), has a bad pause, or nothing to speak (text_empty)."""
    if len(text) > longest:
        message = f"The text has {len(text)} characters; at most {longest} are spoken in one request."
        raise PayloadTooLarge(message, code="text_too_long", param=path)
    with blamed_on(path):
        parted(text)
        speakable(without_pauses(text))
