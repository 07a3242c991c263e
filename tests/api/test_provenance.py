"""What leaves is marked as made: header, tag and watermark; POST /v1/content_provenance_checks knows it."""

import base64
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai import OpenAI
from websockets.sync.client import connect

from api.routes import provenance
from audio.decode import decode_audio
from audio.encode import encode_audio
from audio.frames import SAMPLE_RATE
from audio.generated import SpeechEncoder, model_in_tags
from audio.watermark import watermarked
from settings import Settings
from tests.audio.media import recording
from tests.tiny_server import TinyServer, ready
from voices.recordings import place_among

# The tiny model shouts: unless it is softer, full scale clips what the mark adds.
SPEECH: dict[str, Any] = {
    "model": "tiny",
    "input": "Hello.",
    "volume": -20,
    "seed": 1,
    "temperature": 0,
    "max_tokens": 60,
}
CHAT: dict[str, Any] = {
    "model": "tiny",
    "modalities": ["text", "audio"],
    "audio": {"voice": "default", "format": "flac", "volume": -20},
    "messages": [{"role": "user", "content": "Hello."}],
    "seed": 1,
    "temperature": 0,
    "max_completion_tokens": 60,
}
HEADER = 'mode=machine-generated, model="tiny"'


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[TinyServer]:
    with ready(
        Settings(model=str(tiny_model), device="cpu", watermark="on", max_upload_bytes=2**20)
    ) as server:
        yield server


def post(server: TinyServer, path: str = "/v1/audio/speech", **fields: Any) -> httpx.Response:
    answer = httpx.post(f"{server.url}{path}", json=fields, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer


def check(server: TinyServer, data: bytes, name: str = "a.wav") -> Any:
    client = OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    return client.content_provenance_checks.create(file=(name, data))


def test_speech_is_marked_and_its_answer_says_so(server: TinyServer, tiny_server: TinyServer) -> None:
    plain = decode_audio(post(tiny_server, **SPEECH, response_format="flac").content)
    expected = encode_audio(np.concatenate(list(watermarked([plain]))), "pcm").data
    streamed, whole = (post(server, **SPEECH, response_format="flac", stream=each) for each in (True, False))
    events = post(server, **SPEECH, response_format="flac", stream_format="sse")
    lines = [json.loads(line[6:]) for line in events.text.splitlines() if line.startswith("data: {")]
    joined = b"".join(base64.b64decode(line["audio"]) for line in lines if "audio" in line)
    batch = post(server, "/v1/audio/speech/batch", items=[SPEECH | {"response_format": "flac"}])
    (item,) = batch.json()["results"]
    chat, preview = (
        post(server, "/v1/chat/completions", **CHAT),
        httpx.get(f"{server.url}/v1/audio/voices/default/preview?text=Hello.", timeout=120),
    )
    data = chat.json()["choices"][0]["message"]["audio"]["data"]
    files = [streamed.content, whole.content, joined, *map(base64.b64decode, (item["audio_data"], data))]
    for file in files:
        got = np.frombuffer(encode_audio(decode_audio(file), "pcm").data, "<i2").astype(int)
        # A waveform codec rounds each cut of a stream its own way.
        assert np.abs(got - np.frombuffer(expected, "<i2")).max() <= 4
        assert model_in_tags(file) == "tiny"
    assert model_in_tags(preview.content) == "tiny"
    for answer in (streamed, whole, events, batch, chat, preview):
        assert answer.headers["ai-disclosure"] == HEADER


def test_answers_without_speech_claim_nothing(server: TinyServer) -> None:
    refused = httpx.post(f"{server.url}/v1/audio/speech", json=SPEECH | {"voice": "nobody"}, timeout=60)
    for answer in (httpx.get(f"{server.url}/v1/models"), refused):
        assert "ai-disclosure" not in answer.headers


def test_sockets_that_speak_say_so(server: TinyServer) -> None:
    address = server.url.replace("http", "ws", 1)
    for path in ("/v1/audio/speech/stream", "/v1/realtime?model=tiny"):
        with connect(address + path) as socket:
            assert socket.response is not None
            assert socket.response.headers["ai-disclosure"] == HEADER
    with connect(f"{address}/v1/realtime?intent=transcription") as socket:
        assert socket.response is not None and "ai-disclosure" not in socket.response.headers


def test_the_kept_copy_of_an_answer_is_unmarked(server: TinyServer, tiny_server: TinyServer) -> None:
    copies = []
    for each in (server, tiny_server):
        id = post(each, "/v1/chat/completions", **CHAT).json()["choices"][0]["message"]["audio"]["id"]
        found = each.app.state.server.kept_audio.find("", id)
        copies.append(decode_audio(found.audio))
        assert model_in_tags(found.audio) is None
    np.testing.assert_allclose(copies[0], copies[1], atol=4 / 32_768)


def test_a_check_finds_the_mark_and_the_tag(server: TinyServer) -> None:
    found = check(server, SpeechEncoder("tiny", watermark=True).file(recording(), "opus").data, "a.opus")
    assert found.object == "content_provenance_check" and found.created_at > 1.7e9
    mark, tag = (result.model_dump() for result in found.results)
    assert (mark["type"], mark["outcome"], mark["speed"]) == ("watermark", "detected", 1.0)
    assert mark["confidence"] > 0.999999 and mark["false_alarm_probability"] < 1e-6 and mark["score"] > 8
    assert mark["spans"] == [{"start": 0.0, "end": pytest.approx(len(recording()) / SAMPLE_RATE, abs=0.05)}]
    assert (tag["type"], tag["outcome"], tag["model"]) == ("metadata", "detected", "tiny")


def test_a_check_of_another_recording_finds_neither(server: TinyServer) -> None:
    found = check(server, encode_audio(recording()[: 3 * SAMPLE_RATE], "mp3").data)
    mark, tag = (result.model_dump() for result in found.results)
    assert (mark["outcome"], mark["confidence"], mark["spans"]) == ("not_detected", 0.0, [])
    assert (tag["outcome"], tag["model"]) == ("not_detected", None)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"no sound at all", "audio_undecodable"),
        (encode_audio(recording()[:9_000], "wav").data, "audio_too_short"),
        (bytes(2**20 + 1), "audio_too_large"),
        (b"", "audio_empty"),
    ],
)
def test_a_file_that_can_not_be_checked_is_refused(server: TinyServer, data: bytes, code: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        check(server, data)
    assert caught.value.status_code in (400, 413)
    assert isinstance(caught.value.body, dict)
    assert (caught.value.body["param"], caught.value.body["code"]) == ("file", code)


def test_checks_do_not_queue_in_the_threads_that_speech_needs(server: TinyServer) -> None:
    with ExitStack() as others:
        for _ in range(8):
            others.enter_context(place_among(provenance.ADMITTED))
        with pytest.raises(openai.RateLimitError, match="Too many recordings") as caught:
            check(server, b"no sound at all")
    assert int(caught.value.response.headers["retry-after"]) > 0


def test_a_check_needs_a_form_with_a_file(server: TinyServer) -> None:
    url = f"{server.url}/v1/content_provenance_checks"
    assert httpx.post(url, json={"file": "a"}).status_code == 415
    missing = httpx.post(url, files={"other": io.BytesIO(b"a")})
    assert (missing.status_code, missing.json()["error"]["param"]) == (400, "file")
