"""One part of a text, spoken at once: its sound, its word times, and the messages that carry them."""

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from api.schemas.speech_stream import StreamConfig
from api.sockets import Channel
from api.word_times import milliseconds, spoken_words, timed
from audio.frames import SAMPLE_RATE
from synthesis.word_times import WordTime

Chunk = bytes | list[WordTime]  # of the file, and words whose times are known by then


def gathered(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Return the whole file as one block, and all words as another."""
    data, words = list[bytes](), list[WordTime]()
    for chunk in chunks:
        if isinstance(chunk, bytes):
            data.append(chunk)
        else:
            words += chunk
    return [b"".join(data), words] if words else [b"".join(data)]


class PartMessages:
    """Sends the messages of one part, from audio.start to audio.done."""

    def __init__(self, channel: Channel, config: StreamConfig, utterance: int, number: int) -> None:
        self._channel, self._config = channel, config
        self._about = {"utterance_index": utterance, "sentence_index": number}
        self._chunks, self._words = 0, list[WordTime]()
        self.bytes_sent = 0

    async def start(self, text: str) -> None:
        about: dict[str, Any] = {**self._about, "sentence_text": text}
        about |= {"format": self._config.response_format, "sample_rate": SAMPLE_RATE, "channels": 1}
        if self._config.word_timestamps:
            about["word_timestamps"] = True
        await self._send("audio.start", about)

    async def send(self, chunk: Chunk) -> None:
        """Send words, or a block of the file (as vLLM-Omni does, if requested)."""
        if not isinstance(chunk, bytes):
            self._words += chunk
            if self._config.wants_words:
                times = [word.model_dump() for word in spoken_words(chunk)]
                await self._send("audio.words", self._about | {"words": times})
            return
        if self._config.word_timestamps:
            await self._chunk(chunk, None)
        else:
            await self._channel.send_bytes(chunk)
        self.bytes_sent += len(chunk)

    async def done(self, *, error: bool = False, cancelled: bool = False) -> None:
        """Send the end of the part. After an error, there are no word times."""
        if self._config.word_timestamps:
            await self._chunk(b"", None if error else self._words)
        about: dict[str, Any] = {**self._about, "total_bytes": self.bytes_sent, "error": error}
        if cancelled:
            about["cancelled"] = True
        if self._config.caption_format:
            about["captions"] = timed(self._config, self._words).captions
        await self._send("audio.done", about)

    async def _chunk(self, data: bytes, words: Sequence[WordTime] | None) -> None:
        about: dict[str, Any] = {**self._about, "chunk_id": self._chunks}
        about["audio_b64"] = base64.b64encode(data).decode("ascii")
        about["timestamps"] = None if words is None else milliseconds(words)
        self._chunks += 1
        await self._send("audio.chunk", about)

    async def _send(self, type: str, about: dict[str, Any]) -> None:
        await self._channel.send({"type": type, **about})
