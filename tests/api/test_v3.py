"""A Higgs v3 behind the same routes: clone, speech, stream, tags, and its licence."""

import base64
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from settings import Settings
from tests.live import ROOT
from tests.tiny_server import TinyServer, ready
from tests.tiny_v3 import write_endless_v3
from voice_cloning import SpeechOptions, VoiceCloner

FRAMES = 24
COLUMNS = FRAMES + 8
TEXT = "Good morning, how did you sleep?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_endless_v3(tmp_path_factory.mktemp("models") / "higgs-v3")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[TinyServer]:
    with ready(Settings(model=str(folder), device="cpu")) as server:
        yield server


def test_the_licence_is_logged_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        cloner = VoiceCloner.load(Settings(model=str(folder), device="cpu"))
    cloner.speak("Hello.", options=SpeechOptions(max_steps=COLUMNS))
    cloner.close()
    assert caplog.text.count("non-commercial") == 1


def speech(server: TinyServer, **fields: object) -> httpx.Response:
    body = {"model": "higgs-audio", "input": TEXT, "voice": "default", "response_format": "pcm"}
    asked = body | {"max_tokens": COLUMNS} | fields
    return httpx.post(f"{server.url}/v1/audio/speech", json=asked, timeout=60)


def test_the_licence_is_shown(server: TinyServer) -> None:
    (card,) = httpx.get(f"{server.url}/v1/models").json()["data"]
    assert card["id"] == "higgs-v3"
    assert "non-commercial" in card["license"]


@pytest.mark.parametrize("words", [None, "The weather is warm today."])
def test_a_recording_is_cloned_by_chat(server: TinyServer, words: str | None) -> None:
    recording = base64.b64encode((ROOT / "test_audio.wav").read_bytes()).decode()
    parts = [
        {"type": "text", "text": TEXT},
        {"type": "input_audio", "input_audio": {"data": recording, "format": "wav"}},
    ]
    body = {
        "model": "higgs-v3",
        "modalities": ["text", "audio"],
        "audio": {"voice": "clone", "format": "wav", "ref_text": words},
        "messages": [{"role": "user", "content": parts}],
        "max_completion_tokens": COLUMNS,
    }
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60).json()
    assert answer["voice"]["used"] == "clone"
    assert answer["usage"]["completion_tokens_details"]["audio_tokens"] == FRAMES
    assert answer["usage"]["prompt_tokens_details"]["audio_tokens"] > 150
    sound = base64.b64decode(answer["choices"][0]["message"]["audio"]["data"])
    samples, rate = soundfile.read(io.BytesIO(sound))
    assert (len(samples), rate) == (FRAMES * 960, 24_000)


def test_a_stream_is_the_whole_speech(server: TinyServer) -> None:
    whole, streamed = speech(server, stream=False), speech(server)
    assert whole.status_code == streamed.status_code == 200
    assert len(whole.content) == FRAMES * 960 * 2
    first, second = (np.frombuffer(answer.content, "<i2").astype(int) for answer in (whole, streamed))
    assert np.abs(first - second).max() <= 1  # the last bit: the codec's windows differ


def test_tags_change_what_is_said_and_unknown_ones_are_refused(server: TinyServer) -> None:
    plain, sad = speech(server), speech(server, input=f"<|emotion:sadness|>{TEXT}")
    assert sad.status_code == 200 and sad.content != plain.content
    told = speech(server, instructions="Speak sadly.")
    assert told.content == sad.content and told.headers["x-instructions-followed"] == "true"
    unheard = speech(server, instructions="Like a pirate.")
    assert unheard.content == plain.content and unheard.headers["x-instructions-followed"] == "false"
    body = {"model": "higgs-audio", "input": f"{TEXT} <|emotion:despair|>{TEXT}"}
    # A job would fail at this piece again and again.
    for path in ("speech", "speech/jobs"):
        refused = httpx.post(f"{server.url}/v1/audio/{path}", json=body, timeout=300)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["param"]) == (400, "unknown_tag", "input")
        assert "<|emotion:sadness|>" in error["message"]
