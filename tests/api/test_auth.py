"""API keys over real HTTP: who may ask, and that one key never sees another's voices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from pydantic import SecretStr

from settings import Settings
from tests.audio.media import sound_file
from tests.tiny_server import TinyServer, ready

FILE = ("me.wav", sound_file("wav"), "audio/wav")


@pytest.fixture(scope="module")
def locked_server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    folder = tmp_path_factory.mktemp("voices")
    keys = SecretStr("key-of-ann, key-of-bob,")
    settings = Settings(model=str(tiny_model), device="cpu", data_dir=folder, api_keys=keys)
    with ready(settings) as server:
        yield server


def client_of(server: TinyServer, key: str) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer key-of-eve", "Basic key-of-ann", "key-of-ann", "Bearer key-of-ann,"]
)
def test_without_a_key_of_the_server_nothing_is_answered(
    locked_server: TinyServer, header: str | None
) -> None:
    headers = {} if header is None else {"authorization": header}
    for path in ("/v1/models", "/v1/audio/voices", "/api/public/voice/onboarding/status/x", "/v1/nothing"):
        response = httpx.get(locked_server.url + path, headers=headers)
        assert response.status_code == 401 and response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["code"] == "invalid_api_key" and response.headers["x-request-id"]


def test_the_health_of_a_locked_server_is_open(locked_server: TinyServer) -> None:
    assert httpx.get(f"{locked_server.url}/health").status_code == 200


def test_the_sdk_knows_the_refusal(locked_server: TinyServer) -> None:
    with pytest.raises(openai.AuthenticationError):
        client_of(locked_server, "wrong").models.list()
    assert client_of(locked_server, "key-of-bob").models.list().data


def test_one_key_never_sees_another_s_voices(locked_server: TinyServer) -> None:
    ann, bob = (client_of(locked_server, f"key-of-{name}") for name in ("ann", "bob"))
    voice = ann.audio.voices.create(name="Anna", audio_sample=FILE, consent="")
    headers = {"authorization": "Bearer key-of-bob"}
    listed = httpx.get(f"{locked_server.url}/v1/audio/voices", headers=headers).json()
    assert [one["id"] for one in listed["data"]] == ["default"]
    for name in (voice.id, voice.name):
        with pytest.raises(openai.NotFoundError):
            bob.audio.speech.create(model="tiny", voice=name, input="Hi.")
    with pytest.raises(openai.NotFoundError):
        bob.audio.voices.delete(voice.id)
    for method, path in (
        ("GET", f"/v1/audio/voices/{voice.id}"),
        ("GET", f"/v1/audio/voices/{voice.id}/recording"),
        ("GET", f"/api/public/voice/onboarding/status/{voice.id}"),
        ("DELETE", f"/api/public/voice/onboarding/{voice.id}"),
    ):
        assert httpx.request(method, locked_server.url + path, headers=headers).status_code == 404
    assert bob.audio.voices.create(name="Anna", audio_sample=FILE, consent="").id != voice.id
    assert ann.audio.speech.create(model="tiny", voice="Anna", input="Hi.").content


def test_one_key_never_speaks_with_another_s_earlier_answer(locked_server: TinyServer) -> None:
    """Kind: an id that was told to one owner is nothing to any other, though it is right."""
    ann, bob = (client_of(locked_server, f"key-of-{name}") for name in ("ann", "bob"))
    said: Any = {"role": "user", "content": "Hello."}
    wanted: dict[str, Any] = {"model": "tiny", "audio": {"voice": "clone", "format": "wav"}, "seed": 1}
    first = ann.chat.completions.create(messages=[said], **wanted, max_tokens=60)
    audio = first.choices[0].message.audio
    assert audio is not None
    turns: list[Any] = [said, {"role": "assistant", "audio": {"id": audio.id}}, said]
    assert ann.chat.completions.create(messages=turns, **wanted).choices
    with pytest.raises(openai.NotFoundError) as unknown:
        bob.chat.completions.create(messages=turns, **wanted)
    assert unknown.value.code == "audio_not_found"
