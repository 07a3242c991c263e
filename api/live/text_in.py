"""Speak a text while it is being written: the session of WS /v1/audio/speech/stream.

Client: session.config, input.text …, input.done (ends an utterance), input.flush (speaks what there is),
input.cancel, session.close. Server, for each part that is spoken at once: audio.start, its sound in binary
messages, audio.done; after the last part of an utterance, session.done.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from fastapi.websockets import WebSocket
from pydantic import ValidationError

from api.errors import error_detail, invalid_field
from api.live.part import Chunk, PartMessages, gathered
from api.middleware.rate_limits import charge_turn
from api.outgoing import speech_encoder
from api.request_context import note_first_audio
from api.schemas.speech_stream import Event, InputText, StreamConfig
from api.sockets import NORMAL, Channel
from api.speech_requests import Speaker, check_speakable, speak_on, speaker_of
from api.state import ServerState
from api.streaming import from_thread, in_worker, sounding
from api.word_times import SpokenWords, with_words
from audio.frames import SAMPLE_RATE
from errors import InvalidRequest, Overloaded, PayloadTooLarge, VoiceServerError
from higgs.speech import SpeechStream
from text.chunking import has_words
from text.clauses import ClauseCutter
from voice_cloning import VoiceCloner

# Maximum characters that are spoken at once.
PART_CHARACTERS = 300
MAX_LATER = 64
# While a player has this many seconds left, wait for whole sentences.
LEAD_SECONDS = 1.0
SENTENCE_PAUSE = np.zeros(SAMPLE_RATE // 4, np.float32)  # between parts, as between the sentences of one
SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")  # noqa: RUF001
TYPES = ("session.config", "input.text", "input.flush", "input.done", "input.cancel", "session.close")


class TextIn:
    """One client's session. Only the event loop's thread uses it."""

    def __init__(
        self, socket: WebSocket, channel: Channel, cloner: VoiceCloner, state: ServerState, owner: str
    ) -> None:
        self._socket, self._channel, self._cloner = socket, channel, cloner
        self._state, self._owner, self._most = state, owner, state.limits.text_characters
        self._config: StreamConfig | None = None
        self._speaker: Speaker | None = None
        self._text, self._changed = ClauseCutter(), asyncio.Event()
        self._done = self._resuming = False
        self._turn: asyncio.Task[None] | None = None
        self._later: deque[dict[str, Any]] = deque()  # messages of later utterances
        self._utterance = self._parts = 0
        self._last: SpeechStream | None = None  # what was spoken before, to go on from
        self._ended_sentence = False
        self._samples_sent = 0  # of all parts: the watermark goes on from part to part
        self._plays_until = 0.0  # when a player that began at once runs dry
        self._handlers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "session.config": self._configure,
            "input.text": self._take_text,
            "input.flush": self._flush,
            "input.done": self._end_utterance,
            "input.cancel": self._cancel,
        }

    async def run(self) -> None:
        """Serve the client until it leaves, or the server stops."""
        async for message in self._channel.messages():
            if message.get("type") == "session.close":  # behind what was sent before
                self._channel.end(NORMAL)
                break
            await self._take(message)
        self._done = True
        self._changed.set()
        await self._channel.finish()

    async def _take(self, message: dict[str, Any]) -> None:
        """Handle a message in its turn: messages of the next utterance wait for the end of this one."""
        behind = self._resuming or (self._turn is not None and self._done)
        if not behind or message.get("type") == "input.cancel":
            await self._handle_or_refuse(message)
        elif len(self._later) < MAX_LATER and len(str(message.get("text", ""))) <= self._most:
            self._later.append(message)
        else:
            reason = f"{len(self._later)} messages wait for the end of this utterance; send more behind it."
            await self.send_error(Overloaded(reason))

    async def _handle_or_refuse(self, message: dict[str, Any]) -> None:
        try:
            await self._handle(message)
        except VoiceServerError as error:
            await self.send_error(error)

    async def _handle(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            reason = f"Unknown message; its `type` is one of {', '.join(TYPES)}."
            raise InvalidRequest(reason, code="unknown_message", param="type")
        if self._config is None and kind != "session.config":
            raise InvalidRequest("Send session.config first.", code="session_not_configured", param="type")
        try:
            await handler(message)
        except ValidationError as error:
            raise invalid_field(error.errors(include_url=False)[0]) from None

    async def _configure(self, message: dict[str, Any]) -> None:
        if self._turn is not None or len(self._text):
            reason = "A text is being spoken; send input.done, and session.config behind session.done."
            raise InvalidRequest(reason, code="utterance_in_progress", param="type")
        config = StreamConfig.model_validate({name: each for name, each in message.items() if name != "type"})
        if config.verify:
            reason = "Sound leaves before it can be heard as a whole; verify speech on /v1/audio/speech."
            raise InvalidRequest(reason, code="unsupported", param="verify")
        check_speakable(config, self._cloner)
        ready = partial(speaker_of, config, self._cloner, self._state, self._owner)
        self._speaker = await in_worker(self._state.workers, None, ready)
        self._config, self._last = config, None

    async def _take_text(self, message: dict[str, Any]) -> None:
        text = InputText.model_validate(message).text
        if len(self._text) + len(text) > self._most:
            reason = (
                f"{len(self._text)} characters wait to be spoken; at most {self._most} may. Send more later."
            )
            raise PayloadTooLarge(reason, code="text_too_long", param="text")
        if text:
            self._text.push(text)
            await self._begin()

    async def _flush(self, message: dict[str, Any]) -> None:
        self._text.flush()
        await self._begin()

    async def _end_utterance(self, message: dict[str, Any]) -> None:
        self._done = True
        await self._begin()

    async def _cancel(self, message: dict[str, Any]) -> None:
        """Stop this utterance and the queued ones, and drop their texts."""
        self._text.clear()
        self._later.clear()
        if self._turn is not None:
            self._turn.cancel()
            await asyncio.gather(self._turn, return_exceptions=True)
            await self._end(cancelled=True)

    async def _begin(self) -> None:
        """Start speaking what has come, if nothing is being spoken. Raises RateLimited."""
        if self._turn is None:
            try:
                await charge_turn(self._socket)
            except VoiceServerError:
                self._text.clear()
                self._done = False
                raise
            self._turn = self._channel.begin(self._speak())
        self._changed.set()

    async def _speak(self) -> None:
        """Speak an utterance, part by part, as its text comes in."""
        while (text := await self._next_part()) is not None:
            if has_words(text):
                await self._speak_part(text.strip())
                self._parts += 1
        await self._end()

    async def _end(self, **more: Any) -> None:
        done = {"type": "session.done", "utterance_index": self._utterance, "total_sentences": self._parts}
        self._utterance, self._parts = self._utterance + 1, 0
        self._turn, self._done, self._resuming = None, False, True
        self._plays_until = 0.0  # the next one is heard for itself
        await self._channel.send(done | more)
        while self._later and (self._turn is None or not self._done):
            await self._handle_or_refuse(self._later.popleft())
        self._resuming = False

    async def _next_part(self) -> str | None:
        """Wait for a part that can be spoken; return None at the end of the utterance."""
        while (part := self._cut()) is None and not self._done:
            self._changed.clear()
            runs_dry = max(self._plays_until - LEAD_SECONDS - time.monotonic(), 0.0)
            with suppress(TimeoutError), self._channel.waiting_for_client():
                await asyncio.wait_for(self._changed.wait(), runs_dry or None)
        return part

    def _cut(self) -> str | None:
        """Return the text to speak next, of what has come."""
        assert self._config is not None
        unit = self._config.split_granularity
        part = self._text.first("sentence") if unit == "sentence" else None
        if unit == "clause":
            part = self._text.sentences(PART_CHARACTERS)
            if part is None and self._plays_until - time.monotonic() < LEAD_SECONDS:
                part = self._text.first("clause")
        if part is None:
            part = self._text.rest() if self._done else self._text.due()
        return part

    async def _speak_part(self, text: str) -> None:
        assert self._config is not None
        messages = PartMessages(self._channel, self._config, self._utterance, self._parts)
        ended: dict[str, bool] = {}
        await messages.start(text)
        try:
            chunks = await self._begin_part(text)
            if not self._parts:
                note_first_audio()
            if not self._config.stream_audio:
                chunks = iter(await in_worker(self._state.workers, self._last, partial(gathered, chunks)))
            async for chunk in from_thread(chunks, self._state.workers, self._state.drain):
                await messages.send(chunk)
        except asyncio.CancelledError:
            await asyncio.shield(messages.done(cancelled=True))
            raise
        except VoiceServerError as error:
            ended = {"error": True}
            await self.send_error(error, partial_audio=messages.bytes_sent > 0)
        finally:
            if self._last is not None:
                self._last.cancel()
        await messages.done(**ended)

    async def _begin_part(self, text: str) -> Iterator[Chunk]:
        """Queue a part that continues the previous one; return its blocks once there are samples."""
        assert self._speaker is not None and self._config is not None
        options, workers = self._speaker.options, self._state.workers
        if options.seed is not None:
            options = replace(options, seed=(options.seed + self._parts) % 2**63)
        speaker = replace(self._speaker, options=options)
        ready = partial(speak_on, speaker, text, "text", self._cloner, self._state, self._last)
        stream = await in_worker(workers, None, ready)
        pause = [SENTENCE_PAUSE] if self._parts and self._ended_sentence else []
        self._last, self._ended_sentence = stream, text.endswith(SENTENCE_ENDS)
        words = None
        if self._config.wants_times or self._config.word_timestamps:
            before = sum(map(len, pause)) / SAMPLE_RATE
            codec, transcriber = self._cloner.codec, self._state.transcriber
            track_words = partial(SpokenWords, text, stream, codec, transcriber, before)
            words = await in_worker(workers, stream, track_words)
        samples = chain(pause, await in_worker(workers, stream, partial(sounding, stream)))
        encoder, format = speech_encoder(self._cloner.model_id, self._state), self._config.response_format
        return with_words(encoder.stream(self._watched(samples), format, self._samples_sent), words)

    def _watched(self, samples: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the samples, counting how long they play."""
        for chunk in samples:
            self._plays_until = max(self._plays_until, time.monotonic()) + len(chunk) / SAMPLE_RATE
            self._samples_sent += len(chunk)
            yield chunk

    async def send_error(self, error: Exception, **more: Any) -> None:
        """Send an error; the message is where vLLM-Omni's clients look for it."""
        detail = error_detail(error)
        event: Event = {"type": "error", "message": detail.message, "error": detail.model_dump(), **more}
        await self._channel.send(event)
