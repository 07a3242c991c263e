"""POST /v1/audio/speech, by the official SDK and plain HTTP: decoded and measured, whole and streamed."""

import base64
import json
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai import OpenAI

from audio.decode import decode_audio
from tests.api.test_chat import NOT_AUDIO, RECORDING
from tests.audio.test_decode import correlation
from tests.tiny_server import TinyServer

SECONDS = 92 * 0.04  # of 100 columns, 8 of which the delay takes
REQUEST: dict[str, Any] = {"model": "tiny", "input": "Hello world.", "voice": "alloy"}
SAMPLING: dict[str, Any] = {"seed": 1, "temperature": 0, "max_tokens": 100}
# How a stream is cut hangs on the machine's speed, and a waveform codec rounds each cut its own way.
CHUNKING = 2 / 32_768
TYPES = {
    "mp3": ("audio/mpeg", b"ID3"),
    "opus": ("audio/ogg", b"OggS"),
    "aac": ("audio/aac", b"ID3"),
    "flac": ("audio/flac", b"fLaC"),
    "wav": ("audio/wav", b"RIFF"),
    "pcm": ("audio/pcm", b""),
}


def post(server: TinyServer, **fields: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/audio/speech", json=REQUEST | SAMPLING | fields, timeout=60)


def spoken(server: TinyServer, **fields: Any) -> np.ndarray:
    response = post(server, **({"response_format": "flac"} | fields))
    assert response.status_code == 200, response.text
    return decoded(response.content, response.headers["content-type"])


def decoded(data: bytes, content_type: str) -> np.ndarray:
    if content_type == "audio/pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32_768
    return decode_audio(data)


@pytest.mark.parametrize("format", TYPES)
def test_every_format_streamed_and_whole(client: OpenAI, tiny_server: TinyServer, format: Any) -> None:
    content_type, magic = TYPES[format]
    with client.audio.speech.with_streaming_response.create(
        **REQUEST, response_format=format, extra_body=SAMPLING
    ) as response:
        pieces = list(response.iter_bytes())
    assert response.headers["content-type"] == content_type
    assert response.headers["x-voice-used"] == "default" and "content-length" not in response.headers
    assert len(pieces) > 1 and pieces[0].startswith(magic)
    at_once = post(tiny_server, response_format=format, stream=False)
    assert int(at_once.headers["content-length"]) == len(at_once.content)
    streamed, whole = (decoded(data, content_type) for data in (b"".join(pieces), at_once.content))
    assert len(streamed) / 24_000 == pytest.approx(SECONDS, abs=0.08)
    assert len(whole) / 24_000 == pytest.approx(SECONDS, abs=0.05)
    assert correlation(streamed, whole) > 0.95


def test_mp3_is_the_default_and_the_samples_are_those_of_a_chat(client: OpenAI) -> None:
    answer = client.audio.speech.create(**REQUEST, extra_body=SAMPLING)
    assert answer.response.headers["content-type"] == "audio/mpeg"
    lossless = client.audio.speech.create(**REQUEST, response_format="pcm", extra_body=SAMPLING)
    chat = client.chat.completions.create(
        model="tiny",
        audio={"voice": "alloy", "format": "pcm16"},
        messages=[{"role": "user", "content": "Hello world."}],
        extra_body=SAMPLING,
    )
    audio = chat.choices[0].message.audio
    assert audio is not None
    ours, theirs = (
        np.frombuffer(data, "<i2").astype(int) for data in (lossless.content, base64.b64decode(audio.data))
    )
    np.testing.assert_allclose(ours, theirs, atol=1)


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n") if event]


def test_events_of_a_speech(tiny_server: TinyServer) -> None:
    response = post(tiny_server, stream_format="sse", response_format="pcm")
    assert response.headers["content-type"].startswith("text/event-stream")
    *deltas, done = events_of(response.text)
    assert {event["type"] for event in deltas} == {"speech.audio.delta"} and len(deltas) > 2
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["output_tokens"] == 92 and done["quality"]["takes"] == 1
    assert done["finish_reason"] == "length"  # the model of the tests never ends by itself
    assert done["usage"]["total_tokens"] == done["usage"]["input_tokens"] + 92
    data = base64.b64decode("".join(event["audio"] for event in deltas), validate=True)
    np.testing.assert_allclose(
        decoded(data, "audio/pcm"), spoken(tiny_server, response_format="pcm"), atol=CHUNKING
    )


def test_a_file_that_a_limit_cut_off_is_told(tiny_server: TinyServer) -> None:
    cut = post(tiny_server, response_format="pcm", stream=False)
    assert cut.headers["x-finish-reason"] == "length" and "too_" in cut.headers["x-faults"]


@pytest.mark.parametrize("speed", [0.25, 0.5, 2, 4.0])
@pytest.mark.parametrize("stream", [True, False])
def test_speed_changes_the_length(tiny_server: TinyServer, speed: float, stream: bool) -> None:
    samples = spoken(tiny_server, speed=speed, stream=stream)
    assert len(samples) / 24_000 == pytest.approx(SECONDS / speed, abs=0.1)


def test_a_recording_is_cloned_whatever_the_voice_is_called(tiny_server: TinyServer) -> None:
    default = spoken(tiny_server)
    cloned = spoken(tiny_server, ref_audio=RECORDING)
    assert post(tiny_server, ref_audio=RECORDING).headers["x-voice-used"] == "clone"
    again = spoken(tiny_server, ref_audio=RECORDING, voice="clone")
    np.testing.assert_allclose(cloned, again, atol=CHUNKING)
    with_words = spoken(tiny_server, ref_audio="data:audio/wav;base64," + RECORDING, ref_text="The words.")
    assert not np.array_equal(cloned, default) and not np.array_equal(cloned, with_words)


@pytest.mark.parametrize("fields", [{}, {"stream": False}, {"stream_format": "sse"}])
def test_the_seed_that_was_drawn_gives_the_same_audio_again(
    tiny_server: TinyServer, fields: dict[str, Any]
) -> None:
    drawn = post(tiny_server, seed=None, temperature=1, response_format="pcm", **fields)
    seed = int(drawn.headers["x-seed"])
    again = post(tiny_server, seed=seed, temperature=1, response_format="pcm", **fields)
    np.testing.assert_allclose(pcm_of(again), pcm_of(drawn), atol=CHUNKING)
    assert int(again.headers["x-seed"]) == seed


def pcm_of(response: httpx.Response) -> np.ndarray:
    """The samples of an answer in PCM, whether it came as events or as bytes."""
    data = response.content
    if response.headers["content-type"].startswith("text/event-stream"):
        events = events_of(response.text)[:-1]
        data = base64.b64decode("".join(event["audio"] for event in events), validate=True)
    return decoded(data, "audio/pcm")


@pytest.mark.parametrize("model", ["higgs-audio", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"])
def test_an_untouched_client_is_served(client: OpenAI, model: str) -> None:
    fields = REQUEST | {"model": model, "voice": "nova"}
    assert client.audio.speech.create(**fields, extra_body=SAMPLING).content.startswith(b"ID3")


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"model": "gpt-4o"}, 404, "model_not_found", "model"),
        ({"input": ""}, 400, "text_empty", "input"),
        ({"input": "👍"}, 400, "text_empty", "input"),
        ({"input": None}, 400, "invalid_type", "input"),
        ({"input": "word " * 1_000}, 413, "text_too_long", "input"),
        ({"voice": "nobody"}, 404, "voice_not_found", "voice"),
        ({"voice": {"id": "voice_x"}}, 404, "voice_not_found", "voice"),
        ({"voice": "clone"}, 400, "missing_required_parameter", "ref_audio"),
        ({"ref_audio": NOT_AUDIO}, 400, "audio_undecodable", "ref_audio"),
        ({"ref_audio": "no base64!"}, 400, "invalid_base64", "ref_audio"),
        ({"response_format": "ogg"}, 400, "invalid_value", "response_format"),
        ({"stream_format": "websocket"}, 400, "invalid_value", "stream_format"),
        ({"speed": 0.2}, 400, "invalid_value", "speed"),
        ({"speed": 4.1}, 400, "invalid_value", "speed"),
        ({"speed": "fast"}, 400, "invalid_type", "speed"),
        ({"temperature": 3}, 400, "invalid_value", "temperature"),
        ({"max_tokens": 1}, 400, "invalid_value", "max_tokens"),
    ],
)
def test_bad_fields_are_named(
    tiny_server: TinyServer, fields: dict[str, Any], status: int, code: str, param: str
) -> None:
    response = post(tiny_server, **fields)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)


def test_errors_are_the_sdk_s_exceptions(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as error:
        client.audio.speech.create(**REQUEST | {"voice": "nobody"})
    assert error.value.code == "voice_not_found" and "alloy" in error.value.message


def test_the_model_stops_when_the_client_leaves(endless_server: TinyServer) -> None:
    body = REQUEST | {"max_tokens": 8_000, "response_format": "pcm"}
    url = f"{endless_server.url}/v1/audio/speech"
    with httpx.stream("POST", url, json=body, timeout=60) as response:
        assert next(response.iter_raw())
    assert post(endless_server, max_tokens=20).status_code == 200


def test_a_file_that_breaks_off_is_no_whole_response(endless_server: TinyServer) -> None:
    body = REQUEST | {"max_tokens": 8_000, "response_format": "pcm"}
    url = f"{endless_server.url}/v1/audio/speech"
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("POST", url, json=body, timeout=60) as response,
    ):
        for _ in response.iter_raw():
            endless_server.app.state.server.cloner.close()


@pytest.mark.parametrize("temperature", [1e-39, 1e-6])
def test_a_temperature_too_small_to_divide_by_takes_the_likeliest(
    tiny_server: TinyServer, temperature: float
) -> None:
    """A kind of fault: a value within its limits that becomes infinite on the way."""
    cold = spoken(tiny_server, input="Hello.", temperature=temperature)
    np.testing.assert_array_equal(cold, spoken(tiny_server, input="Hello.", temperature=0))
