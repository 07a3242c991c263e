"""Whatever a client sends: a clear 4xx that names the field and the fault, and a server that goes on."""

import base64
import gzip
import struct
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from openai import BadRequestError, OpenAI

from audio.decode import decode_audio
from tests.audio.media import float_wav, media, recording, silent_film, sound_file
from tests.tiny_server import TinyServer

AUDIO_FIELD = "messages[0].content[1].input_audio.data"
TEXT_FIELD = "messages[0].content"


def chat(text: Any = "Good morning.", recordings: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """A chat body; with recordings (base64) their voice is to be cloned."""
    content: Any = text
    if recordings:
        parts = [
            {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}} for data in recordings
        ]
        content = [{"type": "text", "text": text}, *parts]
    audio = {"voice": "clone" if recordings else "default", "format": "wav"}
    body = {"model": "higgs-audio", "messages": [{"role": "user", "content": content}], "audio": audio}
    return body | {"modalities": ["text", "audio"], "max_tokens": 20, "seed": 1} | fields


def with_audio(data: bytes) -> dict[str, Any]:
    return chat(recordings=(base64.b64encode(data).decode(),))


def send(server: TinyServer, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=120)


def check_refused(response: httpx.Response, status: int, param: str | None, code: str) -> None:
    """Check the answer against OpenAI's error shape, and that it is this very error."""
    body = response.json()
    assert body.keys() == {"error"}, body
    error = body["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (response.status_code, error["type"]) == (status, "invalid_request_error")
    assert (error["param"], error["code"]) == (param, code)
    assert len(error["message"]) > 10
    assert response.headers["x-request-id"]


def check_answers(server: TinyServer, body: dict[str, Any]) -> None:
    response = send(server, body)
    assert response.status_code == 200, response.text
    audio = base64.b64decode(response.json()["choices"][0]["message"]["audio"]["data"])
    assert len(decode_audio(audio)) > 0


SPEECH = sound_file("wav")
NAN_AT_THE_END = np.where(np.arange(len(recording())) > len(recording()) - 9, np.nan, recording())
# Made where they are needed: each worker collects this file.
BAD_AUDIO: dict[str, tuple[Callable[[], bytes], str]] = {
    "an empty file": (lambda: b"", "audio_empty"),
    "a letter": (lambda: b"Dear sir, this is a letter and no recording.\n" * 40, "audio_undecodable"),
    "JSON": (lambda: b'{"voice": "me"}' * 100, "audio_undecodable"),
    "noise": (lambda: np.random.default_rng(0).bytes(50_000), "audio_undecodable"),
    "a truncated MP3": (lambda: sound_file("mp3")[: len(sound_file("mp3")) // 2], "audio_truncated"),
    "the head of an MP3": (lambda: sound_file("mp3")[:2_000], "audio_truncated"),
    "a truncated WAV": (lambda: SPEECH[: len(SPEECH) // 2], "audio_truncated"),
    "a truncated M4A": (lambda: sound_file("m4a")[:-2_000], "audio_truncated"),
    "a film without sound": (silent_film, "audio_no_sound_track"),
    "a fifth of a second": (lambda: float_wav(recording()[24_000:28_800]), "audio_too_short"),
    "digital silence": (lambda: float_wav(np.zeros(72_000, np.float32)), "audio_silent"),
    "a WAV header only": (lambda: SPEECH[:36] + b"data" + struct.pack("<I", 0), "audio_empty"),
    "NaN samples": (lambda: float_wav(NAN_AT_THE_END), "audio_not_finite"),
    "infinite samples": (
        lambda: float_wav(np.where(np.arange(48_000) == 5, np.inf, 0.1)),
        "audio_not_finite",
    ),
    "hours of silence": (
        lambda: media("flac", "flac", 24_000, samples=np.zeros(24_000 * 700, np.float32)),
        "audio_too_long",
    ),
}


@pytest.mark.parametrize("name", BAD_AUDIO)
def test_a_recording_that_can_not_be_cloned(tiny_server: TinyServer, name: str) -> None:
    data, code = BAD_AUDIO[name]
    check_refused(send(tiny_server, with_audio(data())), 400, AUDIO_FIELD, code)
    check_answers(tiny_server, with_audio(SPEECH))


@pytest.mark.parametrize("value", ["not base64 at all!", "QUJDR", "https://example.com/voice.wav"])
def test_what_is_not_base64(tiny_server: TinyServer, value: str) -> None:
    check_refused(send(tiny_server, chat(recordings=(value,))), 400, AUDIO_FIELD, "invalid_base64")
    check_answers(tiny_server, with_audio(SPEECH))


@pytest.mark.parametrize(
    ("mebibytes", "param", "code"),
    [
        (26, AUDIO_FIELD, "audio_too_large"),
        (50, AUDIO_FIELD, "audio_too_large"),
        (60, "body", "payload_too_large"),  # refused while it comes in, before its fields are known
    ],
)
def test_a_recording_too_large(tiny_server: TinyServer, mebibytes: int, param: str | None, code: str) -> None:
    check_refused(send(tiny_server, with_audio(bytes(mebibytes * 2**20))), 413, param, code)
    check_answers(tiny_server, with_audio(SPEECH))


def test_two_recordings(tiny_server: TinyServer) -> None:
    speech, other = (base64.b64encode(data).decode() for data in (SPEECH, sound_file("mp3")))
    response = send(tiny_server, chat(recordings=(speech, other)))
    check_refused(response, 400, "messages[0].content[2].input_audio.data", "multiple_references")
    check_answers(tiny_server, with_audio(SPEECH))


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Good morning."} | fields]}


BAD_FIELDS: dict[str, tuple[dict[str, Any], int, str | None, str]] = {
    "an empty text": (chat(""), 400, TEXT_FIELD, "text_empty"),
    "white space": (chat(" \n\t "), 400, TEXT_FIELD, "text_empty"),
    "control characters": (chat("\x00\x07"), 400, TEXT_FIELD, "text_empty"),
    "emoji only": (chat("👍🎉"), 400, TEXT_FIELD, "text_empty"),
    "special tokens only": (chat("<|eot_id|><|audio_out_bos|>"), 400, TEXT_FIELD, "text_empty"),
    "no content": (chat(None), 400, TEXT_FIELD, "text_empty"),
    "a text of 100,000 characters": (chat("word " * 20_000), 413, TEXT_FIELD, "text_too_long"),
    "no user message": (chat(messages=[{"role": "system", "content": "Hi."}]), 400, "messages", "text_empty"),
    "no messages": (chat(messages=[]), 400, "messages", "invalid_value"),
    "messages of a wrong type": (chat(messages="Hi."), 400, "messages", "invalid_type"),
    "an unknown role": (chat(**message(role="king")), 400, "messages[0].role", "invalid_value"),
    "an unknown format": (chat(audio={"format": "ogg"}), 400, "audio.format", "invalid_value"),
    "a format of a wrong type": (chat(audio={"format": 7}), 400, "audio.format", "invalid_value"),
    "audio of a wrong type": (chat(audio="wav"), 400, "audio", "invalid_type"),
    "a voice that is not there": (chat(audio={"voice": "nobody"}), 404, "audio.voice", "voice_not_found"),
    "a voice id that is not there": (
        chat(audio={"voice": {"id": "voice_x"}}),
        404,
        "audio.voice",
        "voice_not_found",
    ),
    "a voice of a wrong type": (chat(audio={"voice": 5}), 400, "audio.voice", "invalid_type"),
    "an unknown model": (chat(model="gpt-4o"), 404, "model", "model_not_found"),
    "a model of a wrong type": (chat(model=["higgs-audio"]), 400, "model", "invalid_type"),
    "a negative temperature": (chat(temperature=-1), 400, "temperature", "invalid_value"),
    "a temperature of a wrong type": (chat(temperature="hot"), 400, "temperature", "invalid_type"),
    "a top_p of zero": (chat(top_p=0), 400, "top_p", "invalid_value"),
    "a seed of a wrong type": (chat(seed="lucky"), 400, "seed", "invalid_type"),
    "no tokens": (chat(max_tokens=0), 400, "max_tokens", "invalid_value"),
    "an unknown modality": (chat(modalities=["smell"]), 400, "modalities[0]", "invalid_value"),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_a_field_that_is_wrong(tiny_server: TinyServer, name: str) -> None:
    body, status, param, code = BAD_FIELDS[name]
    check_refused(send(tiny_server, body), status, param, code)
    check_answers(tiny_server, chat())


@pytest.mark.parametrize(
    ("part", "param", "code"),
    [
        ({"type": "image_url", "image_url": {"url": "x"}}, "messages[0].content[0].type", "unsupported"),
        ({"type": "file", "file": {"file_id": "x"}}, "messages[0].content[0].type", "unsupported"),
        ({"type": "video", "video": {"url": "x"}}, "messages[0].content[0].type", "invalid_value"),
        ({"type": "text"}, "messages[0].content[0]", "invalid_value"),
        ({"type": "input_audio"}, "messages[0].content[0]", "invalid_value"),
        (
            {"type": "input_audio", "input_audio": {"format": "wav"}},
            "messages[0].content[0].input_audio.data",
            "missing_required_parameter",
        ),
        (
            {"type": "input_audio", "input_audio": {"data": 7, "format": "wav"}},
            "messages[0].content[0].input_audio.data",
            "invalid_type",
        ),
        ("words", "messages[0].content[0]", "invalid_type"),
    ],
)
def test_a_content_part_that_is_wrong(tiny_server: TinyServer, part: Any, param: str, code: str) -> None:
    check_refused(send(tiny_server, chat([part])), 400, param, code)
    check_answers(tiny_server, chat())


@pytest.mark.parametrize("field", ["model", "messages"])
def test_a_field_that_is_missing(tiny_server: TinyServer, field: str) -> None:
    body = chat()
    del body[field]
    check_refused(send(tiny_server, body), 400, field, "missing_required_parameter")
    check_answers(tiny_server, chat())


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"", "application/json", 400, "missing_required_parameter"),
        (b'{"model": ', "application/json", 400, "invalid_json"),
        (b"\xff\xfe\x00", "application/json", 400, "invalid_json"),
        ('{"model": "é"}'.encode("latin-1"), "application/json", 400, "invalid_json"),
        (gzip.compress(b'{"model": "tiny"}', mtime=0), "application/json", 400, "invalid_json"),
        (b"[]", "application/json", 400, "invalid_type"),
        (b"null", "application/json", 400, "invalid_type"),
        (b"model=higgs-audio", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"Good morning.", "text/plain", 415, "unsupported_media_type"),
    ],
)
def test_a_body_that_is_no_json_object(
    tiny_server: TinyServer, content: bytes, kind: str, status: int, code: str
) -> None:
    url = f"{tiny_server.url}/v1/chat/completions"
    response = httpx.post(url, content=content, headers={"content-type": kind})
    check_refused(response, status, None, code)
    check_answers(tiny_server, chat())


def test_a_body_of_too_many_values_is_refused(tiny_server: TinyServer) -> None:
    url = f"{tiny_server.url}/v1/chat/completions"
    response = httpx.post(url, content=b"[" * 100_000, headers={"content-type": "application/json"})
    check_refused(response, 413, "body", "payload_too_large")


def test_the_sdk_raises_its_own_exception_with_our_code(client: OpenAI) -> None:
    create: Callable[..., Any] = client.chat.completions.create
    with pytest.raises(BadRequestError) as caught:
        create(**with_audio(BAD_AUDIO["digital silence"][0]()))
    assert (caught.value.code, caught.value.param) == ("audio_silent", AUDIO_FIELD)
