"""The items of a Realtime session: its messages, written, spoken or recorded, within limits."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np

from api.schemas.realtime import Item
from api.text_validation import check_reference_text
from audio.decode import decode_base64_audio
from audio.frames import SAMPLE_RATE
from audio.raw import samples_of
from errors import InvalidRequest, NotFound, quoted
from text.chunking import has_words

MAX_ITEMS = 200  # the oldest go first
MAX_KEPT_SECONDS = 120.0  # sound of all items together; the oldest lose theirs, but not their words
NO_SOUND = np.empty(0, np.int16)


def new_id(kind: str) -> str:
    return f"{kind}_{uuid4().hex[:24]}"


@dataclass
class StoredItem:
    """One message.

    Attributes:
        sound: int16 samples at 24 kHz; empty if there are none, or no longer.
        seconds: duration of the sound, even if it is no longer stored.
    """

    id: str
    role: str
    content: list[dict[str, Any]]
    sound: np.ndarray = field(default_factory=lambda: NO_SOUND)
    seconds: float = 0.0
    status: str = "completed"

    @classmethod
    def of(cls, item: Item, format: str, max_bytes: int) -> "StoredItem":
        """Create an item from a client's message.

        Args:
            format: of its sound.

        Raises:
            InvalidRequest: a text is missing.
            InvalidAudio: the sound is not base64.
            PayloadTooLarge: the sound, or the transcript of a recording, is too long.
        """
        content, sound = [], NO_SOUND
        heard = "".join(part.transcript or "" for part in item.content if part.type == "input_audio")
        check_reference_text(heard, "item.content")
        for number, part in enumerate(item.content):
            shown = part.model_dump(exclude={"audio"}, exclude_none=True)
            if part.type in ("input_text", "output_text") and part.text is None:
                message = f"The request needs the field 'item.content[{number}].text'."
                param = f"item.content[{number}].text"
                raise InvalidRequest(message, code="missing_required_parameter", param=param)
            if part.audio is not None:
                sound = samples_of(decode_base64_audio(part.audio, max_bytes=max_bytes), format)
            content.append(shown)
        id = item.id or new_id("item")
        return cls(id, item.role, content, sound, len(sound) / SAMPLE_RATE)

    @property
    def text(self) -> str:
        """Its written text."""
        return "\n".join(part["text"] for part in self.content if part.get("text"))

    @property
    def characters(self) -> int:
        """Number of characters of its texts, written or spoken; not of the transcripts of recordings."""
        spoken = [part.get("transcript") or "" for part in self.content if part["type"] != "input_audio"]
        return sum(map(len, [self.text, *spoken]))

    @property
    def transcript(self) -> str | None:
        """The words of its sound, if known."""
        return next((part["transcript"] for part in self.content if part.get("transcript")), None)

    @property
    def wire(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "realtime.item",
            "type": "message",
            "status": self.status,
            "role": self.role,
            "content": self.content,
        }


class Conversation:
    """The items of a session, in order."""

    def __init__(self) -> None:
        self.id = new_id("conv")
        self._items: dict[str, StoredItem] = {}

    @property
    def items(self) -> list[StoredItem]:
        return list(self._items.values())

    def add(self, item: StoredItem, behind: str | None = None) -> str | None:
        """Insert an item after another; None for the end, "root" for the start. Return the id before it.

        Raises:
            NotFound: item_not_found.
            InvalidRequest: the id exists.
        """
        if item.id in self._items:
            message = f"The conversation has an item {quoted(item.id)} already."
            raise InvalidRequest(message, code="item_exists", param="item.id")
        items = self.items
        at = len(items) if behind is None else 0 if behind == "root" else items.index(self.find(behind)) + 1
        items.insert(at, item)
        self._items = {each.id: each for each in items[-MAX_ITEMS:]}
        self._forget_sound(items)
        return items[at - 1].id if at else None

    def find(self, id: str, param: str = "previous_item_id") -> StoredItem:
        """Return an item. Raises NotFound (item_not_found)."""
        if id not in self._items:
            message = f"The conversation has no item {quoted(id)}, or no longer."
            raise NotFound(message, code="item_not_found", param=param)
        return self._items[id]

    def delete(self, id: str) -> None:
        del self._items[self.find(id, "item_id").id]

    def truncate(self, id: str, milliseconds: int) -> None:
        """Remove a spoken message's unheard part and transcript. Raises InvalidRequest if it is shorter."""
        item = self.find(id, "item_id")
        if item.role != "assistant" or not item.seconds:
            message = "Only spoken messages of the assistant can be truncated."
            raise InvalidRequest(message, code="invalid_value", param="item_id")
        if milliseconds > 1000 * item.seconds:
            message = f"The sound of {quoted(id)} is {1000 * item.seconds:.0f} ms long."
            raise InvalidRequest(message, code="invalid_value", param="audio_end_ms")
        item.seconds = milliseconds / 1000
        item.sound = item.sound[: round(item.seconds * SAMPLE_RATE)].copy()  # a view would keep all of it
        item.content = [{"type": "output_audio", "transcript": ""}]

    def note_sound(self, item: StoredItem, samples: np.ndarray) -> None:
        """Set the sound of an item that was spoken or recorded."""
        item.sound, item.seconds = samples, len(samples) / SAMPLE_RATE
        self._forget_sound(self.items)

    def _forget_sound(self, items: list[StoredItem]) -> None:
        left = MAX_KEPT_SECONDS
        for item in reversed(items):
            left -= len(item.sound) / SAMPLE_RATE
            if left < 0:
                item.sound = NO_SOUND


def spoken_text(items: Iterable[StoredItem]) -> str:
    """Return the text of the last user message that has one. Raises InvalidRequest (text_empty)."""
    texts = [item.text for item in items if item.role == "user" and has_words(item.text)]
    if not texts:
        message = "There is no text to speak: send a user message with an input_text part."
        raise InvalidRequest(message, code="text_empty", param="response.input")
    return texts[-1]


def last_recording(items: Iterable[StoredItem]) -> StoredItem | None:
    """Return the user's last message with sound, the reference of the voice "clone"."""
    return next((item for item in reversed(list(items)) if item.role == "user" and len(item.sound)), None)
