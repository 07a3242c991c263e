"""More recordings of a saved voice: they are read in every prompt of it, and travel with it."""

from typing import Any

import httpx
import pytest

from tests.api.test_chat import answer, said
from tests.api.test_voice_files import send_import
from tests.api.test_voices import FILE, Body, error_of, keep, new_name, voices_url
from tests.tiny_server import TinyServer


@pytest.fixture
def voice(tiny_server: TinyServer) -> Body:
    return keep(tiny_server, name=new_name(), ref_text="The words.").json()


def add(server: TinyServer, voice_id: str, file: Any = FILE, **fields: str) -> httpx.Response:
    url = voices_url(server, f"/{voice_id}/samples")
    return httpx.post(url, data=fields, files={"audio_sample": file}, timeout=120)


def audio_tokens(server: TinyServer, voice_id: str) -> int:
    body = answer(server, said("Hello."), audio={"voice": voice_id})
    return body["usage"]["prompt_tokens_details"]["audio_tokens"]


def test_each_recording_is_read_and_can_be_taken_away(tiny_server: TinyServer, voice: Body) -> None:
    alone = audio_tokens(tiny_server, voice["id"])
    two = add(tiny_server, voice["id"], ref_text="Other  words.").json()
    assert two == voice | {"samples": two["samples"]} and len(two["samples"]) == 1
    sample = two["samples"][0]
    assert sample["ref_text"] == "Other words." and 5 < sample["seconds"] < 9
    assert audio_tokens(tiny_server, voice["id"]) == 2 * alone
    assert len(add(tiny_server, voice["id"], ref_text="More.").json()["samples"]) == 2
    refused = error_of(add(tiny_server, voice["id"], ref_text="Yet more."))
    assert refused == (400, "voice_samples_full", "audio_sample")

    exported = httpx.get(voices_url(tiny_server, f"/{voice['id']}/export")).content
    back = send_import(tiny_server, exported, name=new_name()).json()
    assert [one["ref_text"] for one in back["samples"]] == ["Other words.", "More."]
    assert audio_tokens(tiny_server, back["id"]) == 3 * alone

    one = voices_url(tiny_server, f"/{voice['id']}/samples/{sample['id']}")
    assert [left["ref_text"] for left in httpx.delete(one).json()["samples"]] == ["More."]
    assert error_of(httpx.delete(one))[:2] == (404, "sample_not_found")
    assert audio_tokens(tiny_server, voice["id"]) == 2 * alone


def test_what_is_no_recording_of_a_voice_is_refused(tiny_server: TinyServer, voice: Body) -> None:
    noise = error_of(add(tiny_server, voice["id"], ("me.wav", b"no sound"), ref_text="Words."))
    assert noise == (400, "audio_undecodable", "audio_sample")
    assert error_of(add(tiny_server, "voice_0", ref_text="Words."))[:2] == (404, "voice_not_found")
    assert error_of(add(tiny_server, "default", ref_text="Words."))[:2] == (400, "voice_built_in")
    assert httpx.get(voices_url(tiny_server, f"/{voice['id']}")).json() == voice
