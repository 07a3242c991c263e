"""The end of the process, on SIGTERM: a real server in a process of its own, on a tiny model."""

import asyncio
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.serving import listening_socket, proxy_options
from errors import StartError
from tests.event_loop import run
from tests.forked import ForkedProcess
from tests.live import ROOT, environment_of, free_port
from tests.tiny_server import write_endless_model

PATIENT, IMPATIENT = 120, 1  # HIGGS_DRAIN_SECONDS
WAIT = 180
ENDLESS = {"model": "tiny", "input": "A long text. " * 300, "response_format": "pcm"}


@contextmanager
def process(model: Path, folder: Path, drain_seconds: int = IMPATIENT) -> Iterator[tuple[str, ForkedProcess]]:
    """A server whose speech goes on for ever, ready; its URL."""
    port = free_port()
    settings = {"model": model, "port": port, "device": "cpu", "data_dir": folder, "slots": 2}
    settings |= {"drain_seconds": drain_seconds, "max_frames_per_byte": 1e6, "max_speech_seconds": 1e6}
    server = ForkedProcess(ROOT / "app.py", [], environment_of(settings), ROOT, folder / "log")
    url = f"http://127.0.0.1:{port}"
    try:
        while status(f"{url}/readyz") != 200:
            assert server.poll() is None
            time.sleep(0.1)
        yield url, server
    finally:
        server.kill()
        server.wait(WAIT)


def status(url: str) -> int:
    try:
        return httpx.get(url, timeout=WAIT).status_code
    except httpx.TransportError:
        return 0


@pytest.fixture(scope="module")
def endless_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_endless_model(tmp_path_factory.mktemp("models") / "tiny")


def test_answers_are_not_held_up_on_their_way() -> None:
    """Kind of fault: with Nagle's algorithm an answer in two writes waits 40 ms for the client's system."""

    async def nodelay() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted_socket = writer.get_extra_info("socket")
            found.set_result(accepted_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = listening_socket("127.0.0.1", 0)
        async with await asyncio.start_server(accepted, sock=listening):
            with socket.create_connection(listening.getsockname()):
                return await found

    assert run(nodelay())


def test_an_address_of_another_machine_is_refused_with_a_remedy() -> None:
    with pytest.raises(StartError, match="--host takes an address of this machine"):
        listening_socket("192.0.2.1", 0)


@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.1, 127.0.0.0/8", "*"])
def test_a_proxy_is_trusted_by_its_ipv4_address_wherever_the_server_listens(trusted: str) -> None:
    for proxy in ("127.0.0.1", "::ffff:127.0.0.1"):
        assert believed(trusted, proxy)
        assert not believed(None, proxy)
    for stranger in ("192.0.2.9", "::ffff:192.0.2.9", "::1"):
        assert believed(trusted, stranger) is (trusted == "*")


def believed(trusted: str | None, address: str) -> bool:
    """Whether uvicorn believes the x-forwarded-for of a client at this address."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])

    proxied = ProxyHeadersMiddleware(app, proxy_options(trusted)["forwarded_allow_ips"])
    scope: Any = {
        "type": "http",
        "client": (address, 1),
        "headers": [(b"x-forwarded-for", b"198.51.100.7")],
    }
    silent: Any = None
    run(proxied(scope, silent, silent))
    return seen == ["198.51.100.7"]


def raw_request(url: str, body: bytes, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    head = f"POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n"
    connection.sendall(f"{head}content-type: application/json\r\n\r\n".encode() + sent)
    return connection


def test_what_is_under_way_is_finished_and_what_is_new_refused(endless_model: Path, tmp_path: Path) -> None:
    """Streams end whole within the drain's seconds; new requests get 503 and Retry-After; probes answer."""
    with process(endless_model, tmp_path, PATIENT) as (url, server):
        received, begun = bytearray(), threading.Event()

        def listen() -> None:
            body = ENDLESS | {"max_tokens": 600}
            with httpx.stream("POST", f"{url}/v1/audio/speech", json=body, timeout=WAIT) as response:
                for part in response.iter_bytes():
                    received.extend(part)
                    begun.set()

        listener = threading.Thread(target=listen)
        listener.start()
        assert begun.wait(WAIT)
        server.send_signal(signal.SIGTERM)
        wait_for(lambda: status(f"{url}/readyz") == 503)
        refused = httpx.post(f"{url}/v1/audio/speech", json=ENDLESS)
        probes = [status(f"{url}/{name}") for name in ("livez", "health")]
        assert server.wait(WAIT) == 0
        listener.join()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
    assert int(refused.headers["retry-after"]) > 0
    assert probes == [200, 200]
    assert len(received) == (600 - 8) * 960 * 2


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_cannot_be_finished_is_told_so(endless_model: Path, tmp_path: Path) -> None:
    """An endless stream of events ends with the error, and a whole answer is 503, not 499; the exit is 0."""
    with process(endless_model, tmp_path) as (url, server):
        ends: list[bytes | int] = []

        def stream() -> None:
            body = ENDLESS | {"stream_format": "sse"}
            ends.append(
                httpx.post(f"{url}/v1/audio/speech", json=body, timeout=WAIT).content.split(b"\n\n")[-2]
            )

        def whole() -> None:
            body = ENDLESS | {"stream": False}
            ends.append(httpx.post(f"{url}/v1/audio/speech", json=body, timeout=WAIT).status_code)

        clients = [threading.Thread(target=ask) for ask in (stream, whole)]
        for client in clients:
            client.start()
        wait_for(lambda: "higgs_speaking_requests 2.0" in httpx.get(f"{url}/metrics").text)
        server.send_signal(signal.SIGTERM)
        assert server.wait(WAIT) == 0
        for client in clients:
            client.join()
    (event,) = [end for end in ends if isinstance(end, bytes)]
    assert json.loads(event.removeprefix(b"data: "))["error"]["code"] == "shutting_down"
    assert 503 in ends


def test_no_client_holds_the_end_up(endless_model: Path, tmp_path: Path) -> None:
    """Neither one that sends half a body, nor one that doesn't read its answer."""
    body = json.dumps(ENDLESS).encode()
    with process(endless_model, tmp_path) as (url, server):
        connections = [raw_request(url, body, body[:10]), raw_request(url, body, body)]
        wait_for(lambda: "higgs_speaking_requests 1.0" in httpx.get(f"{url}/metrics").text)
        server.send_signal(signal.SIGTERM)
        assert server.wait(WAIT) == 0
        for connection in connections:
            connection.close()


def test_a_second_signal_ends_it_at_once(endless_model: Path, tmp_path: Path) -> None:
    body = json.dumps(ENDLESS).encode()
    with process(endless_model, tmp_path) as (url, server):
        connection = raw_request(url, body, body)
        wait_for(lambda: "higgs_speaking_requests 1.0" in httpx.get(f"{url}/metrics").text)
        server.send_signal(signal.SIGTERM)
        wait_for(lambda: status(f"{url}/readyz") == 503)
        server.send_signal(signal.SIGTERM)
        assert server.wait(WAIT) == 128 + signal.SIGTERM
        connection.close()
