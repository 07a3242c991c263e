"""Onboarding under uploads that are heavy: a compressed film of hours, and a slow one of nearly 50 MB."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from settings import Settings
from tests.api.test_onboarding import WORDS, error_of, new_name, upload, url
from tests.audio.media import bomb, large_wav
from tests.tiny_server import TinyServer, ready


@pytest.fixture(scope="module")
def endless_server(endless_model: Path) -> Iterator[TinyServer]:
    """A server whose model never ends early by chance: the seed of an onboarding can't be chosen."""
    with ready(Settings(model=str(endless_model), device="cpu")) as server:
        yield server


def test_a_bomb_of_a_film_is_refused_before_it_fills_the_memory(endless_server: TinyServer) -> None:
    film = bomb()
    assert len(film) < 2**21
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = memory("VmRSS")
    assert error_of(upload(endless_server, film)) == (400, "audio_too_long", "audio_file")
    assert memory("VmHWM") - before < 90 * 2**20


def memory(kind: str) -> int:
    """VmRSS, what this process holds, or VmHWM, the most that it held, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return 1024 * int(line.split()[1])


def test_a_slow_upload_of_nearly_50_mb_holds_nobody_up(endless_server: TinyServer) -> None:
    large = large_wav()
    assert 40 * 2**20 < len(large) < 50 * 2**20

    def slowly() -> Iterator[bytes]:
        for start in range(0, len(large), 2**20):
            assert httpx.get(f"{endless_server.url}/health", timeout=10).status_code == 200
            yield large[start : start + 2**20]

    fields = {"user_id": "me", "voice_name": new_name(), "sample_text": WORDS}
    request = httpx.Request(
        "POST", url(endless_server, "clone"), data=fields, files={"audio_file": ("me.wav", b"MARK")}
    )
    head, tail = request.read().split(b"MARK")

    def body() -> Iterator[bytes]:
        yield head
        yield from slowly()
        yield tail

    headers = {"content-type": request.headers["content-type"]}
    response = httpx.post(url(endless_server, "clone"), content=body(), headers=headers, timeout=120)
    assert response.status_code == 200, response.text
