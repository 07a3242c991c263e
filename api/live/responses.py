"""One spoken response of a Realtime session, from response.created to response.done."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from api.errors import error_detail
from api.live.conversation import NO_SOUND, Conversation, StoredItem, new_id
from api.outgoing import speech_encoder
from api.schemas.chat import VoiceUsed
from api.schemas.realtime import SoundFormat
from api.schemas.timestamps import Timestamps
from api.speaking import BegunSpeech
from api.state import ServerState
from api.streaming import base64_chunks, from_thread, in_worker, noted, sounding
from api.word_times import SpokenWords, spoken_words, timed, with_words
from audio.frames import SAMPLE_RATE
from errors import VoiceServerError
from higgs.speech import SpeechStream
from synthesis.word_times import WordTime
from voice_cloning import VoiceCloner

Send = Callable[[str, dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class ResponseRequest:
    """What to speak, and how. conversation: to which the response is added; None for none."""

    text: str
    voice: str
    format: SoundFormat
    times: Timestamps
    metadata: dict[str, str] | None
    max_output_tokens: int | str
    conversation: Conversation | None


class SpokenResponse:
    """A response in progress: `run` sends its events; `cancel` ends it early."""

    def __init__(self, request: ResponseRequest, send: Send, cloner: VoiceCloner, state: ServerState) -> None:
        self.id = new_id("resp")
        self.item = StoredItem(new_id("item"), "assistant", [], status="in_progress")
        self._request, self._send, self._cloner, self._state = request, send, cloner, state
        self._speaking: asyncio.Future[None] | None = None
        self._stream: SpeechStream | None = None
        self._status = "in_progress"
        self._details: dict[str, Any] | None = None
        self._cancelled: str | None = None
        self._samples: list[np.ndarray] = []
        self._words: list[WordTime] = []
        self._transcript_sent = 0  # characters

    @property
    def in_conversation(self) -> bool:
        return self._request.conversation is not None

    @property
    def active(self) -> bool:
        """Whether it is speaking, or about to."""
        return self._status == "in_progress"

    def cancel(self, reason: str) -> None:
        """Cancel it; its last events say why."""
        self._cancelled = self._cancelled or reason
        if self._speaking is not None:
            self._speaking.cancel()

    async def run(self, begin: Callable[[], BegunSpeech]) -> None:
        """Queue the text by `begin`, in a thread, and send the speech. Raises what `begin` raises."""
        begun = await in_worker(self._state.workers, None, begin)
        self._stream = begun.stream
        try:
            await self._opening(begun.voice)
            self._speaking = asyncio.ensure_future(self._speak(self._stream))
            if self._cancelled:
                self._speaking.cancel()
            await self._settle(self._speaking)
            await self._closing()
        finally:
            self._stream.cancel()

    async def _settle(self, speaking: "asyncio.Future[None]") -> None:
        """Wait for the speech, and record how it ended."""
        assert self._stream is not None
        try:
            await speaking
        except asyncio.CancelledError:
            if self._cancelled is None:
                raise
            self._status = "cancelled"
            self._details = {"type": "cancelled", "reason": self._cancelled}
        except VoiceServerError as error:
            shown = error_detail(error).model_dump(include={"type", "code", "message"})
            self._status, self._details = "failed", {"type": "failed", "error": shown}
        else:
            self._status = "completed"
            if self._stream.finished().finish_reason == "length":
                self._status = "incomplete"
                self._details = {"type": "incomplete", "reason": "max_output_tokens"}

    async def _opening(self, voice: VoiceUsed) -> None:
        await self._send("response.created", {"response": self._wire(voice_used=voice.model_dump())})
        await self._about_item("response.output_item.added")
        if (conversation := self._request.conversation) is not None:
            before = conversation.add(self.item)
            await self._send("conversation.item.added", {"item": self.item.wire, "previous_item_id": before})
        self.item.content = [{"type": "output_audio", "transcript": self._request.text}]
        await self._about_part("response.content_part.added", part={"type": "audio", "transcript": ""})

    async def _speak(self, stream: SpeechStream) -> None:
        workers, text, times = self._state.workers, self._request.text, self._request.times
        words = None
        if times.wants_times:
            track_words = partial(SpokenWords, text, stream, self._cloner.codec, self._state.transcriber)
            words = await in_worker(workers, stream, track_words)
        samples = noted(await in_worker(workers, stream, partial(sounding, stream)))
        if not times.wants_words:
            await self._send_transcript((), len(text))
        encoder = speech_encoder(self._cloner.model_id, self._state)
        chunks = base64_chunks(encoder.stream(self._kept(samples), self._request.format.name))
        async for chunk in from_thread(with_words(chunks, words), workers, self._state.drain):
            if isinstance(chunk, str):
                await self._about_part("response.output_audio.delta", delta=chunk)
                continue
            self._words += chunk
            if times.wants_words:
                await self._send_transcript(chunk, chunk[-1].until)
        if self._transcript_sent < len(text):
            await self._send_transcript((), len(text))

    async def _send_transcript(self, words: Sequence[WordTime], end: int) -> None:
        """Send the transcript up to a character and, if requested, the times of its words."""
        about: dict[str, Any] = {"delta": self._request.text[self._transcript_sent : end]}
        if self._request.times.wants_words:
            about["words"] = [word.model_dump() for word in spoken_words(words)]
        self._transcript_sent = end
        await self._about_part("response.output_audio_transcript.delta", **about)

    def _kept(self, samples: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for chunk in samples:
            if self.in_conversation:
                self._samples.append(np.round(np.clip(chunk, -1, 1) * 32_767).astype(np.int16))
            if not self._truncated:
                self.item.seconds += len(chunk) / SAMPLE_RATE
            yield chunk

    @property
    def _truncated(self) -> bool:
        """Return whether the client has said that not all of it was heard."""
        return self.item.transcript != self._request.text

    async def _closing(self) -> None:
        text, conversation = self._request.text, self._request.conversation
        if conversation is not None and not self._truncated:
            conversation.note_sound(self.item, np.concatenate([NO_SOUND, *self._samples]))
        self.item.status = "completed" if self._status == "completed" else "incomplete"
        await self._about_part("response.output_audio.done")
        times = timed(self._request.times, self._words).model_dump(exclude_none=True)
        await self._about_part("response.output_audio_transcript.done", transcript=text, **times)
        await self._about_part("response.content_part.done", part={"type": "audio", "transcript": text})
        await self._about_item("response.output_item.done")
        if conversation is not None:
            await self._send("conversation.item.done", {"item": self.item.wire})
        await self._send("response.done", {"response": self._wire(output=[self.item.wire])})

    async def _about_item(self, type: str) -> None:
        about = {"response_id": self.id, "output_index": 0, "item": self.item.wire}
        await self._send(type, about)

    async def _about_part(self, type: str, **more: Any) -> None:
        about = {"response_id": self.id, "item_id": self.item.id, "output_index": 0, "content_index": 0}
        await self._send(type, about | more)

    def _wire(self, **more: Any) -> dict[str, Any]:
        request = self._request
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self._status,
            "status_details": self._details,
            "output": [],
            "conversation_id": request.conversation.id if request.conversation else None,
            "output_modalities": ["audio"],
            "max_output_tokens": request.max_output_tokens,
            "audio": {"output": {"format": request.format.wire, "voice": request.voice}},
            "usage": self._usage(),
            "metadata": request.metadata,
            **more,
        }

    def _usage(self) -> dict[str, Any] | None:
        """Return its usage; None before its end."""
        if self._status not in ("completed", "incomplete") or self._stream is None:
            return None
        report = self._stream.finished()
        text, audio = report.prompt_text_tokens, report.prompt_audio_tokens
        spoken = report.completion_audio_tokens
        return {
            "total_tokens": text + audio + spoken,
            "input_tokens": text + audio,
            "output_tokens": spoken,
            "input_token_details": {"text_tokens": text, "audio_tokens": audio, "cached_tokens": 0},
            "output_token_details": {"text_tokens": 0, "audio_tokens": spoken},
        }
