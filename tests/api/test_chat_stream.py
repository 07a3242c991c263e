"""Streamed chat completions, as the official SDK reads them: the same answer, told piece by piece."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from audio.decode import decode_audio
from tests.api.test_chat import RECORDING, said
from tests.audio.test_decode import correlation
from tests.event_loop import run
from tests.tiny_server import TinyServer

REQUEST: dict[str, Any] = {
    "model": "tiny",
    "modalities": ["text", "audio"],
    "messages": [{"role": "user", "content": "Hello world."}],
    "audio": {"voice": "alloy", "format": "pcm16"},
    "seed": 1,
    "temperature": 0,
    "max_completion_tokens": 100,
}


def chunks_of(client: OpenAI, **fields: Any) -> list[ChatCompletionChunk]:
    """The chunks of a streamed answer, each held against the SDK's own types, strictly."""
    stream = client.chat.completions.create(**(REQUEST | fields), stream=True)
    chunks: list[ChatCompletionChunk] = list(stream)
    return [ChatCompletionChunk.model_validate_json(chunk.to_json(), strict=True) for chunk in chunks]


def audio_deltas(chunks: list[ChatCompletionChunk], field: str) -> list[Any]:
    deltas = [choice.delta.audio for chunk in chunks for choice in chunk.choices]
    return [value for delta in deltas if delta and (value := getattr(delta, field)) is not None]


def pcm(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<i2").astype(np.float32)


def whole(client: OpenAI, **fields: Any) -> tuple[ChatCompletion, bytes]:
    completion = client.chat.completions.create(**(REQUEST | fields))
    audio = completion.choices[0].message.audio
    assert audio is not None
    return completion, base64.b64decode(audio.data)


def test_the_chunks_come_in_openai_s_order(client: OpenAI) -> None:
    chunks = chunks_of(client)
    first, last = chunks[0].choices[0], chunks[-1].choices[0]
    assert first.delta.role == "assistant" and first.finish_reason is None
    assert [chunk.choices[0].delta.role for chunk in chunks[1:]] == [None] * (len(chunks) - 1)
    assert len(audio_deltas(chunks, "id")) == len(audio_deltas(chunks, "expires_at")) == 1
    assert audio_deltas(chunks, "transcript") == ["Hello world."]
    assert (last.delta.audio, last.finish_reason) == (None, "length")
    assert {chunk.id for chunk in chunks} == {chunks[0].id} and chunks[0].usage is None
    assert (chunks[0].model_extra or {})["voice"]["used"] == "default"
    extensions = chunks[-1].model_extra or {}
    assert extensions["seed"] == 1 and extensions["quality"]["takes"] == 1


def test_the_streamed_samples_are_those_of_the_whole_answer(client: OpenAI) -> None:
    deltas = audio_deltas(chunks_of(client), "data")
    assert len(deltas) > 2
    streamed = b"".join(base64.b64decode(delta, validate=True) for delta in deltas)
    assert base64.b64decode("".join(deltas), validate=True) == streamed
    assert all(len(base64.b64decode(delta)) % 2 == 0 for delta in deltas)
    np.testing.assert_allclose(pcm(streamed), pcm(whole(client)[1]), atol=1)


@pytest.mark.parametrize(
    ("format", "run_in"), [("wav", 0), ("flac", 0), ("opus", 0), ("aac", 0), ("mp3", 0.07)]
)
def test_every_format_can_be_streamed(client: OpenAI, format: str, run_in: float) -> None:
    audio = {"voice": "alloy", "format": format}
    streamed = decode_audio(base64.b64decode("".join(audio_deltas(chunks_of(client, audio=audio), "data"))))
    at_once = decode_audio(whole(client, audio=audio)[1])
    assert 0 <= (len(streamed) - len(at_once)) / 24_000 <= run_in
    assert correlation(streamed, at_once) > 0.95


def test_usage_comes_last_if_asked_for(client: OpenAI) -> None:
    chunks = chunks_of(client, stream_options={"include_usage": True})
    assert chunks[-1].choices == [] and chunks[-1].usage == whole(client)[0].usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_sdk_s_stream_helper_makes_the_whole_message(client: OpenAI) -> None:
    with client.chat.completions.stream(**REQUEST) as stream:
        assert {event.type for event in stream} == {"chunk"}
        # Not get_final_completion: that takes an answer cut by its limit for an error.
        message = stream.current_completion_snapshot.choices[0].message
    assert message.role == "assistant" and message.audio is not None
    assert message.audio.transcript == "Hello world."
    assert abs(message.audio.expires_at - time.time()) < 4_000
    np.testing.assert_allclose(pcm(base64.b64decode(message.audio.data)), pcm(whole(client)[1]), atol=1)


def test_the_asynchronous_client_hears_several_at_once(client: OpenAI, tiny_server: TinyServer) -> None:
    async def listen(asynchronous: AsyncOpenAI, seed: int) -> bytes:
        stream = await asynchronous.chat.completions.create(**(REQUEST | {"seed": seed}), stream=True)
        return b"".join(
            base64.b64decode(data) for data in audio_deltas([chunk async for chunk in stream], "data")
        )

    async def listen_to_all() -> list[bytes]:
        async with AsyncOpenAI(base_url=f"{tiny_server.url}/v1", api_key="none") as asynchronous:
            return await asyncio.gather(*(listen(asynchronous, seed) for seed in range(3)))

    for seed, streamed in enumerate(run(listen_to_all())):
        np.testing.assert_allclose(pcm(streamed), pcm(whole(client, seed=seed)[1]), atol=1)


def test_a_clone_is_streamed_too(client: OpenAI) -> None:
    fields = {"messages": [said("Hello.", RECORDING)], "audio": {"voice": "clone", "format": "pcm16"}}
    chunks = chunks_of(client, **fields)
    assert (chunks[0].model_extra or {})["voice"]["used"] == "clone"
    streamed = b"".join(base64.b64decode(data) for data in audio_deltas(chunks, "data"))
    np.testing.assert_allclose(pcm(streamed), pcm(whole(client, **fields)[1]), atol=1)


def test_what_is_wrong_from_the_start_is_an_error_of_http(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as error:
        chunks_of(client, audio={"voice": "nobody", "format": "pcm16"})
    assert error.value.code == "voice_not_found"


def events_of(lines: Iterator[str]) -> Iterator[str]:
    return (line.removeprefix("data: ") for line in lines if line)


def endless(server: TinyServer) -> Any:
    body = REQUEST | {"stream": True, "max_completion_tokens": 8_000}
    return httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60)


def test_the_generation_ends_when_the_client_leaves(endless_server: TinyServer) -> None:
    with endless(endless_server) as response:
        events = events_of(response.iter_lines())
        assert [next(events) for _ in range(3)]
    begun = time.monotonic()
    body = REQUEST | {"max_completion_tokens": 20}
    response = httpx.post(f"{endless_server.url}/v1/chat/completions", json=body, timeout=60)
    assert response.status_code == 200
    assert time.monotonic() - begun < 5


def test_a_stream_that_breaks_off_ends_in_one_error_and_no_done(endless_server: TinyServer) -> None:
    with endless(endless_server) as response:
        events = events_of(response.iter_lines())
        heard = [next(events) for _ in range(3)]
        endless_server.app.state.server.cloner.close()
        heard += list(events)
    assert json.loads(heard[-1])["error"]["code"] == "shutting_down"
    assert sum("error" in json.loads(event) for event in heard) == 1
