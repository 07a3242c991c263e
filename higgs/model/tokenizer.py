"""A model's tokenizer, as its prompts use it: texts of the caller's in, ids out."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol

from errors import InvalidRequest, StartError

TEXTS_KEPT = 256


class Tokenizer(Protocol):
    """What is used of transformers' tokenizers."""

    unk_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def convert_tokens_to_ids(self, tokens: str) -> Any: ...

    def get_added_vocab(self) -> Any: ...


class Tokens:
    """Ids of texts, and of the marks that a prompt is built with; StartError if the tokenizer lacks one.

    A long text is spoken in many prompts, all of which begin with the same words of the voice: what was
    tokenised lately is kept.
    """

    def __init__(self, tokenizer: Tokenizer, marks: Iterable[str]) -> None:
        self._tokenizer = tokenizer
        self._encoded = lru_cache(TEXTS_KEPT)(self._tokenize)
        self._marks = {name: self._id(name) for name in sorted(marks)}

    def __getitem__(self, mark: str) -> int:
        return self._marks[mark]

    def encode(self, text: str) -> list[int]:
        """The ids of a text of our own, nothing added."""
        return list(self._encoded(text))

    def _tokenize(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def of_text(self, text: str) -> list[int]:
        """The ids of a caller's text. InvalidRequest if it holds a mark, or what the model can't read."""
        if name := next((name for name in self._marks if name in text), None):
            message = f"The text holds {name}, which is reserved. Remove it."
            raise InvalidRequest(message, code="reserved_token")
        ids = self.encode(text)
        unknown = self._tokenizer.unk_token_id
        if unknown is not None and unknown in ids:
            strange = sorted({sign for sign in text if unknown in self.encode(sign)})
            message = f"This model can't read {' '.join(strange[:10])!r}. Write the text in letters it knows."
            raise InvalidRequest(message, code="unsupported_characters")
        return ids

    def _id(self, name: str) -> int:
        number = self._tokenizer.convert_tokens_to_ids(name)
        if number is None or self.encode(name) != [number]:
            message = (
                f"The model's tokenizer has no token {name}: it is not that of its generation of Higgs Audio."
            )
            raise StartError(message)
        return number
