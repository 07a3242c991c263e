"""A model's tokenizer as prompts use it."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol

from errors import InvalidRequest, StartError

TEXTS_KEPT = 256


class Tokenizer(Protocol):
    """The part of transformers' tokenizer interface that is used."""

    unk_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def convert_tokens_to_ids(self, tokens: str) -> Any: ...

    def get_added_vocab(self) -> Any: ...


class Tokens:
    """Token ids of texts and special tokens. Raises StartError if the tokenizer lacks a special token.

    Recent texts are cached: a long text is spoken in many prompts, all starting with the voice's transcript.
    """

    def __init__(self, tokenizer: Tokenizer, marks: Iterable[str]) -> None:
        self._tokenizer = tokenizer
        self._encoded = lru_cache(TEXTS_KEPT)(self._tokenize)
        self._marks = {name: self._id(name) for name in sorted(marks)}

    def __getitem__(self, mark: str) -> int:
        return self._marks[mark]

    def encode(self, text: str) -> list[int]:
        """Return the ids of a trusted text, adding none."""
        return list(self._encoded(text))

    def _tokenize(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def of_text(self, text: str) -> list[int]:
        """Return the ids of a caller's text.

        Raises:
            InvalidRequest: reserved_token or unsupported_characters.
        """
        if name := next((name for name in self._marks if name in text), None):
            message = f"The text has {name}, which is reserved. Remove it."
            raise InvalidRequest(message, code="reserved_token")
        ids = self.encode(text)
        unknown = self._tokenizer.unk_token_id
        if unknown is not None and unknown in ids:
            strange = sorted({sign for sign in text if unknown in self.encode(sign)})
            message = f"This model can't read {' '.join(strange[:10])!r}. Use other characters."
            raise InvalidRequest(message, code="unsupported_characters")
        return ids

    def _id(self, name: str) -> int:
        number = self._tokenizer.convert_tokens_to_ids(name)
        if number is None or self.encode(name) != [number]:
            message = (
                f"The model's tokenizer has no token {name}: it belongs to another generation of Higgs Audio."
            )
            raise StartError(message)
        return number
