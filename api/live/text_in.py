"""Speak a text while it is being written: the session of WS /v1/audio/speech/stream.

Client: session.config, input.text …, input.done (ends an utterance), input.flush (speaks what there is),
input.cancel, session.close. Server, for each part that is spoken at once: audio.start, its sound in binary
messages, audio.done; after the last part of an utterance, session.done.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from fastapi.websockets import WebSocket
from pydantic import ValidationError

from api.errors import error_detail, invalid_field
from api.live.part import Chunk, PartMessages, gathered
from api.live.utterance import Narrator, Utterance
from api.middleware.rate_limits import charge_turn
from api.outgoing import speech_encoder
from api.request_context import note_first_audio
from api.schemas.speech_stream import Event, InputText, StreamConfig
from api.schemas.timestamps import Timestamps
from api.sockets import NORMAL, Channel
from api.speech_requests import check_speakable, speak_on, speaker_of
from api.state import ServerState
from api.streaming import from_thread, in_worker, sounding
from api.word_times import SpokenWords, with_words
from audio.frames import SAMPLE_RATE
from errors import InvalidRequest, Overloaded, PayloadTooLarge, VoiceServerError
from text.chunking import SENTENCE_ENDS, has_words
from voice_cloning import VoiceCloner

MAX_WAITING = 64  # utterances behind the one that is spoken
SENTENCE_PAUSE = np.zeros(SAMPLE_RATE // 4, np.float32)  # between parts, as between the sentences of one
TYPES = ("session.config", "input.text", "input.flush", "input.done", "input.cancel", "session.close")
# What is kept of a session.config, which may hold a recording of megabytes: how the parts are sent.
KEPT = {*Timestamps.model_fields, "word_timestamps", "stream_format", "response_format"}
KEPT |= {"stream_audio", "split_granularity"}


class TextIn:
    """One client's session. Only the event loop's thread uses it."""

    def __init__(
        self, socket: WebSocket, channel: Channel, cloner: VoiceCloner, state: ServerState, owner: str
    ) -> None:
        self._socket, self._channel, self._cloner = socket, channel, cloner
        self._state, self._owner, self._most = state, owner, state.limits.text_characters
        self._narrator: Narrator | None = None  # of the utterances to come
        self._utterances: deque[Utterance] = deque()  # the first is spoken; the last may be without its end
        self._ended = 0  # utterances
        self._samples_sent = 0  # of all parts: the watermark goes on from part to part
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
            try:
                await self._handle(message)
            except VoiceServerError as error:
                await self.send_error(error)
        if (written := self._written) is not None:
            written.end()
        await self._channel.finish()

    async def _handle(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            reason = f"Unknown message; its `type` is one of {', '.join(TYPES)}."
            raise InvalidRequest(reason, code="unknown_message", param="type")
        if self._narrator is None and kind != "session.config":
            raise InvalidRequest("Send session.config first.", code="session_not_configured", param="type")
        try:
            await handler(message)
        except ValidationError as error:
            raise invalid_field(error.errors(include_url=False)[0]) from None

    async def _configure(self, message: dict[str, Any]) -> None:
        if self._written is not None:
            reason = "A text is being written; send input.done, and session.config behind it."
            raise InvalidRequest(reason, code="utterance_in_progress", param="type")
        config = StreamConfig.model_validate({name: each for name, each in message.items() if name != "type"})
        if config.verify:
            reason = "Sound leaves before it can be heard as a whole; verify speech on /v1/audio/speech."
            raise InvalidRequest(reason, code="unsupported", param="verify")
        check_speakable(config, self._cloner)
        ready = partial(speaker_of, config, self._cloner, self._state, self._owner)
        speaker = await in_worker(self._state.workers, None, ready)
        self._narrator = Narrator(StreamConfig.model_validate(config.model_dump(include=KEPT)), speaker)

    @property
    def _written(self) -> Utterance | None:
        """The utterance whose end hasn't come."""
        last = self._utterances[-1] if self._utterances else None
        return None if last is None or last.done else last

    def _writing(self) -> Utterance:
        """Return the utterance that more has come of, or a new one. Raises Overloaded."""
        if (written := self._written) is not None:
            return written
        if len(self._utterances) > MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} utterances wait to be spoken; send more behind session.done.")
        assert self._narrator is not None
        self._utterances.append(Utterance(self._narrator))
        return self._utterances[-1]

    async def _take_text(self, message: dict[str, Any]) -> None:
        text = InputText.model_validate(message).text
        waiting = len(self._written or ())
        if waiting + len(text) > self._most:
            reason = f"{waiting} characters wait to be spoken; at most {self._most} may. Send more later."
            raise PayloadTooLarge(reason, code="text_too_long", param="text")
        if text:
            self._writing().push(text)
            await self._begin()

    async def _flush(self, message: dict[str, Any]) -> None:
        self._writing().flush()
        await self._begin()

    async def _end_utterance(self, message: dict[str, Any]) -> None:
        self._writing().end()
        await self._begin()

    async def _cancel(self, message: dict[str, Any]) -> None:
        """Stop this utterance and the queued ones, and drop their texts."""
        dropped, self._utterances = self._utterances, deque()
        if dropped:
            if (turn := dropped[0].turn) is not None:  # None between the end of one and the start of the next
                turn.cancel()
                await asyncio.gather(turn, return_exceptions=True)
            await self._send_done(dropped[0], cancelled=True)

    async def _begin(self) -> None:
        """Speak the first utterance, if it isn't yet; those that the rate limit refuses are dropped."""
        while self._utterances and not self._utterances[0].begun:
            utterance = self._utterances[0]
            utterance.begun = True
            try:
                await charge_turn(self._socket)
                if utterance in self._utterances:  # or it was cancelled meanwhile
                    utterance.turn = self._channel.begin(self._speak(utterance))
            except VoiceServerError as error:
                if utterance in self._utterances:
                    self._utterances.remove(utterance)
                    await self.send_error(error)

    async def _speak(self, utterance: Utterance) -> None:
        """Speak an utterance, part by part, as its text comes in; then the next one."""
        while (text := await utterance.next_part(self._channel)) is not None:
            if has_words(text):
                await self._speak_part(utterance, text.strip())
                utterance.parts += 1
        self._utterances.popleft()
        await self._send_done(utterance)
        await self._begin()

    async def _send_done(self, utterance: Utterance, **more: Any) -> None:
        done = {"utterance_index": self._ended, "total_sentences": utterance.parts}
        self._ended += 1
        await self._channel.send({"type": "session.done", **done, **more})

    async def _speak_part(self, utterance: Utterance, text: str) -> None:
        narrator, workers = utterance.narrator, self._state.workers
        messages = PartMessages(self._channel, narrator.config, self._ended, utterance.parts)
        ended: dict[str, bool] = {}
        await messages.start(text)
        try:
            chunks = await self._begin_part(utterance, text)
            if not utterance.parts:
                note_first_audio()
            if not narrator.config.stream_audio:
                chunks = iter(await in_worker(workers, narrator.last, partial(gathered, chunks)))
            async for chunk in from_thread(chunks, workers, self._state.drain):
                await messages.send(chunk)
        except asyncio.CancelledError:
            await asyncio.shield(messages.done(cancelled=True))
            raise
        except VoiceServerError as error:
            ended = {"error": True}
            await self.send_error(error, partial_audio=messages.bytes_sent > 0)
        finally:
            if narrator.last is not None:
                narrator.last.cancel()
        await messages.done(**ended)

    async def _begin_part(self, utterance: Utterance, text: str) -> Iterator[Chunk]:
        """Queue a part that continues the previous one; return its blocks once there are samples."""
        narrator, config, workers = utterance.narrator, utterance.narrator.config, self._state.workers
        options = narrator.speaker.options
        if options.seed is not None:
            options = replace(options, seed=(options.seed + utterance.parts) % 2**63)
        speaker, about = replace(narrator.speaker, options=options), (self._cloner, self._state)
        ready = partial(speak_on, speaker, text, "text", *about, narrator.last, utterance.queued)
        stream = await in_worker(workers, None, ready)
        pause = [SENTENCE_PAUSE] if utterance.parts and utterance.ended_sentence else []
        narrator.last, utterance.queued = stream, True
        utterance.ended_sentence = text.endswith(SENTENCE_ENDS)
        words = None
        if config.wants_times or config.word_timestamps:
            before = sum(map(len, pause)) / SAMPLE_RATE
            codec, transcriber = self._cloner.codec, self._state.transcriber
            track_words = partial(SpokenWords, text, stream, codec, transcriber, before)
            words = await in_worker(workers, stream, track_words)
        samples = chain(pause, await in_worker(workers, stream, partial(sounding, stream)))
        watched = self._watched(samples, utterance)
        encoder = speech_encoder(self._cloner.model_id, self._state)
        return with_words(encoder.stream(watched, config.response_format, self._samples_sent), words)

    def _watched(self, samples: Iterator[np.ndarray], utterance: Utterance) -> Iterator[np.ndarray]:
        """Yield the samples, counting how long they play."""
        for chunk in samples:
            utterance.note_sound(len(chunk))
            self._samples_sent += len(chunk)
            yield chunk

    async def send_error(self, error: Exception, **more: Any) -> None:
        """Send an error; the message is where vLLM-Omni's clients look for it."""
        detail = error_detail(error)
        event: Event = {"type": "error", "message": detail.message, "error": detail.model_dump(), **more}
        await self._channel.send(event)
