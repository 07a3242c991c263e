"""A model's own voices over HTTP: by their ids, by OpenAI's names, listed, and not to be changed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from settings import Settings
from tests.live import ROOT
from tests.tiny_server import TinyServer, ready, write_whole_model

WORDS = (ROOT / "test_audio.txt").read_text().strip()
TABLE = {
    "default": "hugo",
    "voices": [
        {
            "id": "hugo",
            "description": "calm",
            "file": "hugo.wav",
            "transcript": WORDS,
            "answers_to": ["onyx"],
        },
        {"id": "雨果", "description": "calm", "file": "hugo.wav", "transcript": WORDS, "answers_to": []},
    ],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    folder = write_whole_model(tmp_path_factory.mktemp("model") / "声音")
    (folder / "voices").mkdir()
    (folder / "voices" / "voices.json").write_text(json.dumps(TABLE))
    shutil.copy(ROOT / "test_audio.wav", folder / "voices" / "hugo.wav")
    data: Path = tmp_path_factory.mktemp("data")
    with ready(Settings(model=str(folder), data_dir=data, port=0, device="cpu")) as running:
        yield running


def spoken_by(server: TinyServer, voice: str) -> httpx.Response:
    body: dict[str, str | int] = {
        "model": "higgs-audio",
        "input": "Hi.",
        "voice": voice,
        "response_format": "wav",
    }
    body |= {"max_tokens": 20, "seed": 1}
    response = httpx.post(f"{server.url}/v1/audio/speech", json=body, timeout=60)
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize(("asked", "speaks"), [("hugo", "hugo"), ("onyx", "hugo"), ("alloy", "default")])
def test_a_name_leads_to_its_voice(server: TinyServer, asked: str, speaks: str) -> None:
    assert spoken_by(server, asked).headers["x-voice-used"] == speaks


def test_names_that_no_header_can_hold_are_spoken_too(server: TinyServer) -> None:
    """Kind: a name of the machine's or a model's in a header, which ends the answer with 500."""
    headers = spoken_by(server, "雨果").headers
    shown = headers["x-voice-used"], headers["x-model-used"], headers["ai-disclosure"]
    assert shown == ("??", "??", 'mode=machine-generated, model="??"')


def test_the_default_voice_is_the_one_that_the_table_names(server: TinyServer) -> None:
    assert spoken_by(server, "default").content == spoken_by(server, "hugo").content


def test_the_list_has_them_and_nobody_changes_them(server: TinyServer) -> None:
    voices = f"{server.url}/v1/audio/voices"
    listed = httpx.get(voices).json()["data"]
    assert [(voice["id"], voice["built_in"]) for voice in listed] == [
        ("default", True),
        ("hugo", True),
        ("雨果", True),
    ]
    assert httpx.get(f"{voices}/hugo").json()["name"] == "hugo"
    for refused in (httpx.patch(f"{voices}/hugo", json={"name": "x"}), httpx.delete(f"{voices}/hugo")):
        assert refused.status_code == 400 and refused.json()["error"]["code"] == "voice_built_in"
