"""/api/public/voice/onboarding over real HTTP: a recording or a video becomes a voice that speaks."""

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from audio.decode import decode_audio
from settings import Settings
from speakers.encoder import weights_file
from tests.audio.media import float_wav, media, recording, sentence, sentence_file, silent_film
from tests.tiny_server import TinyServer, ready
from tests.voices.test_store import clone_session

Body = dict[str, Any]
CLIP = sentence_file("wav")
WORDS = "Hello there."


@pytest.fixture(scope="module")
def tiny_server(endless_model: Path) -> Iterator[TinyServer]:
    """A server whose model never ends early by chance: the seed of an onboarding can't be chosen."""
    with ready(Settings(model=str(endless_model), device="cpu")) as server:
        yield server


def new_name() -> str:
    return f"Anna {uuid4().hex}"


def url(server: TinyServer, path: str) -> str:
    return f"{server.url}/api/public/voice/onboarding/{path}"


def upload(
    server: TinyServer, data: bytes = CLIP, file_name: str = "me.wav", **fields: Any
) -> httpx.Response:
    form = {"user_id": "me", "voice_name": new_name(), "sample_text": WORDS} | fields
    files = {"audio_file": (file_name, data)}
    return httpx.post(url(server, "clone"), data=form, files=files, timeout=120)


def clone(server: TinyServer, data: bytes = CLIP, **fields: Any) -> Body:
    response = upload(server, data, **fields)
    assert response.status_code == 200, response.text
    return response.json()


def seconds_of(data_uri: str) -> float:
    kind, _, data = data_uri.partition(",")
    assert kind == "data:audio/mp3;base64"
    return len(decode_audio(base64.b64decode(data))) / 24_000


def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"} and error["message"]
    return response.status_code, error["code"], error["param"]


def events_of(response: httpx.Response) -> list[Body]:
    lines = [line for line in response.text.splitlines() if line]
    assert all(line.startswith("data: ") for line in lines)
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_an_upload_becomes_a_voice_that_speaks(tiny_server: TinyServer) -> None:
    name = new_name()
    body = clone(tiny_server, voice_name=name)
    assert body["success"] is True and body["voice_id"].startswith("voice_")
    assert (body["voice_name"], body["sample_text"]) == (name, WORDS)
    assert seconds_of(body["sample_audio"]) > 0.3
    assert body["used"]["end"] > body["used"]["start"] >= 0
    # The tiny model's weights are drawn by chance: nobody understands it.
    assert [finding["name"] for finding in body["findings"]][-1] == "misheard"
    assert (body["likeness"] is None) == (weights_file() is None)
    status = httpx.get(url(tiny_server, f"status/{body['voice_id']}")).json()
    assert status["likeness"] == body["likeness"]


@pytest.mark.parametrize(
    "kind", ["mp3", "m4a", "aac", "ogg opus", "flac", "mp4", "mov", "avi", "webm", "mkv", "flv"]
)
def test_every_kind_of_file_is_known_by_its_content(tiny_server: TinyServer, kind: str) -> None:
    response = upload(tiny_server, sentence_file(kind), file_name="notes.txt")
    assert response.status_code == 200, response.text
    assert response.json()["used"]["seconds"] == pytest.approx(len(sentence()) / 24_000, abs=0.2)


def test_the_status_tells_the_steps(tiny_server: TinyServer) -> None:
    voice_id = clone(tiny_server)["voice_id"]
    status = httpx.get(url(tiny_server, f"status/{voice_id}")).json()
    assert (status["status"], status["error"], status["user_id"]) == ("completed", None, "me")
    assert [step["name"] for step in status["steps"]] == ["read", "choose", "encode", "speak", "keep"]
    assert all(step["state"] == "completed" and step["seconds"] >= 0 for step in status["steps"])
    assert (status["file_name"], status["upload_bytes"]) == ("me.wav", len(CLIP))
    events = events_of(httpx.get(url(tiny_server, f"status/{voice_id}/events")))
    assert [event["status"] for event in events] == ["completed"]


def test_the_steps_can_be_watched_while_they_are_taken(tiny_server: TinyServer) -> None:
    response = upload(tiny_server, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    *steps, done = events_of(response)
    assert done["type"] == "voice.onboarding.done" and seconds_of(done["sample_audio"]) > 0.3
    seen = [(event["steps"][-1]["name"], event["steps"][-1]["state"]) for event in steps]
    names = ["read", "choose", "encode", "speak", "keep"]
    assert seen == [(name, state) for name in names for state in ("running", "completed")]
    assert {event["voice_id"] for event in steps} == {done["voice_id"]}


def test_a_failure_is_told_in_the_stream_and_in_the_status(tiny_server: TinyServer) -> None:
    *steps, last = events_of(upload(tiny_server, b"no sound at all", stream=True))
    assert (last["error"]["code"], last["error"]["param"]) == ("audio_undecodable", "audio_file")
    status = httpx.get(url(tiny_server, f"status/{steps[0]['voice_id']}")).json()
    assert (status["status"], status["error"]["code"]) == ("failed", "audio_undecodable")
    assert [(step["name"], step["state"]) for step in status["steps"]] == [("read", "failed")]
    assert httpx.delete(url(tiny_server, steps[0]["voice_id"])).status_code == 200


@pytest.mark.parametrize("form", [{"json": {"text": "Good night."}}, {"data": {"text": "Good night."}}])
def test_a_kept_voice_says_other_texts(tiny_server: TinyServer, form: Body) -> None:
    voice_id = clone(tiny_server)["voice_id"]
    response = httpx.post(url(tiny_server, f"test/{voice_id}"), timeout=60, **form)
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["voice_id"], body["sample_text"]) == (voice_id, "Good night.")
    assert seconds_of(body["sample_audio"]) > 0.3


def test_a_deleted_voice_is_gone(tiny_server: TinyServer) -> None:
    voice_id = clone(tiny_server)["voice_id"]
    deleted = httpx.delete(url(tiny_server, voice_id))
    assert deleted.json() == {"success": True, "voice_id": voice_id}
    for response in (
        httpx.delete(url(tiny_server, voice_id)),
        httpx.get(url(tiny_server, f"status/{voice_id}")),
        httpx.post(url(tiny_server, f"test/{voice_id}"), json={"text": "Hi."}),
    ):
        assert error_of(response)[:2] == (404, "voice_not_found")


def test_the_part_that_was_used_and_what_was_found_is_said(tiny_server: TinyServer) -> None:
    clip = recording() / np.abs(recording()).max()
    clipped = np.clip(clip * 8, -1, 1)
    pause = np.zeros(24_000, np.float32)
    body = clone(tiny_server, float_wav(np.concatenate([clipped, pause, clip, pause, clip, pause, clipped])))
    seconds = len(clip) / 24_000
    assert body["used"]["start"] > seconds and body["used"]["end"] < 3 * seconds + 3
    body = clone(tiny_server, float_wav(np.clip(clip * 2.5, -1, 1)))
    assert body["findings"][0]["name"] == "clipping"


TONE = (0.3 * np.sin(2 * np.pi * 440 / 24_000 * np.arange(5 * 24_000))).astype(np.float32)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "audio_empty"),
        (b"%PDF-1.4 a letter that calls itself an MP3" * 50, "audio_undecodable"),
        (silent_film(), "audio_no_sound_track"),
        (CLIP[: len(CLIP) // 2], "audio_truncated"),
        (float_wav(recording()[: int(1.9 * 24_000)]), "audio_too_short"),
        (float_wav(np.zeros(5 * 24_000, np.float32)), "audio_silent"),
        (float_wav(TONE), "audio_no_speech"),
        (float_wav(np.clip(recording() * 100, -1, 1)), "audio_clipped"),
    ],
)
def test_what_is_of_no_use_is_refused_by_name(tiny_server: TinyServer, data: bytes, code: str) -> None:
    assert error_of(upload(tiny_server, data, file_name="voice.mp3")) == (400, code, "audio_file")


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"voice_name": "\u200b"}, "invalid_value", "voice_name"),
        ({"voice_name": "Anna\u202e"}, "invalid_value", "voice_name"),
        ({"voice_name": "DEFAULT"}, "voice_name_reserved", "voice_name"),
        ({"user_id": "me\u202e"}, "invalid_value", "user_id"),
        ({"voice_name": "x" * 101}, "invalid_value", "voice_name"),
        ({"voice_name": "bell\x07"}, "invalid_value", "voice_name"),
        ({"voice_name": "alloy"}, "voice_name_reserved", "voice_name"),
        ({"voice_name": "voice_0"}, "voice_name_reserved", "voice_name"),
        ({"user_id": "u" * 129}, "invalid_value", "user_id"),
        ({"sample_text": " "}, "text_empty", "sample_text"),
        ({"ref_text": "word " * 1000}, "invalid_value", "ref_text"),
    ],
)
def test_a_field_that_is_wrong_is_named(tiny_server: TinyServer, fields: Body, code: str, param: str) -> None:
    assert error_of(upload(tiny_server, **fields)) == (400, code, param)


def test_a_recording_alone_becomes_a_voice_of_a_readable_name(tiny_server: TinyServer) -> None:
    """Kind: what can be left out must not be asked for; two at once get two names."""
    form = {"audio_file": ("My_Voice.wav", CLIP)}

    def made(_: int) -> Body:
        return httpx.post(url(tiny_server, "clone"), files=form, timeout=120).json()

    with ThreadPoolExecutor(3) as pool:
        names = sorted(body["voice_name"] for body in pool.map(made, range(3)))
    assert names == ["My Voice", "My Voice 2", "My Voice 3"]
    unnamed = upload(tiny_server, file_name="\u200b.wav", voice_name="").json()
    assert unnamed["voice_name"].startswith("Voice") and unnamed["sample_text"] == WORDS


@pytest.mark.parametrize("missing", ["audio_file"])
def test_a_field_that_is_missing_is_named(tiny_server: TinyServer, missing: str) -> None:
    form: Body = {"user_id": (None, "me"), "voice_name": (None, new_name()), "audio_file": ("me.wav", CLIP)}
    del form[missing]
    response = httpx.post(url(tiny_server, "clone"), files=form)
    assert error_of(response) == (400, "missing_required_parameter", missing)


def test_a_body_that_is_no_form_is_refused(tiny_server: TinyServer) -> None:
    response = httpx.post(url(tiny_server, "clone"), json={"voice_name": "Anna"})
    assert error_of(response) == (415, "unsupported_media_type", None)


def test_more_than_50_mb_are_refused(tiny_server: TinyServer) -> None:
    response = upload(tiny_server, bytes(50 * 2**20 + 1))
    assert error_of(response) == (413, "audio_too_large", "audio_file")


def test_more_than_five_minutes_are_refused(tiny_server: TinyServer) -> None:
    video = media("matroska", "flac", 24_000, "mpeg4", samples=np.zeros(600 * 24_000, np.float32))
    assert len(video) < 2**20
    assert error_of(upload(tiny_server, video)) == (400, "audio_too_long", "audio_file")


def test_a_client_that_leaves_gets_no_voice(tiny_server: TinyServer) -> None:
    name, long = new_name(), float_wav(np.tile(recording(), 30))
    form = {"user_id": "me", "voice_name": name, "stream": "true"}
    files = {"audio_file": ("me.wav", long)}
    with httpx.stream("POST", url(tiny_server, "clone"), data=form, files=files, timeout=60) as response:
        first = json.loads(next(response.iter_lines()).removeprefix("data: "))
    status, deadline = "running", time.monotonic() + 60
    while status == "running" and time.monotonic() < deadline:
        status = httpx.get(url(tiny_server, f"status/{first['voice_id']}")).json()["status"]
        time.sleep(0.1)
    assert status == "cancelled"
    assert clone(tiny_server, voice_name=name)["voice_name"] == name


def test_of_two_uploads_of_one_name_at_once_one_is_kept(tiny_server: TinyServer) -> None:
    name = new_name()
    with ThreadPoolExecutor(2) as pool:
        responses = list(pool.map(lambda _: upload(tiny_server, voice_name=name), range(2)))
    taken, kept = sorted(responses, key=lambda response: response.status_code, reverse=True)
    assert kept.status_code == 200
    assert error_of(taken) == (409, "voice_name_taken", "voice_name")
    assert taken.headers["x-should-retry"] == "false"
    assert upload(tiny_server, voice_name=name, user_id="someone else").status_code == 200


def test_a_status_stream_outlives_its_voice(tiny_server: TinyServer) -> None:
    """A kind of fault: a stream breaks off, without a word, on an error that comes after its headers."""
    store = tiny_server.app.state.server.voices.store
    session = clone_session("voice_watched", owner="")
    store.sessions.begin(session)
    url = f"{tiny_server.url}/api/public/voice/onboarding"
    with httpx.stream("GET", f"{url}/status/voice_watched/events", timeout=60) as response:
        events = (line.removeprefix("data: ") for line in response.iter_lines() if line)
        assert json.loads(next(events))["status"] == "running"
        assert httpx.delete(f"{url}/voice_watched").status_code == 200
        (last,) = [json.loads(event) for event in events]
    assert last["error"]["code"] == "voice_not_found"
