"""WebSockets at the end of the process, many of them, and clients that don't read."""

import json
import signal
import socket
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from api import drain
from tests.api.test_metrics import scraped
from tests.test_serving import PATIENT, WAIT, process, wait_for
from tests.tiny_server import TinyServer

SPOKEN = {
    "conversation": "none",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "A text. " * 300}]}
    ],
    "max_output_tokens": 600,
}
MANY, KEPT = 300, 200


def events(link: Connection, until: str) -> list[str]:
    found: list[str] = []
    while until not in found:
        found.append(json.loads(link.recv(timeout=WAIT))["type"])
    return found


def close_code(link: Connection) -> int | None:
    with pytest.raises(ConnectionClosed):
        while True:
            link.recv(timeout=WAIT)
    return link.close_code


def test_what_is_spoken_is_finished_and_then_all_are_closed(endless_model: Path, tmp_path: Path) -> None:
    with process(endless_model, tmp_path, PATIENT) as (url, server):
        address = url.replace("http", "ws") + "/v1/realtime"
        with connect(address) as idle, connect(address, max_size=None) as listening:
            listening.send(json.dumps({"type": "response.create", "response": SPOKEN}))
            events(listening, "response.output_audio.delta")
            server.send_signal(signal.SIGTERM)
            assert close_code(idle) == 1012
            assert events(listening, "response.done")
            assert close_code(listening) == 1012
        assert server.wait(WAIT) == 0


def opened(server: TinyServer, buffer: int = 65_536) -> tuple[socket.socket, int]:
    """A connection whose handshake was answered, and the answer's status. buffer: bytes that it may hold."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(WAIT)
    connection.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
    lines = ["GET /v1/audio/speech/stream HTTP/1.1", "host: localhost", "connection: upgrade"]
    lines += [
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection, int(connection.recv(1_000).split()[1])


def test_many_idle_sockets_are_bounded_and_cost_nobody_else(
    tiny_server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = tiny_server.app.state.server.sockets
    monkeypatch.setattr(sockets, "max_open", KEPT)
    found = [opened(tiny_server) for _ in range(MANY)]
    assert [status for _, status in found].count(101) == KEPT
    assert {status for _, status in found} == {101, 429}
    asked = {"model": "tiny", "input": "Hello.", "seed": 1, "max_tokens": 20}
    assert httpx.post(f"{tiny_server.url}/v1/audio/speech", json=asked, timeout=WAIT).status_code == 200
    assert httpx.get(f"{tiny_server.url}/health").json()["sockets"] == KEPT
    for connection, _ in found:
        connection.close()
    while httpx.get(f"{tiny_server.url}/health").json()["sockets"]:
        pass


def message(type: str, **fields: object) -> bytes:
    """A client's message as a frame, masked by zeros."""
    data = json.dumps({"type": type, **fields}).encode()
    return bytes([0x81, 0x80 | 126]) + len(data).to_bytes(2, "big") + bytes(4) + data


def test_a_client_that_does_not_read_is_given_up_and_frees_its_slot(
    endless_server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "STALLED_SECONDS", 1.0)
    deaf, _ = opened(endless_server, buffer=4_096)
    deaf.sendall(message("session.config", response_format="pcm", stream_audio=True, temperature=0))
    deaf.sendall(message("input.text", text="An endless text. " * 200))
    wait_for(lambda: scraped(endless_server)["higgs_speaking_requests"] == 1)
    wait_for(lambda: scraped(endless_server)["higgs_speaking_requests"] == 0)
    assert scraped(endless_server)["higgs_sockets"] == 0
    asked = {"model": "tiny", "input": "Hello.", "seed": 1, "max_tokens": 20}
    assert httpx.post(f"{endless_server.url}/v1/audio/speech", json=asked, timeout=WAIT).status_code == 200
    deaf.close()
