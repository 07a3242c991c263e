"""Sound that comes in over WS /v1/realtime: turns are found in it, and it is written down."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from api.live.conversation import Conversation, StoredItem
from api.live.input_audio import InputBuffer
from api.schemas.realtime import InputConfig, TurnDetection
from asr.words import words_of, wrong_words
from audio.encode import encode_audio
from tests.api.realtime_client import event, recording_pcm, until
from tests.event_loop import run
from tests.live import ROOT
from tests.tiny_server import TinyServer

WORDS = words_of((ROOT / "test_audio.txt").read_text())
EVENT = "conversation.item.input_audio_transcription"
CHUNK = 4_800  # bytes, 100 ms of 16 bits at 24 kHz
SILENCE = bytes(48_000)  # 1 s


def transcribing(server: TinyServer, talk: Callable[[AsyncRealtimeConnection], Awaitable[None]]) -> None:
    async def transcribe() -> None:
        client = AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        query = {"intent": "transcription"}
        async with asyncio.timeout(300), client.realtime.connect(extra_query=query) as link:
            created = await event(link)
            assert (
                created.session.type == "transcription" and created.session.audio.input.transcription is None
            )
            await talk(link)

    run(transcribe())


async def configured(link: AsyncRealtimeConnection, **fields: Any) -> None:
    session: Any = {
        "type": "transcription",
        "audio": {"input": {"transcription": {"model": "whisper-1"}, **fields}},
    }
    await link.session.update(session=session)
    assert (await event(link)).type == "session.updated"


async def append(link: AsyncRealtimeConnection, data: bytes) -> None:
    for start in range(0, len(data), CHUNK):
        await link.input_audio_buffer.append(audio=base64.b64encode(data[start : start + CHUNK]).decode())


def test_a_turn_is_found_and_written_down(tiny_server: TinyServer) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        await configured(link, turn_detection={"type": "server_vad", "silence_duration_ms": 1_000})
        await append(link, SILENCE + recording_pcm() + 2 * SILENCE)
        events = await until(link, f"{EVENT}.completed")
        kinds = list(dict.fromkeys(e.type for e in events))
        assert kinds == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            f"{EVENT}.delta",
            f"{EVENT}.completed",
        ]
        started, stopped, done = events[0], events[1], events[-1]
        assert 500 <= started.audio_start_ms <= 1_500 and stopped.audio_end_ms > 8_000
        assert len({e.item_id for e in (started, stopped, events[2], done)}) == 1
        assert "".join(e.delta for e in events if e.type == f"{EVENT}.delta").strip() == done.transcript
        assert wrong_words(WORDS, words_of(done.transcript)) <= 0.3 * len(WORDS)
        assert done.usage.input_tokens > 0

    transcribing(tiny_server, talk)


def test_what_is_kept_of_a_sound_is_no_slice_of_a_longer_one() -> None:
    """Kind: a slice of an array keeps all of it in memory, though only the slice is counted."""
    buffer = InputBuffer(InputConfig(turn_detection=TurnDetection(type="server_vad")))
    edges = buffer.append(base64.b64encode(recording_pcm() + 10 * SILENCE).decode())
    turn = next(edge.sound for edge in edges if edge.sound is not None)
    conversation, item = Conversation(), StoredItem("item_1", "assistant", [])
    conversation.add(item)
    conversation.note_sound(item, np.zeros(60 * 24_000, np.int16))
    conversation.truncate(item.id, 100)
    for sound in (turn, item.sound):
        base: Any = sound if sound.base is None else sound.base
        assert memoryview(base).nbytes == sound.nbytes > 0


def test_a_buffer_is_committed_by_hand_and_cleared(tiny_server: TinyServer) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        await configured(link, format={"type": "audio/pcmu"})
        samples = np.frombuffer(recording_pcm(), "<i2").astype(np.float32) / 32_768
        await append(link, encode_audio(samples[: 3 * 24_000], "pcmu").data)
        await link.input_audio_buffer.clear()
        assert (await event(link)).type == "input_audio_buffer.cleared"
        await append(link, encode_audio(samples[: 4 * 24_000], "pcmu").data)
        await link.input_audio_buffer.commit()
        done = (await until(link, f"{EVENT}.completed"))[-1]
        assert done.usage.input_tokens == pytest.approx(100, abs=1) and set(words_of(done.transcript)) & set(
            WORDS
        )
        await link.conversation.item.retrieve(item_id=done.item_id)
        kept = (await event(link)).item.content[0]
        assert kept.transcript == done.transcript and abs(len(base64.b64decode(kept.audio)) - 4 * 8_000) < 400
        await link.response.create()
        assert (await event(link)).error.code == "unsupported"

    transcribing(tiny_server, talk)


def test_what_can_t_be_written_down_is_told(tiny_server: TinyServer) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        await configured(link, transcription={"model": "whisper-1", "language": "tlh"})
        await append(link, recording_pcm()[:48_000])
        await link.input_audio_buffer.commit()
        failed = (await until(link, f"{EVENT}.failed"))[-1]
        assert failed.error.code == "unsupported_language"

    transcribing(tiny_server, talk)
