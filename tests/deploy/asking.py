"""What the tests of the replicas ask them, and how they wait."""

import time
from typing import Any

import httpx

from tests.deploy.fleet import Fleet

SPEECH: dict[str, Any] = {"model": "tiny", "seed": 1, "temperature": 0, "max_tokens": 60}
FRAME_BYTES = 2 * 960
WAIT = 300
LONG: dict[str, Any] = {"max_tokens": 8000}  # some seconds of work
TEXT = "Hello world."


def speak(fleet: Fleet, text: str, **fields: Any) -> httpx.Response:
    body = SPEECH | {"input": text, "response_format": "pcm"} | fields
    return httpx.post(f"{fleet.url}/v1/audio/speech", json=body, timeout=WAIT)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def speaking(fleet: Fleet) -> float:
    return sum(seen.get("higgs_speaking_requests", 0) for seen in fleet.figures())
