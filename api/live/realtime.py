"""A session of OpenAI's Realtime API (GA): text is spoken as it is, and sound is transcribed."""

import base64
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi.websockets import WebSocket
from pydantic import ValidationError

from api.errors import error_detail, invalid_field
from api.live.conversation import Conversation, StoredItem, last_recording, new_id, spoken_text
from api.live.input_audio import MAX_APPENDED_BYTES, InputBuffer, TurnEdge
from api.live.responses import SpokenResponse
from api.live.session_config import check_voice, merged, session_of, wire_of
from api.live.speech import response_request, speech_of
from api.live.transcription import send_failure, transcribe
from api.middleware.rate_limits import charge_turn, limit_left
from api.outgoing import speech_encoder
from api.schemas.fields import RequestBody
from api.schemas.realtime import (
    AudioAppend,
    ClientEvent,
    Item,
    ItemCreate,
    ItemNamed,
    ItemTruncate,
    ResponseCancel,
    ResponseConfig,
    ResponseCreate,
    SessionConfig,
    SessionUpdate,
)
from api.sockets import Channel
from api.state import ServerState
from api.streaming import in_worker
from audio.encode import encode_audio
from errors import Conflict, InvalidRequest, VoiceServerError
from voice_cloning import VoiceCloner

Handler = Callable[[Any], Awaitable[None]]


class RealtimeSession:
    """One client's session. Only the event loop's thread uses it."""

    def __init__(
        self,
        socket: WebSocket,
        channel: Channel,
        cloner: VoiceCloner,
        state: ServerState,
        owner: str,
        config: SessionConfig,
    ) -> None:
        self._socket, self._channel, self._cloner = socket, channel, cloner
        self._state, self._owner, self._config = state, owner, config
        self.id = new_id("sess")
        self._conversation, self._input = Conversation(), InputBuffer(config.audio.input)
        self._responses: dict[str, SpokenResponse] = {}
        self._event_id: str | None = None  # of the client's event that is handled
        self._handlers: dict[str, tuple[type[RequestBody], Handler]] = {
            "session.update": (SessionUpdate, self._update),
            "response.create": (ResponseCreate, self._respond),
            "response.cancel": (ResponseCancel, self._cancel),
            "conversation.item.create": (ItemCreate, self._create_item),
            "conversation.item.retrieve": (ItemNamed, self._retrieve_item),
            "conversation.item.delete": (ItemNamed, self._delete_item),
            "conversation.item.truncate": (ItemTruncate, self._truncate_item),
            "input_audio_buffer.append": (AudioAppend, self._append),
            "input_audio_buffer.commit": (ClientEvent, self._commit),
            "input_audio_buffer.clear": (ClientEvent, self._clear),
        }

    async def run(self) -> None:
        """Serve the client until it leaves, or the server stops."""
        await self._send("session.created", {"session": self._wire})
        async for message in self._channel.messages():
            event_id = message.get("event_id")
            self._event_id = event_id if isinstance(event_id, str) else None
            try:
                await self._handle(message)
            except VoiceServerError as error:
                await self.send_error(error)
            self._event_id = None
        await self._channel.finish()

    async def send_error(self, error: Exception, event_id: str | None = None) -> None:
        """Send OpenAI's error event. event_id: of the client's event that caused it."""
        detail = error_detail(error).model_dump()
        if (retry_after := getattr(error, "retry_after", None)) is not None:
            detail["retry_after"] = retry_after
        await self._send("error", {"error": {**detail, "event_id": event_id or self._event_id}})

    async def _send(self, type: str, fields: dict[str, Any]) -> None:
        await self._channel.send({"type": type, "event_id": new_id("event"), **fields})

    async def _handle(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if not isinstance(kind, str) or kind not in self._handlers:
            reason = f"Unknown event; its `type` is one of {', '.join(self._handlers)}."
            raise InvalidRequest(reason, code="unknown_message", param="type")
        body, handler = self._handlers[kind]
        if self._config.type == "transcription" and kind.startswith("response."):
            reason = "A transcription session speaks nothing; open one of type realtime."
            raise InvalidRequest(reason, code="unsupported", param="type")
        try:
            await handler(body.model_validate(message))
        except ValidationError as error:
            raise invalid_field(error.errors(include_url=False)[0]) from None

    @property
    def _wire(self) -> dict[str, Any]:
        return wire_of(self._config, self.id, self._cloner.model_id)

    async def _update(self, event: SessionUpdate) -> None:
        before = self._config.audio
        config = session_of(merged(self._config, event.session), self._cloner, self._state)
        if config.audio.output.voice != before.output.voice:
            checked = partial(check_voice, config, self._cloner, self._state, self._owner)
            await in_worker(self._state.workers, None, checked)
        self._config = config
        if config.audio.input != before.input:
            self._input.configure(config.audio.input)
        await self._send("session.updated", {"session": self._wire})

    async def _respond(self, event: ResponseCreate) -> None:
        wanted = event.response
        default = self._conversation if wanted.conversation != "none" else None
        if default is not None and any(each.in_conversation for each in self._active):
            reason = "A response of this conversation is under way; wait for response.done, or cancel it."
            raise Conflict(reason, code="conversation_already_has_active_response", param="response")
        items = await in_worker(self._state.workers, None, partial(self._items_of, wanted))
        text = spoken_text(items)
        recording = last_recording(items) or last_recording(self._conversation.items)
        request = response_request(wanted, self._config, text, default)
        await self._charge()
        response = SpokenResponse(request, self._send, self._cloner, self._state)
        begin = partial(
            speech_of, wanted, self._config, request, recording, self._cloner, self._state, self._owner
        )
        self._responses[response.id] = response
        try:
            self._channel.begin(self._spoken(response, begin, event.event_id))
        except VoiceServerError:
            del self._responses[response.id]
            raise

    async def _charge(self) -> None:
        """Count a turn, and send the remaining rate limits. Raises RateLimited."""
        await charge_turn(self._socket)
        if (left := await limit_left(self._socket)) is not None:
            await self._send("rate_limits.updated", {"rate_limits": [{"name": "requests", **left}]})

    @property
    def _active(self) -> list[SpokenResponse]:
        return [each for each in self._responses.values() if each.active]

    def _items_of(self, wanted: ResponseConfig) -> list[StoredItem]:
        """Return the messages of a response: its input or, without one, the conversation."""
        if wanted.input is None:
            return self._conversation.items
        return [
            self._conversation.find(item.id or "", f"response.input[{number}].id")
            if item.type == "item_reference"
            else self._stored(item)
            for number, item in enumerate(wanted.input)
        ]

    def _stored(self, item: Item) -> StoredItem:
        return StoredItem.of(item, self._config.audio.input.format.name, MAX_APPENDED_BYTES)

    async def _spoken(self, response: SpokenResponse, begin: Callable[[], Any], event_id: str | None) -> None:
        try:
            await response.run(begin)
        except VoiceServerError as error:
            await self.send_error(error, event_id)
        finally:
            self._responses.pop(response.id, None)

    async def _cancel(self, event: ResponseCancel) -> None:
        running = [
            each
            for each in self._active
            if (each.id == event.response_id if event.response_id else each.in_conversation)
        ]
        if not running:
            reason = "There is no such response under way."
            raise InvalidRequest(reason, code="response_cancel_not_active", param="response_id")
        running[0].cancel("client_cancelled")

    async def _create_item(self, event: ItemCreate) -> None:
        if event.item.type == "item_reference":
            reason = "References stand in the input of a response; send a message."
            raise InvalidRequest(reason, code="invalid_value", param="item.type")
        item = await in_worker(self._state.workers, None, partial(self._stored, event.item))
        if item.characters > self._state.limits.text_characters:
            reason = f"The text has {item.characters} characters; at most "
            reason += f"{self._state.limits.text_characters} are spoken in one response."
            raise InvalidRequest(reason, code="text_too_long", param="item.content")
        await self._add(item, event.previous_item_id)

    async def _add(self, item: StoredItem, behind: str | None = None) -> None:
        about = {"previous_item_id": self._conversation.add(item, behind), "item": item.wire}
        await self._send("conversation.item.added", about)
        await self._send("conversation.item.done", about)

    async def _retrieve_item(self, event: ItemNamed) -> None:
        item = self._conversation.find(event.item_id, "item_id")
        wire = item.wire
        if len(item.sound):
            said = item.role == "assistant"
            sound = self._config.audio.output if said else self._config.audio.input
            encoder = speech_encoder(self._cloner.model_id, self._state)
            encode = encoder.file if said else encode_audio
            samples = item.sound.astype("float32") / 32_768
            encoded = await in_worker(self._state.workers, None, partial(encode, samples, sound.format.name))
            audio = base64.b64encode(encoded.data).decode("ascii")
            content = [part | {"audio": audio} if "audio" in part["type"] else part for part in item.content]
            wire |= {"content": content}
        await self._send("conversation.item.retrieved", {"item": wire})

    async def _delete_item(self, event: ItemNamed) -> None:
        self._conversation.delete(event.item_id)
        await self._send("conversation.item.deleted", {"item_id": event.item_id})

    async def _truncate_item(self, event: ItemTruncate) -> None:
        self._conversation.truncate(event.item_id, event.audio_end_ms)
        about = {"item_id": event.item_id, "content_index": 0, "audio_end_ms": event.audio_end_ms}
        await self._send("conversation.item.truncated", about)

    async def _append(self, event: AudioAppend) -> None:
        edges = partial(self._input.append, event.audio)
        for edge in await in_worker(self._state.workers, None, lambda: list(edges())):
            await self._send_turn_edge(edge)

    async def _send_turn_edge(self, edge: TurnEdge) -> None:
        at = {"started": "audio_start_ms", "stopped": "audio_end_ms"}[edge.kind]
        about = {"item_id": edge.item_id, at: edge.milliseconds}
        await self._send(f"input_audio_buffer.speech_{edge.kind}", about)
        if edge.sound is not None:
            return await self._committed(edge.item_id, edge.sound)
        detection = self._config.audio.input.turn_detection
        if detection is not None and detection.interrupt_response:
            for response in self._active:
                if response.in_conversation:
                    response.cancel("turn_detected")

    async def _commit(self, event: ClientEvent) -> None:
        sound = self._input.take()
        await self._committed(self._input.new_item(), sound)

    async def _committed(self, id: str, sound: Any) -> None:
        """Make a message of committed sound, and transcribe it if configured."""
        item = StoredItem(id, "user", [{"type": "input_audio", "transcript": None}])
        items = self._conversation.items
        previous = {"previous_item_id": items[-1].id if items else None}
        await self._send("input_audio_buffer.committed", {"item_id": id, **previous})
        await self._add(item)
        self._conversation.note_sound(item, sound)
        config = self._config.audio.input.transcription
        if config is not None:
            try:
                await self._charge()
                self._channel.begin(transcribe(item, sound, config, self._send, self._state))
            except VoiceServerError as error:
                await send_failure(item, error, self._send)

    async def _clear(self, event: ClientEvent) -> None:
        self._input.clear()
        await self._send("input_audio_buffer.cleared", {})
