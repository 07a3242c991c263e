"""Health, models, request ids and errors, over real HTTP."""

import json
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest
from fastapi import APIRouter
from starlette.types import Message

from api.serving import address_of
from app import create_app, load
from errors import EngineFailed
from higgs.model.licence import V2_LICENCE
from settings import Settings
from tests import forked
from tests.live import ROOT, free_port
from tests.tiny_server import TinyServer, serving


def test_health_and_routes_while_the_model_loads(tiny_model: Path) -> None:
    with serving(Settings(model=str(tiny_model), device="cpu")) as server:
        state = server.app.state.server
        server.wait_until_ready()
        loaded, state.cloner = state.cloner, None
        health = httpx.get(f"{server.url}/health")
        models = httpx.get(f"{server.url}/v1/models")
        state.cloner = loaded
    assert (health.status_code, health.json()) == (503, {"status": "loading"})
    assert (models.status_code, models.json()["error"]["code"]) == (503, "model_loading")
    assert int(models.headers["retry-after"]) > 0


def test_why_another_model_is_served_and_what_its_licence_wants_is_told(tiny_model: Path) -> None:
    with serving(Settings(model=str(tiny_model), device="cpu")) as server:
        server.wait_until_ready()
        cloner = server.app.state.server.cloner
        cloner.fallback, cloner.licence = "The hub can't be reached.", V2_LICENCE
        health = httpx.get(f"{server.url}/health").json()
        (card,) = httpx.get(f"{server.url}/v1/models").json()["data"]
    for told in (health, card):
        assert told["fallback"] == "The hub can't be reached."
        assert told["license_notice"].startswith("Built with Higgs Materials")
    assert card["license"] == "Boson Higgs Audio 2 Community License"


def test_health_when_ready(tiny_server: TinyServer) -> None:
    body = httpx.get(f"{tiny_server.url}/health").json()
    assert body == {
        "status": "ready",
        "model": "tiny",
        "device": "cpu",
        "dtype": "float32",
        "waiting": 0,
        "max_text_characters": 4_096,
        "consent_required": False,
        "sockets": 0,
    }


@pytest.mark.parametrize("name", ["tiny", "higgs-audio"])
def test_a_model_is_found_by_its_names(tiny_server: TinyServer, name: str) -> None:
    listed = httpx.get(f"{tiny_server.url}/v1/models").json()
    found = httpx.get(f"{tiny_server.url}/v1/models/{name}").json()
    assert listed == {"object": "list", "data": [found]}
    assert found["id"] == "tiny"
    assert httpx.get(f"{tiny_server.url}/v1/models/").json() == listed


def test_an_unknown_model_is_404(tiny_server: TinyServer) -> None:
    response = httpx.get(f"{tiny_server.url}/v1/models/openai/gpt-4o")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/v2/nothing", 404, "not_found"), ("DELETE", "/v1/models", 405, "method_not_allowed")],
)
def test_unknown_routes_answer_in_openai_s_shape(
    tiny_server: TinyServer, method: str, path: str, status: int, code: str
) -> None:
    response = httpx.request(method, tiny_server.url + path)
    error = response.json()["error"]
    assert response.status_code == status
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert path in error["message"]


@pytest.mark.parametrize(("sent", "kept"), [("job-7.a:b_c", True), ("x" * 129, False), ("a b", False)])
def test_a_sane_request_id_comes_back(tiny_server: TinyServer, sent: str, kept: bool) -> None:
    response = httpx.get(f"{tiny_server.url}/v1/nothing", headers={"x-request-id": sent})
    assert (response.headers["x-request-id"] == sent) is kept
    assert response.headers["x-request-id"]


def test_an_unforeseen_error_is_a_500_in_openai_s_shape(tiny_model: Path) -> None:
    broken = APIRouter()

    @broken.get("/broken")
    def fail() -> None:
        raise ZeroDivisionError("a secret of the server")

    with serving(Settings(model=str(tiny_model), device="cpu")) as server:
        server.app.include_router(broken)
        response = httpx.get(f"{server.url}/broken")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in response.text
    assert response.headers["x-request-id"]


def test_a_body_over_the_limit_is_refused_though_it_names_no_length(tiny_server: TinyServer) -> None:
    pieces = (b" " * 2**20 for _ in range(80))
    headers = {"content-type": "application/json"}
    response = httpx.post(
        f"{tiny_server.url}/v1/chat/completions", content=pieces, headers=headers, timeout=60
    )
    assert (response.status_code, response.json()["error"]["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("flags", "remedy"),
    [
        (["--port", "{busy}"], "Another program uses port {busy}; stop it, or choose another port"),
        (["--model", "{tiny}", "--codec", "/no/codec"], "no folder /no/codec"),  # found while loading
    ],
)
def test_a_server_that_can_t_start_says_why_and_exits(
    tiny_model: Path, flags: list[str], remedy: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {"tiny": tiny_model, "busy": taken.getsockname()[1]}
        ended = start([flag.format(**names) for flag in flags])
    assert ended.returncode == 1
    assert remedy.format(**names) in ended.stderr.splitlines()[-1]


def start(flags: list[str]) -> subprocess.CompletedProcess[str]:
    given = ["--device", "cpu", "--port", str(free_port()), *flags]
    return forked.run(ROOT / "app.py", *given, environment=os.environ, folder=ROOT)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "localhost"), ("0.0.0.0", "localhost"), ("::", "localhost"), ("192.0.2.7", "192.0.2.7")],
)
def test_the_address_is_one_to_click_on(host: str, shown: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert address_of(listening, host) == f"http://{shown}:{port}/"


def test_the_log_names_the_address_once_the_model_is_ready(
    tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = create_app(Settings()).state.server
    with caplog.at_level("INFO", "app"):
        load(state, Settings(model=str(tiny_model), device="cpu"), lambda: None, "http://localhost:8000/")
    state.cloner.close()
    assert "ready: tiny on cpu; open http://localhost:8000/ in a browser" in caplog.messages


@pytest.mark.parametrize("named", [True, False])
def test_a_form_over_the_limit_is_refused_while_it_is_read(named: bool) -> None:
    """More than is taken comes piece by piece; where its length is named, the answer is the same."""
    begin = b'--b\r\ncontent-disposition: form-data; name="audio_sample"; filename="a.wav"\r\n\r\n'
    left, answer = [begin, *[bytes(1_000)] * 20], []

    async def receive() -> Message:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: Message) -> None:
        answer.append(message)

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    headers += [(b"content-length", str(sum(map(len, left))).encode())] if named else []
    request = {"type": "http", "method": "POST", "path": "/v1/audio/voices", "headers": headers}
    app = create_app(Settings(max_upload_bytes=1_000, max_voice_bytes=2_000))
    anyio.run(app, request | {"query_string": b"", "root_path": ""}, receive, send)
    begun, body = answer
    assert (begun["status"], json.loads(body["body"])["error"]["code"]) == (413, "payload_too_large")
    assert len(left) >= 13  # no more than twice the limit of 3,000 bytes is read


@pytest.mark.parametrize(
    "path", ["/", "/health", "/v1/models", "/v1/models/tiny", "/metrics", "/web/page.js"]
)
def test_head_is_get_without_the_body(tiny_server: TinyServer, path: str) -> None:
    """Kind: monitors and link checkers ask by HEAD first."""
    got, head = httpx.get(tiny_server.url + path), httpx.head(tiny_server.url + path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/v1/audio/speech", b'{"input": [' + b"[]," * 60_000 + b"[]]}", "values"),
        ("/v1/audio/voices/voice_1", b'{"name": "' + b"a" * 2**20 + b'"}', "KiB"),
    ],
)
def test_json_that_would_hold_up_the_server_is_refused(
    tiny_server: TinyServer, path: str, body: bytes, says: str
) -> None:
    """A kind of fault: a limit for recordings where none may stand, or that millions of values pass."""
    method = "PATCH" if "voices" in path else "POST"
    headers = {"content-type": "application/json"}
    response = httpx.request(method, tiny_server.url + path, content=body, headers=headers, timeout=60)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (413, "payload_too_large")
    assert says in error["message"]


def test_live_and_ready(tiny_model: Path) -> None:
    """Alive while it loads; not ready then, nor when it ends; neither once the engine's thread is gone."""
    with serving(Settings(model=str(tiny_model), device="cpu")) as server:
        server.wait_until_ready()
        state = server.app.state.server

        def probes() -> list[tuple[int, str]]:
            found = [httpx.get(f"{server.url}/{name}") for name in ("livez", "readyz")]
            return [(response.status_code, response.json()["status"]) for response in found]

        assert probes() == [(200, "alive"), (200, "ready")]
        loaded, state.cloner = state.cloner, None
        assert probes() == [(200, "alive"), (503, "loading")]
        state.cloner = loaded
        served = loaded.resident.loaded
        loaded.resident._served = replace(served, engine=DeadEngine())
        assert probes() == [(503, "failed"), (503, "failed")]
        loaded.resident._served = served
        state.drain.begin()
        assert probes() == [(200, "alive"), (503, "draining")]
        refused = httpx.get(f"{server.url}/v1/models")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
        assert int(refused.headers["retry-after"]) > 0


class DeadEngine:
    """An engine whose thread died."""

    failed = EngineFailed("The engine's thread died.")

    def close(self) -> None:
        """There is nothing to stop."""
