"""POST /v1/audio/speech/batch, and several speakers in one text, over HTTP."""

import base64
import json
from dataclasses import replace
from typing import Any

import httpx
import numpy as np

from audio.decode import decode_audio
from tests.api.test_chat import RECORDING
from tests.api.test_speech import SAMPLING, post, spoken
from tests.audio.media import float_wav, recording
from tests.tiny_server import TinyServer


def batch(server: TinyServer, *items: Any, **fields: Any) -> httpx.Response:
    body = {"model": "tiny", "response_format": "flac", **SAMPLING, **fields, "items": items}
    headers = {"content-type": "application/json"}  # httpx's own JSON can't hold half an emoji
    url = f"{server.url}/v1/audio/speech/batch"
    return httpx.post(url, content=json.dumps(body), headers=headers, timeout=60)


def test_every_item_is_the_file_it_would_be_alone(tiny_server: TinyServer) -> None:
    items: list[dict[str, Any]] = [
        {"input": "One."},
        {"input": "Two.", "ref_audio": RECORDING},
        {"input": "Three.", "speed": 2},
    ]
    answer = batch(tiny_server, *items).json()
    assert (answer["total"], answer["succeeded"], answer["failed"]) == (3, 3, 0)
    assert [result["voice_used"] for result in answer["results"]] == ["default", "clone", "default"]
    for index, (item, result) in enumerate(zip(items, answer["results"], strict=True)):
        assert (result["index"], result["status"], result["media_type"]) == (index, "success", "audio/flac")
        alone = spoken(tiny_server, **item, stream=False)
        np.testing.assert_array_equal(decode_audio(base64.b64decode(result["audio_data"])), alone)


def test_an_item_that_fails_leaves_the_others(tiny_server: TinyServer) -> None:
    answer = batch(tiny_server, {"input": "One."}, {"input": "👍"}, {"input": "Three.", "voice": "nobody"})
    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["success", "error", "error"]
    assert [result["error"] and result["error"]["code"] for result in results] == [
        None,
        "text_empty",
        "voice_not_found",
    ]


def test_more_items_than_speak_at_once_are_all_spoken(tiny_server: TinyServer) -> None:
    answer = batch(tiny_server, *[{"input": f"Number {n}."} for n in range(20)], max_tokens=20).json()
    assert answer["succeeded"] == 20


def test_what_is_wrong_with_the_body_is_named(tiny_server: TinyServer) -> None:
    bodies: list[dict[str, Any]] = [{}, {"items": []}, {"items": "Hello."}]
    for body in bodies:
        response = httpx.post(f"{tiny_server.url}/v1/audio/speech/batch", json={"model": "tiny", **body})
        assert (response.status_code, response.json()["error"]["param"]) == (400, "items")


def test_an_item_that_is_no_speech_request_leaves_the_others(tiny_server: TinyServer) -> None:
    """Kind: one of many that fails must not take the others with it, whatever is wrong with it."""
    wrong: dict[str, Any] = {
        "input": {"input": 3},
        "speed": {"input": "Hi.", "speed": 99},
        "ref_audio": {"input": "Hi.", "ref_audio": ["a", "b"]},
        "voice": {"input": "Hi.", "voice": "\ud83d"},
    }
    half = {"input": "Hello \ud83d world."}
    answer = batch(tiny_server, {"input": "One."}, *wrong.values(), half, 7, max_tokens=20).json()
    assert (answer["total"], answer["succeeded"], answer["model"]) == (7, 1, "tiny")
    errors = [result["error"] for result in answer["results"]]
    assert [error and error["param"] for error in errors] == [None, *wrong, "input", None]
    assert all(error["type"] == "invalid_request_error" for error in errors[1:])


def test_several_speakers_each_in_their_voice(tiny_server: TinyServer) -> None:
    text = "[SPEAKER0] Hello. [SPEAKER1] Hello."
    response = post(tiny_server, input=text, voices=["alloy", "clone"], ref_audio=RECORDING)
    assert response.headers["x-voice-used"] == "default, clone"
    response = post(tiny_server, input="[SPEAKER2] Hello.", voices=["alloy", "echo"])
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "unknown_speaker", "input")
    response = post(tiny_server, voices=["alloy", "nobody"])
    assert response.json()["error"]["param"] == "voices[1]"
    assert post(tiny_server, voices=["clone"]).json()["error"]["param"] == "ref_audio"


class BrokenCodec:
    """A codec that fails on every recording, as nobody foresaw."""

    def __init__(self, codec: Any) -> None:
        self._codec = codec

    def encode(self, waveform: np.ndarray) -> Any:
        raise ZeroDivisionError("a secret of the server")

    def decoder(self) -> Any:
        return self._codec.decoder()


def test_an_error_that_nobody_foresaw_costs_its_own_item_only(tiny_server: TinyServer) -> None:
    """A kind of loss: one of many fails, and with it goes what the others made."""
    resident = tiny_server.app.state.server.cloner.resident
    served = resident.use()
    resident._served = replace(served, codec=BrokenCodec(served.codec))
    other = base64.b64encode(float_wav(recording()[:72_000])).decode()  # not kept by the cache yet
    try:
        answer = batch(tiny_server, {"input": "One."}, {"input": "Two.", "ref_audio": other}).json()
    finally:
        resident._served = served
    assert [result["status"] for result in answer["results"]] == ["success", "error"]
    assert (answer["total"], answer["succeeded"], answer["failed"]) == (2, 1, 1)
    error = answer["results"][1]["error"]
    assert error["code"] == "internal_error" and "secret" not in error["message"]
