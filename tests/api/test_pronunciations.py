"""Dictionaries of requests, voices and the server. Kinds of fault: one that is lost, or outranks a nearer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from errors import StartError
from settings import Settings
from synthesis.options import SpeechOptions
from synthesis.references import VoiceReference
from tests.live import ROOT, LiveServer
from tests.tiny_server import TinyServer, ready
from voice_cloning import VoiceCloner

CLIP = (ROOT / "test_audio.wav").read_bytes()


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("words")
    (folder / "words.json").write_text(json.dumps({"Anna": "server", "Bob": "bobby", "Cyd": "sid"}))
    settings = Settings(
        model=str(tiny_model), device="cpu", data_dir=folder, pronunciations=folder / "words.json"
    )
    with ready(settings) as server:
        yield server


def spoken(server: TinyServer, voice: VoiceReference | None, **entries: str) -> str:
    cloner: VoiceCloner = server.app.state.server.cloner
    stream = cloner.stream("Anna, Bob, Cyd.", voice, SpeechOptions(pronunciations=entries, max_steps=9))
    stream.cancel()
    return " ".join(text.text for text in stream.texts())


def test_a_request_outranks_a_voice_and_a_voice_the_server(server: TinyServer) -> None:
    made = httpx.post(
        f"{server.url}/v1/audio/voices",
        files={"audio_sample": CLIP},
        data={"name": "Ada", "pronunciations": json.dumps({"Anna": "voice", "Bob": "voice"})},
        timeout=300,
    ).json()
    assert made["pronunciations"] == {"Anna": "voice", "Bob": "voice"}
    library = server.app.state.server.voices
    _, voice = library.find("", made["id"])
    assert spoken(server, None) == "server, bobby, sid."
    assert spoken(server, voice) == "voice, voice, sid."
    assert spoken(server, voice, Anna="mine") == "mine, voice, sid."


def test_a_voice_keeps_changes_and_travels_with_its_dictionary(server: TinyServer) -> None:
    voices = f"{server.url}/v1/audio/voices"
    made = httpx.post(voices, files={"audio_sample": CLIP}, data={"name": "Eve"}, timeout=300).json()
    assert made["pronunciations"] == {}
    url = f"{voices}/{made['id']}"
    changed = httpx.patch(url, json={"pronunciations": {"Nguyen": " win "}}).json()
    assert changed["pronunciations"] == {"Nguyen": "win"} == httpx.get(url).json()["pronunciations"]
    assert httpx.patch(url, json={"name": "Eva"}).json()["pronunciations"] == {"Nguyen": "win"}
    bundle = httpx.get(f"{url}/export").content
    kept = httpx.post(f"{voices}/import", files={"file": bundle}, data={"name": "Zoe"}, timeout=300).json()
    assert kept["pronunciations"] == {"Nguyen": "win"}
    assert httpx.patch(url, json={"pronunciations": None}).json()["pronunciations"] == {}


@pytest.mark.parametrize("entries", ["{", "[]", '{"a": 1}', '{"+": "plus"}', '{"Nguyen": "/w\\u026an/"}'])
def test_a_dictionary_that_cannot_be_applied_makes_no_voice(server: TinyServer, entries: str) -> None:
    form = {"name": "Bad", "pronunciations": entries}
    answer = httpx.post(f"{server.url}/v1/audio/voices", files={"audio_sample": CLIP}, data=form, timeout=300)
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "pronunciations", answer.text


def test_a_server_with_a_bad_dictionary_does_not_start(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text('{"Nguyen": "..."}')
    with pytest.raises(StartError, match="Nguyen"):
        VoiceCloner.load(Settings(model=str(tiny_model), device="cpu", pronunciations=path))


def test_a_job_follows_the_request_the_voice_and_the_server(server: TinyServer) -> None:
    cloner: VoiceCloner = server.app.state.server.cloner
    voice = VoiceReference.of_codes(torch.zeros(8, 25, dtype=torch.int64))
    voice = replace(voice, pronunciations={"Anna": "voice", "Bob": "voice"})
    parts = cloner.parts("Anna, Bob, Cyd.", [voice], SpeechOptions(pronunciations={"Anna": "request"}))
    assert [part[1] for part in parts if isinstance(part, tuple)] == ["request, voice, sid."]
    body = {"model": "tiny", "input": "Anna.", "pronunciations": {"": "request"}}
    refused = httpx.post(f"{server.url}/v1/audio/speech/jobs", json=body)
    assert refused.status_code == 400 and "pronunciations" in refused.json()["error"]["param"]


def test_phones_are_respelled_for_the_bundled_model(live_server: LiveServer) -> None:
    def spoken(said: str) -> bytes:
        body = {"model": "tts-1", "input": "Ask Nguyen.", "seed": 1, "response_format": "pcm"}
        body |= {"pronunciations": {"Nguyen": said}}
        answer = httpx.post(f"{live_server.url}/v1/audio/speech", json=body, timeout=300)
        assert answer.status_code == 200, answer.text
        return answer.content

    assert spoken("{W IH1 N}") == spoken("win")
