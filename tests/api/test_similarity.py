"""/v1/audio/voices/similarity, and consents that must be of the same speaker, over real HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from speakers.encoder import weights_file
from speakers.verifier import SpeakerVerifier
from tests.audio.media import float_wav, recording
from tests.tiny_server import TinyServer

CLIP = recording()
HALVES = float_wav(CLIP[: len(CLIP) // 2]), float_wav(CLIP[len(CLIP) // 2 :])
# The clip a major seventh higher, and so faster: a woman's pitch and a smaller head.
SOMEONE_ELSE = float_wav(
    np.interp(np.arange(0, len(CLIP), 1.9), np.arange(len(CLIP)), CLIP).astype(np.float32)
)

needs_model = pytest.mark.skipif(
    weights_file() is None, reason="needs the package of requirements-weights.txt"
)


def compare(server: TinyServer, other: bytes | None = None, voice: str | None = None) -> httpx.Response:
    files = {"recording": ("me.wav", HALVES[0])} | (
        {"other": ("other.wav", other)} if other is not None else {}
    )
    form = {"voice": voice} if voice is not None else {}
    return httpx.post(f"{server.url}/v1/audio/voices/similarity", files=files, data=form, timeout=60)


def create(server: TinyServer, **form: str) -> httpx.Response:
    body = {"name": f"Anna {uuid4().hex}"} | form
    files = {"audio_sample": ("me.wav", float_wav(CLIP))}
    return httpx.post(f"{server.url}/v1/audio/voices", data=body, files=files, timeout=60)


def consent(server: TinyServer, data: bytes) -> str:
    response = httpx.post(
        f"{server.url}/v1/audio/voice_consents",
        data={"name": "Anna", "language": "en-US"},
        files={"recording": ("yes.wav", data)},
    )
    return response.json()["id"]


def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    error: dict[str, Any] = response.json()["error"]
    return response.status_code, error["code"], error["param"]


@needs_model
def test_one_speaker_is_alike_and_another_is_not(tiny_server: TinyServer) -> None:
    same = compare(tiny_server, HALVES[1]).json()
    assert same["same_speaker"] is True and same["similarity"] > same["threshold"]
    another = compare(tiny_server, SOMEONE_ELSE).json()
    assert another["same_speaker"] is False and 0 <= another["similarity"] < another["threshold"]


@needs_model
def test_a_kept_voice_can_be_compared_by_id_and_by_name(tiny_server: TinyServer) -> None:
    voice = create(tiny_server).json()
    for name in (voice["id"], voice["name"]):
        answer = compare(tiny_server, voice=name)
        assert answer.status_code == 200 and answer.json()["same_speaker"] is True
    assert voice["likeness"] is None


@needs_model
def test_what_cant_be_compared_is_named(tiny_server: TinyServer) -> None:
    assert error_of(compare(tiny_server)) == (400, "invalid_value", "other")
    assert error_of(compare(tiny_server, HALVES[1], "Anna")) == (400, "invalid_value", "other")
    assert error_of(compare(tiny_server, voice="nobody")) == (404, "voice_not_found", "voice")
    assert error_of(compare(tiny_server, b"a letter")) == (400, "audio_undecodable", "other")
    silence = float_wav(np.zeros(48_000, np.float32))
    assert error_of(compare(tiny_server, silence)) == (400, "audio_silent", "other")


@needs_model
def test_a_consent_must_be_of_the_same_speaker_where_that_is_asked(tiny_server: TinyServer) -> None:
    mine, anothers = (consent(tiny_server, data) for data in (HALVES[1], SOMEONE_ELSE))
    assert create(tiny_server, consent=anothers).status_code == 200
    assert create(tiny_server, consent=mine, verify_consent="true").status_code == 200
    refused = create(tiny_server, consent=anothers, verify_consent="true")
    assert error_of(refused) == (400, "consent_other_speaker", "consent")
    assert error_of(create(tiny_server, verify_consent="true")) == (
        400,
        "missing_required_parameter",
        "consent",
    )


@needs_model
def test_a_request_cant_switch_off_what_the_server_requires(
    tiny_server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tiny_server.app.state.server
    required = replace(state.request_defaults, verify_consents=True)
    monkeypatch.setattr(state, "request_defaults", required)
    for asked in ({}, {"verify_consent": "true"}, {"verify_consent": "false"}):
        refused = create(tiny_server, **asked)
        assert error_of(refused) == (400, "missing_required_parameter", "consent"), asked


@pytest.fixture
def server_without_model(tiny_server: TinyServer) -> Iterator[TinyServer]:
    voices = tiny_server.app.state.server.voices
    verifier, voices.verifier = voices.verifier, SpeakerVerifier(None)
    yield tiny_server
    voices.verifier = verifier


def test_without_the_model_the_route_says_so_and_voices_are_kept(server_without_model: TinyServer) -> None:
    answer = compare(server_without_model, HALVES[1])
    assert error_of(answer) == (501, "speaker_model_unavailable", None)
    assert "requirements-weights.txt" in answer.json()["error"]["message"]
    voice = create(server_without_model, consent=consent(server_without_model, SOMEONE_ELSE))
    assert voice.status_code == 200
    asked = create(server_without_model, consent=voice.json()["consent"], verify_consent="true")
    assert error_of(asked) == (501, "speaker_model_unavailable", None)
