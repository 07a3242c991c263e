"""The official Node SDK on our routes: what it makes of the answers, and what the audio in them is."""

import base64
import fcntl
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.words import words_of, wrong_words
from audio.decode import decode_audio
from tests.api.test_speech import SECONDS, TYPES, decoded
from tests.audio.media import SENTENCE, float_wav, sentence
from tests.audio.test_decode import correlation
from tests.live import ROOT
from tests.tiny_server import TinyServer

FOLDER = ROOT / "tests" / "node"
WORDS = words_of(SENTENCE)


def install_sdk() -> None:
    """The SDK of the lock file, in node_modules; the test is skipped where it can't be had.

    Test processes that ask for it at once install it once.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node or npm is not installed")
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    with open(Path(tempfile.gettempdir()) / "higgs-node-sdk.lock", "w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime:
            return
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        result = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=600)
    if result.returncode:
        pytest.skip(f"npm can't install the SDK: {result.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="module")
def answers(tiny_server: TinyServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    install_sdk()
    recording = tmp_path_factory.mktemp("node") / "recording.wav"
    recording.write_bytes(float_wav(sentence()))
    command = ["node", "main.mjs", f"{tiny_server.url}/v1", str(recording)]
    result = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_models(answers: dict[str, Any]) -> None:
    assert answers["models"] == [answers["model"]] and answers["model"]["id"] == "tiny"


def test_a_voice_is_cloned_whole_and_streamed(answers: dict[str, Any]) -> None:
    completion, streamed = answers["chat"], answers["streamed"]
    assert completion["voice"]["used"] == "clone"
    message = completion["choices"][0]["message"]
    assert message["content"] is None and message["audio"]["transcript"] == "Hello world."
    whole = decode_audio(base64.b64decode(message["audio"]["data"]))
    assert len(whole) / 24_000 == pytest.approx(SECONDS)
    pieces = [base64.b64decode(data, validate=True) for data in streamed["data"]]
    assert len(pieces) > 1
    np.testing.assert_allclose(decoded(b"".join(pieces), "audio/pcm"), whole, atol=2 / 32_768)
    assert streamed["usage"] == completion["usage"]


@pytest.mark.parametrize("format", TYPES)
def test_speech_in_every_format(answers: dict[str, Any], format: str) -> None:
    content_type, magic = TYPES[format]
    file, lossless = answers["speech"][format], base64.b64decode(answers["speech"]["pcm"]["data"])
    data = base64.b64decode(file["data"])
    assert file["type"] == content_type and data.startswith(magic)
    samples = decoded(data, content_type)
    assert len(samples) / 24_000 == pytest.approx(SECONDS, abs=0.08)
    assert correlation(samples, decoded(lossless, "audio/pcm")) > 0.95


def test_realtime_sessions_speak_as_the_other_route(answers: dict[str, Any]) -> None:
    whole = base64.b64decode(answers["speech"]["pcm"]["data"])
    for session in answers["realtime"]:
        data = b"".join(base64.b64decode(data, validate=True) for data in session["data"])
        spoken, other = (np.frombuffer(each, "<i2").astype(int) for each in (data, whole))
        np.testing.assert_allclose(spoken, other, atol=2)
        assert session["kinds"][:3] == ["session.created", "session.updated", "response.created"]
        assert session["kinds"][-1] == "response.done"


def test_transcripts(answers: dict[str, Any]) -> None:
    transcripts = answers["transcripts"]
    text = transcripts["json"]["text"]
    assert wrong_words(WORDS, words_of(text)) <= 0.2 * len(WORDS)
    assert transcripts["translation"]["text"] == text
    assert transcripts["srt"].startswith("1\n00:00:0")
    verbose = transcripts["verbose"]
    assert [word["word"] for word in verbose["words"]] == text.split()
    assert verbose["duration"] == pytest.approx(3, abs=1)
    *deltas, done = transcripts["events"]
    assert "".join(event["delta"] for event in deltas) == done["text"] == text


def test_a_refusal_is_the_sdk_s_own_error(answers: dict[str, Any]) -> None:
    refusal = answers["refusal"]
    assert refusal.pop("requestID").startswith("req_")
    assert refusal == {"isNotFound": True, "status": 404, "code": "voice_not_found", "param": "voice"}
