"""Sounds without a voice are refused wherever a voice is made of a recording, over real HTTP.

Kind: noise, a tone or a telephone's digits were cloned, and the answer was garbage under status 200.
"""

import base64
from typing import Any

import httpx
import numpy as np
import pytest

from audio.encode import encode_audio
from tests.audio.media import SAMPLE_RATE, recording
from tests.tiny_server import TinyServer

TIME = np.arange(6 * SAMPLE_RATE) / SAMPLE_RATE
GATE = (TIME % 0.2) < 0.1
SOUNDS = {
    "noise": np.random.default_rng(0).normal(0, 0.1, len(TIME)),
    "tone": 0.3 * np.sin(2 * np.pi * 440 * TIME),
    "digits": GATE * 0.2 * (np.sin(2 * np.pi * 770 * TIME) + np.sin(2 * np.pi * 1336 * TIME)),
    "clicks": 0.8 * (np.arange(len(TIME)) % (SAMPLE_RATE // 2) == 0),
}


def wav(samples: np.ndarray) -> bytes:
    return encode_audio(samples.astype(np.float32), "wav").data


def in_chat(data: bytes) -> dict[str, Any]:
    audio = {"data": base64.b64encode(data).decode(), "format": "wav"}
    parts = [{"type": "text", "text": "Hello."}, {"type": "input_audio", "input_audio": audio}]
    body = {"model": "tiny", "audio": {"voice": "clone"}, "messages": [{"role": "user", "content": parts}]}
    return {"url": "/v1/chat/completions", "json": body}


def in_speech(data: bytes) -> dict[str, Any]:
    reference = "data:audio/wav;base64," + base64.b64encode(data).decode()
    return {"url": "/v1/audio/speech", "json": {"model": "tiny", "input": "Hello.", "ref_audio": reference}}


def as_voice(data: bytes) -> dict[str, Any]:
    files = {"audio_sample": ("a.wav", data)}
    return {"url": "/v1/audio/voices", "data": {"name": "no voice"}, "files": files}


def in_onboarding(data: bytes) -> dict[str, Any]:
    fields, files = {"user_id": "me", "voice_name": "no voice"}, {"audio_file": ("a.wav", data)}
    return {"url": "/api/public/voice/onboarding/clone", "data": fields, "files": files}


def as_consent(data: bytes) -> dict[str, Any]:
    files = {"recording": ("a.wav", data)}
    return {"url": "/v1/audio/voice_consents", "data": {"name": "me", "language": "en"}, "files": files}


def compared(data: bytes) -> dict[str, Any]:
    files = {"recording": ("a.wav", wav(recording())), "other": ("b.wav", data)}
    return {"url": "/v1/audio/voices/similarity", "files": files}


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("door", [in_chat, in_speech, as_voice, in_onboarding, as_consent, compared])
def test_a_sound_without_a_voice_is_refused(tiny_server: TinyServer, door: Any, sound: str) -> None:
    request = door(wav(SOUNDS[sound]))
    response = httpx.post(tiny_server.url + request.pop("url"), timeout=60, **request)
    if response.status_code == 501:
        pytest.skip("no model that compares speakers")
    error = response.json()["error"]
    assert response.status_code == 400 and error["code"] == "audio_no_speech", response.text
    assert "someone speaking" in error["message"]
