"""A client of /v1/audio/speech/jobs, for tests."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.tiny_server import TinyServer

CHAPTERS = [
    {"title": "The house", "text": "It was late. Nobody came. Then they went home to sleep for a while."},
    {"title": "The garden 🌳", "text": "In the morning it rained."},
]
BOOK = {"model": "tiny", "chapters": CHAPTERS, "title": "Zoë", "temperature": 0, "seed": 2**63 - 1}
WAIT = 300
Job = dict[str, Any]


def ask(
    server: TinyServer, path: str = "", method: str = "GET", key: str = "ann", **given: Any
) -> httpx.Response:
    url = f"{server.url}/v1/audio/speech/jobs{path}"
    headers = {"authorization": f"Bearer {key}", **given.pop("headers", {})}
    return httpx.request(method, url, headers=headers, timeout=WAIT, **given)


def queue(server: TinyServer, key: str = "ann", **fields: Any) -> Job:
    answer = ask(server, method="POST", key=key, json=BOOK | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_for(server: TinyServer, job_id: str, until: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + WAIT
    while not until(job := ask(server, f"/{job_id}").json()):
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return job


def ended(job: Job) -> bool:
    return job["status"] in ("completed", "failed", "cancelled")


def refused(answer: httpx.Response, status: int, code: str, param: str | None = None) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error


def pieces_of(server: TinyServer, job_id: str) -> list[Job]:
    return list(ask(server, f"/{job_id}/pieces").json()["data"])
