"""What clients send, as their servers document it: served as it stands, or refused with a message to read."""

import base64
import json
from typing import Any, get_args

import httpx
import numpy as np
import openai
import pytest
from openai import OpenAI
from openai.types import AudioModel, ChatModel
from openai.types.audio import SpeechModel

from errors import MAX_QUOTED
from tests.api.test_chat import RECORDING, answer, ask, audio_of, refusal, said
from tests.api.test_speech import post, spoken
from tests.audio.media import float_wav, sentence, sound_file
from tests.tiny_server import TinyServer

CLONE = {"voice": "clone", "format": "wav"}
HALF = "Hello \ud83d world"
AUDIO_NAMES = sorted(
    {
        *(name for name in get_args(ChatModel) if "audio" in name),
        *get_args(SpeechModel),
        *get_args(AudioModel),
    }
)
NEXT_YEAR = ("gpt-audio-1.5", "gpt-audio-2-2027-03-01", "gpt-6-mini-tts", "tts-2-hd", "gpt-realtime-2.1-mini")
OTHERS = ("gpt-4o", "gpt-5.2", "o3", "audio", "tts", "whisper", "my-tts-1", "gpt-audio\n", "x" * 5_000, "")


def test_the_specification_s_own_request(tiny_server: TinyServer) -> None:
    message = said("Say this in my voice: Hello world", RECORDING)
    modalities = ["text", "audio"]
    body = answer(
        tiny_server, message, model="gpt-4o-audio-preview", modalities=modalities, audio=CLONE, temperature=0
    )
    assert body["model"] == "tiny" and body["voice"]["used"] == "clone"
    assert body["choices"][0]["message"]["audio"]["transcript"] == "Hello world"


@pytest.mark.parametrize("name", [*AUDIO_NAMES, *NEXT_YEAR, "openai/gpt-4o-mini-tts"])
def test_a_name_of_openai_s_audio_models_is_served(tiny_server: TinyServer, name: str) -> None:
    """Kind: names that the SDK documents, and those of next year; one rule for every route."""
    found = httpx.get(f"{tiny_server.url}/v1/models/{name}")
    assert (found.status_code, found.json().get("id")) == (200, "tiny")


@pytest.mark.parametrize(
    "name", ["gpt-4o-audio-preview", "tts-1", "gpt-4o-transcribe-diarize", "gpt-audio-3"]
)
def test_every_route_knows_the_same_names(client: OpenAI, tiny_server: TinyServer, name: str) -> None:
    assert answer(tiny_server, said("Hi."), model=name, max_completion_tokens=20)["model"] == "tiny"
    assert post(tiny_server, model=name, max_tokens=20).headers["x-model-used"] == "tiny"
    file = ("me.wav", float_wav(sentence()))
    assert client.audio.transcriptions.create(model=name, file=file).text


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_of_nothing_here_is_unknown(client: OpenAI, tiny_server: TinyServer, name: str) -> None:
    assert refusal(tiny_server, said("Hi."), model=name) == (404, "model_not_found", "model")
    assert post(tiny_server, model=name).status_code == 404
    if name and name.isprintable():
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve(name)


def test_null_means_unset(tiny_server: TinyServer) -> None:
    """Kind: typed clients send every field, and null where nobody set one."""
    unset = dict.fromkeys(("voice", "format", "speed", "fallback", "ref_text", "voices"))
    nulls = dict.fromkeys(
        ("stream", "strip_instruction", "n", "modalities", "instructions", "top_k", "tools")
    )
    body = answer(tiny_server, said("Say this: Hi."), audio=unset, temperature=0, **nulls)
    assert audio_of(body) == audio_of(answer(tiny_server, said("Say this: Hi."), temperature=0))
    fields = ("voice", "speaker", "response_format", "stream_format", "stream", "references", "language")
    response = post(tiny_server, **dict.fromkeys(fields))
    assert response.status_code == 200 and response.headers["content-type"] == "audio/mpeg"
    refused = ask(tiny_server, said("Hi."), model=None).json()["error"]
    assert refused["param"] == "model"


def test_seeds_of_every_client(tiny_server: TinyServer) -> None:
    """-1 is a random seed in most interfaces; any other is one that gives the same audio again."""
    one, two = (answer(tiny_server, said("Hi."), seed=-1, temperature=1.0) for _ in range(2))
    assert one["seed"] >= 0 and one["seed"] != two["seed"]
    again = [answer(tiny_server, said("Hi."), seed=-7, temperature=1.0) for _ in range(2)]
    assert audio_of(again[0]) == audio_of(again[1])
    same = answer(tiny_server, said("Hi."), seed=again[0]["seed"], temperature=1.0)
    assert audio_of(same) == audio_of(again[0])


def test_parts_that_other_servers_and_models_write(tiny_server: TinyServer) -> None:
    url = {"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{RECORDING}"}}
    message = {"role": "user", "content": [{"type": "text", "text": "Hi."}, url]}
    body = answer(tiny_server, message, audio=CLONE, temperature=0)
    assert audio_of(body) == audio_of(answer(tiny_server, said("Hi.", RECORDING), audio=CLONE, temperature=0))
    no = {"role": "assistant", "content": [{"type": "refusal", "refusal": "I won't."}]}
    assert answer(tiny_server, said("Hi."), no, said("Hi."))["choices"]
    elsewhere = {"type": "audio_url", "audio_url": {"url": "https://example.org/me.wav"}}
    message = {"role": "user", "content": [{"type": "text", "text": "Hi."}, elsewhere]}
    param = "messages[0].content[1].audio_url.url"
    assert refusal(tiny_server, message, audio=CLONE) == (400, "invalid_base64", param)


def test_the_same_recording_in_every_turn_is_one(tiny_server: TinyServer) -> None:
    """Kind: a chat's history is sent again with each turn."""
    turns = [said("One.", RECORDING), said("Two.", f"data:audio/wav;base64,{RECORDING}")]
    body = answer(tiny_server, *turns, audio=CLONE, temperature=0)
    assert audio_of(body) == audio_of(
        answer(tiny_server, said("Two.", RECORDING), audio=CLONE, temperature=0)
    )
    other = base64.b64encode(sound_file("mp3")).decode()
    assert refusal(tiny_server, *turns, said("Three.", other), audio=CLONE)[1] == "multiple_references"
    both = said("[SPEAKER0] One. [SPEAKER1] Two.", RECORDING, RECORDING)
    assert answer(tiny_server, both, audio=CLONE)["voice"]["used"] == "clone, clone"


@pytest.mark.parametrize(
    "fields",
    [
        {"ref_audio": RECORDING.translate(str.maketrans("+/", "-_")).rstrip("=")},
        {"ref_audio": [RECORDING]},
        {"references": [{"audio_path": f"data:audio/wav;base64,{RECORDING}"}]},
        {"references": [{"data": RECORDING, "media_type": "audio/wav"}], "task_type": "Base"},
    ],
)
def test_a_recording_to_clone_however_it_is_sent(tiny_server: TinyServer, fields: dict[str, Any]) -> None:
    expected = spoken(tiny_server, ref_audio=RECORDING, stream=False)
    response = post(tiny_server, response_format="flac", **fields)
    assert response.headers["x-voice-used"] == "clone"
    np.testing.assert_array_equal(spoken(tiny_server, stream=False, **fields), expected)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"ref_audio": [RECORDING, RECORDING]}, "unsupported", "ref_audio"),
        ({"references": [{"text": "Hi."}]}, "invalid_value", "references[0]"),
        ({"references": [{"data": RECORDING}] * 2}, "invalid_value", "references"),
        ({"references": [{"audio_path": "/tmp/me.wav"}]}, "invalid_base64", "references[0].audio_path"),
        ({"references": [{"vq_codes": [[1]]}]}, "unsupported", "references[0].vq_codes"),
        ({"task_type": "VoiceDesign", "instructions": "low"}, "unsupported", "task_type"),
        ({"task_type": "Base"}, "missing_required_parameter", "ref_audio"),
        ({"speaker": "nobody", "voice": None}, "voice_not_found", "voice"),
        ({"speaker_embedding": [0.1]}, "unsupported", "speaker_embedding"),
        ({"reference_id": "me"}, "unsupported", "reference_id"),
    ],
)
def test_what_asks_for_a_voice_is_served_or_refused(
    tiny_server: TinyServer, fields: dict[str, Any], code: str, param: str
) -> None:
    """Kind: a field that asks for a voice must never be passed over, and the default voice speak instead."""
    fields = fields if "voice" in fields else {"voice": "default", **fields}
    response = post(tiny_server, **fields)
    error = response.json()["error"]
    assert (response.status_code in (400, 404), error["code"], error["param"]) == (True, code, param)


LONG = "A" * 200_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", {"messages": [said("Hi.")], "audio": {"voice": LONG}}),
        ("chat/completions", {"messages": [said("Hi.")], "model": LONG}),
        ("chat/completions", {"messages": [said("Hi."), {"role": "assistant", "audio": {"id": LONG}}]}),
        ("chat/completions", {"messages": [{"role": LONG, "content": "Hi."}]}),
        ("audio/speech", {"input": "Hi.", "voice": LONG}),
        ("audio/speech", {"input": "Hi.", "language": LONG, "voice": "nobody"}),
        ("audio/speech", {"input": f"[SPEAKER{'9' * 4_000}] [pause {'9' * 4_000}s] Hi."}),
        ("audio/speech", {"input": "Hi.", "response_format": LONG}),
        ("audio/speech/batch", {"items": [{"input": "Hi.", "voice": LONG}]}),
    ],
)
def test_a_message_repeats_no_more_than_a_line(
    tiny_server: TinyServer, path: str, body: dict[str, Any]
) -> None:
    response = httpx.post(f"{tiny_server.url}/v1/{path}", json={"model": "tiny", **body}, timeout=60)
    answer = response.json()
    error = answer["error"] if "error" in answer else answer["results"][0]["error"]
    assert error is None or len(max(error["message"].split(), key=len)) <= MAX_QUOTED + 10
    assert len(response.text) < 2_000 or path.endswith("batch")


def test_a_field_of_a_long_name_is_not_repeated(tiny_server: TinyServer) -> None:
    response = httpx.patch(f"{tiny_server.url}/v1/audio/voices/voice_1", json={LONG: 1})
    assert response.status_code == 400 and len(response.text) < 1_000


TEXTS: list[tuple[str, str, dict[str, Any], str | None]] = [
    (
        "POST",
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": HALF}]},
        "messages[0].content",
    ),
    ("POST", "/v1/chat/completions", {"messages": [said("Hi.")], "model": HALF}, "model"),
    ("POST", "/v1/chat/completions", {"messages": [said("Hi.")], "instructions": HALF}, "instructions"),
    ("POST", "/v1/chat/completions", {"messages": [said("Hi.")], "audio": {"voice": HALF}}, "audio.voice"),
    (
        "POST",
        "/v1/chat/completions",
        {"messages": [said("Hi.")], "audio": {"ref_text": HALF}},
        "audio.ref_text",
    ),
    (
        "POST",
        "/v1/chat/completions",
        {"messages": [said("Hi.", HALF)]},
        "messages[0].content[1].input_audio.data",
    ),
    ("POST", "/v1/audio/speech", {"input": HALF}, "input"),
    ("POST", "/v1/audio/speech", {"input": "Hi.", "voice": {"id": HALF}}, "voice"),
    ("POST", "/v1/audio/speech", {"input": "Hi.", "voices": [HALF]}, "voices[0]"),
    ("POST", "/v1/audio/speech", {"input": "Hi.", "response_format": HALF}, "response_format"),
    ("POST", "/v1/audio/speech", {"input": "Hi.", HALF: 1}, None),
    ("PATCH", "/v1/audio/voices/voice_1", {"name": HALF}, "name"),
    ("PATCH", "/v1/audio/voices/voice_1", {"ref_text": HALF}, "ref_text"),
    ("POST", "/v1/audio/voice_consents/cons_1", {"name": HALF}, "name"),
    ("POST", "/api/public/voice/onboarding/test/voice_1", {"text": HALF}, "text"),
]


@pytest.mark.parametrize(("method", "path", "body", "param"), TEXTS)
def test_half_an_emoji_is_refused_by_its_field(
    tiny_server: TinyServer, method: str, path: str, body: dict[str, Any], param: str | None
) -> None:
    """Kind: JSON can hold what no text can; found where it comes in, not where it breaks."""
    body = (
        {"model": "tiny", **body}
        if method == "POST" and path.startswith(("/v1/chat", "/v1/audio/sp"))
        else body
    )
    content, headers = json.dumps(body), {"content-type": "application/json"}
    response = httpx.request(method, tiny_server.url + path, content=content, headers=headers, timeout=60)
    if param is None:  # nobody reads a field of that name
        assert response.status_code == 200
        return
    error = response.json()["error"]
    found = (
        error["param"].removesuffix("[0].text") if error["param"].startswith("messages") else error["param"]
    )
    assert (response.status_code, error["code"], found) == (400, "invalid_value", param)


def test_half_an_emoji_as_the_name_of_a_field(tiny_server: TinyServer) -> None:
    content, headers = json.dumps({HALF: 1}), {"content-type": "application/json"}
    url = f"{tiny_server.url}/v1/audio/voices/voice_1"
    response = httpx.patch(url, content=content, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_value")


@pytest.mark.parametrize(
    "path", ["/v1/audio/voices/%ED%A0%BD", "/v1/audio/voices/default/preview?text=%ED%A0%BD"]
)
def test_half_an_emoji_in_an_address(tiny_server: TinyServer, path: str) -> None:
    response = httpx.get(tiny_server.url + path)
    assert response.status_code in (400, 404) and response.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; charset=utf-7; boundary=b"])
def test_half_an_emoji_in_a_form_of_an_odd_charset(tiny_server: TinyServer, kind: str) -> None:
    form = b'--b\r\ncontent-disposition: form-data; name="text"\r\n\r\nHi +2D0-\r\n--b--\r\n'
    content = form if kind.startswith("multipart") else b'{"text": "\\ud83d"}'
    url = f"{tiny_server.url}/api/public/voice/onboarding/test/voice_1"
    response = httpx.post(url, content=content, headers={"content-type": kind})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "text")
