"""Voices by the file: a batch with a result for each, and a voice that moves from one key to another."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from errors import StoreUnavailable
from tests.api.test_voices import CLIP, FILE, error_of, keep, new_name, voices_url
from tests.tiny_server import TinyServer


def send_batch(server: TinyServer, files: list[tuple[str, bytes]], **fields: Any) -> httpx.Response:
    parts = [("audio_samples", file) for file in files]
    return httpx.post(voices_url(server, "/batch"), data=fields, files=parts, timeout=120)


def send_import(server: TinyServer, data: bytes, **fields: str) -> httpx.Response:
    return httpx.post(voices_url(server, "/import"), data=fields, files={"file": ("v.zip", data)}, timeout=60)


def test_each_file_of_a_batch_has_its_own_result(tiny_server: TinyServer) -> None:
    user = uuid4().hex
    files = [("Ann.mp3", CLIP), ("Bob.mp3", b"no sound"), ("Ann.wav", CLIP), ("alloy.mp3", CLIP)]
    results = send_batch(tiny_server, files, user_id=user).json()["data"]
    assert [one["file_name"] for one in results] == [name for name, _ in files]
    assert results[0]["voice"]["name"] == "Ann" and results[0]["error"] is None
    codes = [one["error"]["code"] for one in results[1:]]
    assert codes == ["audio_undecodable", "voice_name_taken", "voice_name_reserved"]
    assert all(one["voice"] is None for one in results[1:])


def test_a_batch_may_name_its_voices(tiny_server: TinyServer) -> None:
    names = [new_name(), new_name()]
    results = send_batch(tiny_server, [("a.mp3", CLIP)] * 2, names=names).json()["data"]
    assert [one["voice"]["name"] for one in results] == names
    wrong = send_batch(tiny_server, [("a.mp3", CLIP)] * 2, names=names[:1])
    assert error_of(wrong) == (400, "invalid_value", "names")
    many = send_batch(tiny_server, [("a.mp3", b"x")] * 21)
    assert error_of(many) == (400, "invalid_value", "audio_samples")


def test_a_voice_can_be_carried_away_and_brought_back(tiny_server: TinyServer) -> None:
    name = new_name()
    voice = keep(tiny_server, name=name, ref_text="The words.").json()
    exported = httpx.get(voices_url(tiny_server, f"/{voice['id']}/export"))
    assert exported.headers["content-type"] == "application/zip"
    assert error_of(send_import(tiny_server, exported.content)) == (409, "voice_name_taken", "file")
    assert httpx.delete(voices_url(tiny_server, f"/{voice['id']}")).status_code == 200
    back = send_import(tiny_server, exported.content).json()
    same = ("name", "ref_text", "used")
    assert [back[field] for field in same] == [voice[field] for field in same] and back["id"] != voice["id"]
    preview = httpx.get(voices_url(tiny_server, f"/{back['id']}/preview"), timeout=60)
    assert preview.status_code == 200
    renamed = send_import(tiny_server, exported.content, name=new_name())
    assert renamed.status_code == 200


@pytest.mark.parametrize("data", [b"PK no zip", FILE[1]])
def test_what_is_no_exported_voice_is_refused(tiny_server: TinyServer, data: bytes) -> None:
    assert error_of(send_import(tiny_server, data)) == (400, "voice_file_invalid", "file")


def test_a_store_that_is_away_for_one_file_costs_that_file_only(tiny_server: TinyServer) -> None:
    """A kind of loss: one of many fails with an error of another class, and the results of all go."""
    store = tiny_server.app.state.server.voices.store
    keep_voice, kept = store.keep, []

    def away_once(*voice: Any) -> None:
        kept.append(voice)
        if len(kept) == 2:
            raise StoreUnavailable("The store of voices can't be used now.")
        keep_voice(*voice)

    store.keep = away_once
    try:
        names = [new_name(), new_name(), new_name()]
        response = send_batch(tiny_server, [("a.mp3", CLIP)] * 3, names=names)
    finally:
        store.keep = keep_voice
    results = response.json()["data"]
    assert [one["voice"] and one["voice"]["name"] for one in results] == [names[0], None, names[2]]
    assert results[1]["error"]["code"] == "voice_store_unavailable"
