"""When things go wrong, on a real server: it is killed, its disk is full, its database is away for a while.

VOICE_KILLS=50 kills it as often; a few times must do by default.
"""

import os
import random
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import create_engine, select

from audio.decode import decode_audio
from settings import Settings
from tests.audio.media import sentence_file
from tests.live import serve
from tests.tiny_server import ready, write_whole_model
from tests.voices.servers import DatabaseServer
from voices.store.sessions import LEASE_SECONDS
from voices.store.tables import VoiceCloneSession
from voices.store.voice_store import VoiceStore

KILLS = int(os.environ.get("VOICE_KILLS", "2"))
VIDEO = sentence_file("mkv")
DATABASE_FILES = {"voices.db", "voices.db-wal", "voices.db-shm", "voices.db-reserve", "voices.db-open"}


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the server puts its temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def upload(url: str, data: bytes = VIDEO) -> httpx.Response:
    form = {"user_id": "me", "voice_name": uuid4().hex, "sample_text": "Hello."}
    clone = f"{url}/api/public/voice/onboarding/clone"
    return httpx.post(clone, data=form, files={"audio_file": ("me.mkv", data)}, timeout=120)


def say_hello(url: str) -> httpx.Response:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hi."}], "max_completion_tokens": 20}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)


def check_whole(folder: Path) -> int:
    """Check that every session ended, with a whole voice or with none, and that nothing else lies around."""
    url = f"sqlite:///{folder / 'voices.db'}"
    store = VoiceStore(url)
    profiles = store.profiles.page("", after=None, limit=100).rows
    for profile in profiles:
        sample = store.profiles.sample("", profile.id)
        frames = len(decode_audio(sample.flac)) // 960
        assert abs(sample.codes.shape[1] - frames) <= 2
        assert store.sessions.get("", profile.id).state == "completed"
    store.sessions.sweep(time.time() + LEASE_SECONDS + 1)
    store.close()
    with create_engine(url).connect() as connection:
        states = connection.scalars(select(VoiceCloneSession.state)).all()
    assert set(states) <= {"completed", "failed", "interrupted"}
    assert states.count("completed") == len(profiles)
    assert {path.name for path in folder.iterdir()} <= DATABASE_FILES
    return len(profiles)


def test_a_killed_server_leaves_a_voice_whole_or_not_at_all(
    tiny_model: Path, tmp_path: Path, scratch: Path
) -> None:
    folder, moments, kept = tmp_path / "data", random.Random(7), 0
    for _ in range(KILLS):
        with serve(tiny_model, data_dir=str(folder)) as server:
            assert server.pid is not None
            began = time.monotonic()
            assert upload(server.url).status_code == 200
            kept += 1
            took = time.monotonic() - began
            killer = threading.Timer(moments.uniform(0, 1.1 * took), os.kill, (server.pid, signal.SIGKILL))
            killer.start()
            with suppress(httpx.TransportError):
                kept += upload(server.url).status_code == 200
            killer.join()
        found = check_whole(folder)
        assert kept <= found <= kept + 1
        kept = found
        assert list(scratch.iterdir()) == []


def test_a_full_disk_keeps_nothing_and_passes(tiny_model: Path, tmp_path: Path, scratch: Path) -> None:
    folder = tmp_path / "data"
    with serve(tiny_model, data_dir=str(folder)) as server:
        assert server.pid is not None
        assert upload(server.url).status_code == 200
        limits = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
        for data in (VIDEO, VIDEO + bytes(2**21)):  # the larger one is put on the disk while it comes in
            full = upload(server.url, data)
            assert (full.status_code, full.json()["error"]["code"]) == (503, "voice_store_unavailable")
            assert int(full.headers["retry-after"]) > 0
        assert say_hello(server.url).status_code == 200
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limits)
        assert upload(server.url).status_code == 200
    assert check_whole(folder) == 2
    assert list(scratch.iterdir()) == []


@pytest.fixture(params=["postgresql", "mariadb"])
def database_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    yield request.getfixturevalue(f"{request.param}_server")


def test_a_database_that_is_away_for_a_while(tiny_model: Path, database_server: DatabaseServer) -> None:
    settings = Settings(model=str(tiny_model), device="cpu", database_url=database_server.url)
    with ready(settings) as server:
        voice_id = upload(server.url).json()["voice_id"]
        database_server.stop()
        away = upload(server.url)
        named = httpx.get(f"{server.url}/v1/audio/voices/{voice_id}", timeout=60)
        without = say_hello(server.url)
        database_server.start()
        back = httpx.get(f"{server.url}/v1/audio/voices/{voice_id}", timeout=60)
        again = upload(server.url)
    for response in (away, named):
        assert (response.status_code, response.json()["error"]["code"]) == (503, "voice_store_unavailable")
        assert int(response.headers["retry-after"]) > 0
    assert without.status_code == back.status_code == again.status_code == 200
