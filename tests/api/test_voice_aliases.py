"""OpenAI's names for saved voices: by a setting for all keys, by PATCH for one's own."""

from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI

from settings import Settings
from tests.audio.media import sound_file
from tests.tiny_server import TinyServer, ready

FILE = ("me.mp3", sound_file("mp3"), "audio/mpeg")


def voices_url(server: TinyServer, path: str = "") -> str:
    return f"{server.url}/v1/audio/voices{path}"


def test_a_kept_voice_speaks_under_a_name_of_openai_s(tiny_model: Path, tmp_path: Path) -> None:
    """Kind: clients with a closed list of voices must reach the kept ones, and none in their stead."""
    aliases = "alloy=Anna, ash=Bo"
    settings = Settings(model=str(tiny_model), device="cpu", data_dir=tmp_path, voice_aliases=aliases)
    with ready(settings) as server:
        sdk = OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        voice = sdk.audio.voices.create(name="Anna", audio_sample=FILE, consent="")

        def used(name: str) -> str:
            answer = sdk.audio.speech.with_raw_response.create(model="tts-1", voice=name, input="Hi.")
            return answer.headers["x-voice-used"]

        assert [used("alloy"), used("echo")] == [voice.id, "default"]
        with pytest.raises(openai.NotFoundError) as missing:
            used("ash")
        assert missing.value.code == "voice_not_found" and "'Bo'" in missing.value.message
        listed = httpx.get(voices_url(server)).json()
        assert listed["aliases"] == {"alloy": "Anna", "ash": "Bo"}


def test_a_voice_is_given_names_of_openai_s_and_loses_them(client: OpenAI, tiny_server: TinyServer) -> None:
    """Kind: two voices under one alias; an alias that outlives its voice."""
    anna, bert = (
        client.audio.voices.create(name=name, audio_sample=FILE, consent="").id for name in ("Anna", "Bert")
    )

    def give(voice: str, *aliases: str) -> list[str]:
        answer = httpx.patch(voices_url(tiny_server, f"/{voice}"), json={"aliases": aliases})
        return answer.raise_for_status().json()["aliases"]

    def used() -> str:
        answer = client.audio.speech.with_raw_response.create(model="tts-1", voice="ballad", input="Hi.")
        return answer.headers["x-voice-used"]

    assert give(anna, "fable", "ballad") == ["ballad", "fable"] and used() == anna
    assert give(bert, "ballad") == ["ballad"] and used() == bert
    assert httpx.get(voices_url(tiny_server, f"/{anna}")).json()["aliases"] == ["fable"]
    listed = httpx.get(voices_url(tiny_server)).json()
    assert listed["aliases"] == {"ballad": bert, "fable": anna}
    renamed = httpx.patch(voices_url(tiny_server, f"/{bert}"), json={"ref_text": "Hello."}).json()
    assert renamed["aliases"] == ["ballad"]
    client.audio.voices.delete(bert)
    assert used() == "default" and give(anna) == []
    refused = httpx.patch(voices_url(tiny_server, f"/{anna}"), json={"aliases": ["clone"]})
    assert refused.status_code == 400
