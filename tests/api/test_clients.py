"""What common clients send, as their public source has it: each gets an answer that it can play."""

from typing import Any

import httpx
import pytest

from audio.decode import decode_audio
from tests.tiny_server import TinyServer

# The clients' own defaults: models and voices of OpenAI's.
BODIES: dict[str, dict[str, Any]] = {
    "Open WebUI": {"model": "tts-1", "voice": "alloy", "input": "Hello world."},
    "SillyTavern": {
        "model": "tts-1",
        "voice": "nova",
        "input": "Hello world.",
        "response_format": "mp3",
        "speed": 1,
        "stream": False,
        "retry_badcase": True,
    },
    "SillyTavern, streaming": {
        "model": "tts-1",
        "voice": "nova",
        "input": "Hello world.",
        "response_format": "wav",
        "speed": 1.25,
        "stream": True,
        "retry_badcase": False,
    },
    "LiveKit Agents": {"input": "Hello world.", "model": "tts-1", "voice": "alloy", "response_format": "mp3"},
    "Home Assistant": {
        "model": "gpt-4o-mini-tts",
        "voice": "marin",
        "input": "Hello world.",
        "instructions": "None",
        "speed": 1.0,
        "response_format": "opus",
    },
    "Home Assistant, openai_tts": {
        "model": "tts-1",
        "input": "Hello world.",
        "voice": "shimmer",
        "response_format": "wav",
        "speed": 1,
    },
}


@pytest.mark.parametrize("client", BODIES)
def test_a_client_hears_speech(tiny_server: TinyServer, client: str) -> None:
    headers = {"authorization": "Bearer not-needed"}
    url = f"{tiny_server.url}/v1/audio/speech"
    response = httpx.post(url, json=BODIES[client], headers=headers, timeout=60)
    assert response.status_code == 200, response.text
    assert len(decode_audio(response.content)) > 0


def test_sillytavern_s_player_finds_the_rate_and_the_samples_of_a_streamed_wav(
    tiny_server: TinyServer,
) -> None:
    url = f"{tiny_server.url}/v1/audio/speech"
    with httpx.stream("POST", url, json=BODIES["SillyTavern, streaming"], timeout=60) as response:
        first = next(response.iter_raw())
    assert response.headers["content-type"].startswith("audio/")
    assert int.from_bytes(first[24:28], "little") == 24_000
    assert int.from_bytes(first[22:24], "little") == 1 and int.from_bytes(first[34:36], "little") == 16
    assert first[36:40] == b"data" and len(first) > 44


def test_open_webui_finds_voices_to_choose_from(tiny_server: TinyServer) -> None:
    listed = httpx.get(f"{tiny_server.url}/v1/audio/voices").json()
    choices = {voice["id"]: voice["name"] for voice in listed["voices"]}
    assert {"default", "alloy", "echo", "fable", "onyx", "nova", "shimmer"} <= choices.keys()
