"""How words are to be said: a dictionary in a request, or of a voice."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.schemas.fields import RequestBody
from errors import InvalidRequest
from text.pronunciations import MAX_ENTRIES, checked


def _checked(entries: dict[str, str]) -> dict[str, str]:
    try:
        return checked(entries)
    except InvalidRequest as error:
        raise PydanticCustomError("value_error", "{why}", {"why": error.message}) from None


Pronunciations = Annotated[dict[str, str], AfterValidator(_checked)]


class Pronounced(RequestBody):
    """Extension: how words of the text are said."""

    pronunciations: Pronunciations | None = Field(
        default=None,
        description=f'How up to {MAX_ENTRIES} words are said: {{"Nguyen": "win"}}. Overrides the voice\'s.',
    )
