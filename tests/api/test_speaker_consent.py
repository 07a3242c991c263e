"""HIGGS_REQUIRE_CONSENT: who clones a recording says that its speaker consents; that is logged."""

import base64
import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from settings import Settings
from tests.api.realtime_client import recording_pcm
from tests.audio.media import sound_file
from tests.tiny_server import TinyServer, ready

RECORDING = sound_file("mp3")
DATA = base64.b64encode(RECORDING).decode()
SHORT: dict[str, Any] = {"temperature": 0, "seed": 1}
SPEECH: dict[str, Any] = {"model": "tiny", "input": "Hi.", "ref_audio": DATA, "max_tokens": 20, **SHORT}
JOB: dict[str, Any] = {"model": "tiny", "input": "Hi.", "ref_audio": DATA, **SHORT}
ATTESTED = {"x-speaker-consent": "true"}


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    data = tmp_path_factory.mktemp("data")
    settings = Settings(model=str(tiny_model), device="cpu", data_dir=data, require_consent=True)
    with ready(settings) as server:
        yield server


def ask(server: TinyServer, path: str, headers: dict[str, str] | None = None, **given: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", headers=headers or {}, timeout=120, **given)


def chat(**audio: Any) -> dict[str, Any]:
    part = {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}}
    content = [{"type": "text", "text": "Hi."}, part]
    return {
        "model": "tiny",
        "modalities": ["text", "audio"],
        "audio": {"voice": "clone", "format": "wav", **audio},
        "messages": [{"role": "user", "content": content}],
        "max_completion_tokens": 20,
        **SHORT,
    }


ROUTES = [
    ("/v1/audio/speech", SPEECH, "ref_audio"),
    ("/v1/audio/speech/jobs", JOB, "ref_audio"),
    ("/v1/chat/completions", chat(), "messages[0].content[1].input_audio.data"),
]


@pytest.mark.parametrize(("path", "body", "param"), ROUTES)
def test_a_clone_without_consent_is_refused(server: TinyServer, path: str, body: Any, param: str) -> None:
    for headers in ({}, {"x-speaker-consent": "false"}):
        answer = ask(server, path, headers, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (403, "consent_required", param)
        assert "x-speaker-consent: true" in error["message"] and "consent" in error["message"]


@pytest.mark.parametrize(("path", "body", "param"), ROUTES)
def test_an_attested_clone_is_spoken_and_logged(
    server: TinyServer, path: str, body: Any, param: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "consents"):
        answer = ask(server, path, ATTESTED, json=body)
    assert answer.status_code == 200, answer.text
    (noted,) = [record for record in caplog.records if record.name == "consents"]
    assert vars(noted)["details"] == {
        "owner": "anyone",
        "consent": "true",
        "recording_sha256": hashlib.sha256(RECORDING).hexdigest(),
    }


def test_the_field_says_it_too(server: TinyServer) -> None:
    assert ask(server, "/v1/audio/speech", json=SPEECH | {"consent": True}).status_code == 200
    assert ask(server, "/v1/chat/completions", json=chat(consent="true")).status_code == 200
    assert ask(server, "/v1/audio/speech", ATTESTED, json=SPEECH | {"consent": False}).status_code == 403
    items = ask(server, "/v1/audio/speech/batch", json={"items": [SPEECH, SPEECH | {"consent": True}]}).json()
    assert [item["status"] for item in items["results"]] == ["error", "success"]


def test_a_consent_recording_is_named_by_its_id(server: TinyServer) -> None:
    form: dict[str, Any] = {"data": {"name": "Ann", "language": "en"}, "files": {"recording": RECORDING}}
    id = ask(server, "/v1/audio/voice_consents", **form).json()["id"]
    assert ask(server, "/v1/audio/speech", json=SPEECH | {"consent": id}).status_code == 200
    assert ask(server, "/v1/audio/speech", {"x-speaker-consent": id}, json=SPEECH).status_code == 200
    unknown = ask(server, "/v1/audio/speech", json=SPEECH | {"consent": "cons_0"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "consent_not_found")


def test_what_is_no_attestation_is_refused(server: TinyServer) -> None:
    header = ask(server, "/v1/audio/speech", {"x-speaker-consent": "sure"}, json=SPEECH)
    assert (header.status_code, header.json()["error"]["param"]) == (400, "x-speaker-consent")
    field = ask(server, "/v1/audio/speech", json=SPEECH | {"consent": "sure"})
    assert (field.status_code, field.json()["error"]["param"]) == (400, "consent")


def test_a_kept_voice_with_its_consent_needs_no_more(server: TinyServer) -> None:
    form: dict[str, Any] = {"data": {"name": "Bea", "language": "en"}, "files": {"recording": RECORDING}}
    consent = ask(server, "/v1/audio/voice_consents", **form).json()["id"]
    for name, given in (("with", {"consent": consent}), ("without", {})):
        made = ask(
            server, "/v1/audio/voices", data={"name": name, **given}, files={"audio_sample": RECORDING}
        )
        assert made.status_code == 200, made.text
    named = {name: value for name, value in SPEECH.items() if name != "ref_audio"}
    assert ask(server, "/v1/audio/speech", json=named | {"voice": "with"}).status_code == 200
    refused = ask(server, "/v1/audio/speech", json=named | {"voice": "without"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "voice")
    assert ask(server, "/v1/audio/speech", ATTESTED, json=named | {"voice": "without"}).status_code == 200
    assert ask(server, "/v1/audio/speech", json=named).status_code == 200


def test_a_trial_of_a_new_voice_needs_consent_too(server: TinyServer) -> None:
    form: dict[str, Any] = {"data": {"sample_text": "Hi."}, "files": {"audio_file": ("cyd.mp3", RECORDING)}}
    refused = ask(server, "/api/public/voice/onboarding/clone", **form)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "consent_required")
    assert ask(server, "/api/public/voice/onboarding/clone", ATTESTED, **form).status_code == 200


def test_a_realtime_session_attests_for_a_saved_voice(server: TinyServer) -> None:
    made = ask(server, "/v1/audio/voices", data={"name": "Cyd"}, files={"audio_sample": RECORDING})
    assert made.status_code == 200, made.text
    address = server.url.replace("http", "ws", 1) + "/v1/realtime?model=tiny"
    for attested, status, expected in (({}, 403, "error"), ({"consent": True}, 200, "session.updated")):
        session = {"audio": {"output": {"voice": "Cyd"}}, **attested}
        secret = ask(server, "/v1/realtime/client_secrets", json={"session": session})
        assert secret.status_code == status, secret.text
        with connect(address) as socket:
            assert json.loads(socket.recv(timeout=120))["type"] == "session.created"
            socket.send(json.dumps({"type": "session.update", "session": session}))
            event = json.loads(socket.recv(timeout=120))
            assert event["type"] == expected, event


def test_a_realtime_session_attests_in_its_handshake_or_its_session(server: TinyServer) -> None:
    address = server.url.replace("http", "ws", 1) + "/v1/realtime?model=tiny"
    voice: dict[str, Any] = {"audio": {"output": {"voice": "clone"}}}
    pcm = base64.b64encode(recording_pcm()).decode()
    cases: list[tuple[dict[str, str], dict[str, Any], str]] = [
        ({}, {}, "error"),
        (ATTESTED, {}, "response.created"),
        ({}, {"consent": True}, "response.created"),
    ]
    for headers, session, expected in cases:
        with connect(address, additional_headers=headers) as socket:
            socket.send(json.dumps({"type": "session.update", "session": voice | session}))
            socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": pcm}))
            socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
            part = {"type": "input_text", "text": "Hi."}
            item = {"type": "message", "role": "user", "content": [part]}
            socket.send(json.dumps({"type": "response.create", "response": {"input": [item]}}))
            events = iter(lambda: json.loads(socket.recv(timeout=120)), None)
            event = next(each for each in events if each["type"] in ("error", "response.created"))
            assert event["type"] == expected, event
            if expected == "error":
                assert event["error"]["code"] == "consent_required"
