"""A model that is idle gives its memory back, and the next request finds it as it was."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from errors import Loading
from higgs.engine.engine import Engine
from higgs.resident_model import ServedModel
from settings import Settings
from tests.audio.media import sound_file
from tests.live import LiveServer
from tests.tiny_server import TinyServer, ready, write_whole_model
from voice_cloning import VoiceCloner

SPOKEN = {"model": "tiny", "input": "Hello there.", "seed": 5, "response_format": "wav", "stream": False}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def health(server: TinyServer | LiveServer) -> str:
    return str(httpx.get(f"{server.url}/health", timeout=60).json()["status"])


def speak(server: TinyServer, **fields: object) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/audio/speech", json=SPOKEN | fields, timeout=120)


def unload(server: TinyServer | LiveServer) -> httpx.Response:
    return httpx.post(f"{server.url}/api/models/unload", timeout=60)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    folder = tmp_path_factory.mktemp("data")
    with ready(Settings(model=str(model), device="cpu", keep_alive="1s", data_dir=folder)) as server:
        yield server


def test_an_idle_model_is_unloaded_and_speaks_the_same_again(server: TinyServer) -> None:
    named = {"audio_sample": ("me.wav", sound_file("wav"))}
    kept = httpx.post(f"{server.url}/v1/audio/voices", data={"name": "Anna"}, files=named, timeout=120)
    voices = ["default", kept.json()["id"]]
    before = [speak(server, voice=voice).content for voice in voices]
    wait_for(lambda: health(server) == "unloaded")
    probe = httpx.get(f"{server.url}/readyz")
    assert (probe.status_code, probe.json()["status"]) == (200, "unloaded")
    assert "higgs_model_loaded 0.0" in httpx.get(f"{server.url}/metrics").text
    # What needs no model doesn't load it.
    for path in ("v1/models", "v1/audio/voices", f"v1/audio/voices/{voices[1]}/recording"):
        assert httpx.get(f"{server.url}/{path}").status_code == 200
    assert health(server) == "unloaded"
    assert [speak(server, voice=voice).content for voice in voices] == before


def test_many_who_come_at_once_wait_for_one_loading(server: TinyServer) -> None:
    assert unload(server).json() == {"model": "tiny", "status": "unloaded"}
    assert unload(server).status_code == 200
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: speak(server), range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_a_model_that_cannot_be_loaded_again_is_told_and_tried_again(
    model: Path, server: TinyServer, tmp_path: Path
) -> None:
    unload(server)
    away = model.rename(tmp_path / "away")
    told = speak(server)
    away.rename(model)
    assert (told.status_code, told.json()["error"]["code"]) == (503, "model_loading")
    assert int(told.headers["retry-after"]) > 0
    assert speak(server).status_code == 200


def test_a_model_that_does_not_get_ready_again_is_not_kept(tiny_model: Path) -> None:
    """Kind: each failed attempt leaves a thread, and with it a whole model, until the memory is full."""
    resident = VoiceCloner.load(Settings(model=str(tiny_model), device="cpu")).resident
    made: list[Engine] = []

    def fail(served: ServedModel) -> None:
        made.append(served.engine)
        raise RuntimeError("CUDA out of memory")

    resident.unload()
    resident._ready = fail
    for _ in range(2):
        with pytest.raises(Loading, match="CUDA out of memory"):
            resident.use()
    assert len(made) == 2 and not any(engine._thread.is_alive() for engine in made)
    assert resident.state == "unloaded"


def test_what_is_under_way_keeps_it_loaded(endless_server: TinyServer) -> None:
    body = SPOKEN | {"stream": True, "response_format": "pcm"}
    with httpx.stream("POST", f"{endless_server.url}/v1/audio/speech", json=body, timeout=60) as answer:
        sound = answer.iter_raw()
        next(sound)
        refused = unload(endless_server)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "model_in_use")
        assert next(sound)
    wait_for(lambda: unload(endless_server).status_code == 200)


def test_a_job_that_is_done_holds_no_model(server: TinyServer) -> None:
    jobs = f"{server.url}/v1/audio/speech/jobs"
    job = httpx.post(jobs, json={"model": "tiny", "input": "Hello there."}, timeout=60).json()
    wait_for(lambda: httpx.get(f"{jobs}/{job['id']}").json()["status"] == "completed")
    wait_for(lambda: unload(server).status_code == 200)


def test_the_memory_falls(live_server: LiveServer) -> None:
    body = SPOKEN | {"model": "higgs-audio"}
    httpx.post(f"{live_server.url}/v1/audio/speech", json=body, timeout=120).raise_for_status()
    before = live_server.resident_bytes()
    # The thread that encoded the answer may be about to end when the client has all of it.
    wait_for(lambda: unload(live_server).status_code == 200)
    after = live_server.resident_bytes()
    # More than the weights, which are 52 MB; how much more, the allocator decides.
    assert before and after and before - after > 64 * 2**20
