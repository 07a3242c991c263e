"""A device that fails for good, under a real server in a process of its own."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

import app
from tests.forked import ForkedProcess
from tests.live import ROOT, free_port


def lose_the_device() -> None:
    """Serve, and lose the device as soon as the model is loaded."""
    made, create = list[FastAPI](), app.create_app

    def noted(*given: Any, **named: Any) -> FastAPI:
        made.append(create(*given, **named))
        return made[-1]

    def lost(*_: object) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    def lose() -> None:
        while not (made and made[0].state.server.cloner):
            time.sleep(0.05)
        made[0].state.server.cloner.engine._batch._runner._decode_fn = lost

    app.create_app = noted
    app.FAILED_SECONDS = 12  # a busy machine has the time to ask
    threading.Thread(target=lose, daemon=True).start()
    app.main()


def test_a_lost_device_is_told_of_and_ends_the_process(tiny_model: Path, tmp_path: Path) -> None:
    """Before, /health said 200 while every request from then on was answered 500."""
    port = free_port()
    flags = ["--model", str(tiny_model), "--device", "cpu", "--port", str(port)]
    log = tmp_path / "log"
    process = ForkedProcess(lose_the_device, flags, os.environ, ROOT, log)
    url = f"http://127.0.0.1:{port}"
    try:
        asked = {"model": "higgs-audio", "input": "Hello.", "voice": "default"}
        statuses: list[int] = []
        while 503 not in statuses[-1:] or "failed" not in httpx.get(f"{url}/health").text:
            time.sleep(0.2)
            with suppress(httpx.TransportError):
                statuses.append(httpx.post(f"{url}/v1/audio/speech", json=asked, timeout=60).status_code)
        assert 500 in statuses
        assert httpx.get(f"{url}/livez").status_code == httpx.get(f"{url}/readyz").status_code == 503
        health = httpx.get(f"{url}/health")
        assert (health.status_code, health.json()["status"]) == (503, "failed")
        assert "restarted" in health.json()["message"]
        assert process.wait(90) == 70
    finally:
        process.kill()
    assert "The device is lost" in log.read_text().splitlines()[-1]
