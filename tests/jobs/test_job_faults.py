"""Jobs when things go wrong, on a real server: it is killed in the middle, and told to stop.

JOB_KILLS=20 kills it as often; a few times must do by default.
"""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from tests.live import LiveServer, serve
from tests.tiny_server import write_endless_model

KILLS = int(os.environ.get("JOB_KILLS", "2"))
WAIT = 300
SETTINGS = {"max_frames_per_byte": "0.1", "max_attempts": "1"}
BOOK = {"model": "tiny", "input": "Hello there, you. " * 300, "temperature": 0, "seed": 4}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_endless_model(tmp_path_factory.mktemp("models") / "tiny")


def job_of(server: LiveServer, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = httpx.get(f"{server.url}/v1/audio/speech/jobs/{job_id}", timeout=WAIT).json()
    return job


def wait_for_pieces(server: LiveServer, job_id: str, count: int) -> None:
    deadline = time.monotonic() + WAIT
    while job_of(server, job_id)["pieces"]["done"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def made_at(folder: Path) -> dict[int, float]:
    """When each piece was made."""
    engine = create_engine(f"sqlite:///{folder / 'voices.db'}")
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT number, made_at FROM speech_pieces WHERE made_at IS NOT NULL AND flac IS NOT NULL")
        )
        found = {int(number): float(made) for number, made in rows}
    engine.dispose()
    return found


def test_a_killed_server_goes_on_behind_what_it_made(model: Path, tmp_path: Path) -> None:
    folder, moments, kept = tmp_path / "data", random.Random(5), dict[int, float]()
    job_id = ""
    for _ in range(KILLS):
        with serve(model, data_dir=str(folder), **SETTINGS) as server:
            if not job_id:
                queued = httpx.post(f"{server.url}/v1/audio/speech/jobs", json=BOOK, timeout=WAIT)
                job_id = queued.json()["id"]
            wait_for_pieces(server, job_id, len(kept) + 1)
            time.sleep(moments.uniform(0, 0.5))
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
        made = made_at(folder)
        assert len(made) > len(kept) and made.items() >= kept.items(), "no piece is made twice, none is lost"
        assert sorted(made) == list(range(len(made)))
        kept = made
    with serve(model, data_dir=str(folder), **SETTINGS) as server:
        job = job_of(server, job_id)
        wait_for_pieces(server, job_id, job["pieces"]["total"])
        content = f"{server.url}/v1/audio/speech/jobs/{job_id}/content?response_format=wav"
        assert httpx.get(content, timeout=WAIT).status_code == 200
        assert job_of(server, job_id)["status"] in ("in_progress", "completed")
    assert made_at(folder).items() >= kept.items()


def test_a_server_that_is_told_to_stop_leaves_its_piece_to_the_next(model: Path, tmp_path: Path) -> None:
    """It ends at once, whatever is under way, and holds no lease behind its end."""
    folder = tmp_path / "data"
    with serve(model, data_dir=str(folder), **SETTINGS) as server:
        queued = httpx.post(f"{server.url}/v1/audio/speech/jobs", json=BOOK, timeout=WAIT)
        job_id = queued.json()["id"]
        wait_for_pieces(server, job_id, 1)  # behind it, SIGTERM
    engine = create_engine(f"sqlite:///{folder / 'voices.db'}")
    with engine.connect() as connection:
        job = connection.execute(text("SELECT status, leased_until FROM speech_jobs")).one()
    engine.dispose()
    assert tuple(job) == ("in_progress", 0.0)
    kept = made_at(folder)
    with serve(model, data_dir=str(folder), **SETTINGS) as server:
        wait_for_pieces(server, job_id, len(kept) + 1)
    assert made_at(folder).items() >= kept.items()
