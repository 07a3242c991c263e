"""What every WebSocket goes through before and after its handshake, as requests do."""

import logging
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from api.middleware.logs import set_up_logs
from api.sockets import MAX_MESSAGE_BYTES
from tests.api.test_metrics import figures
from tests.api.unloaded import unloaded

ECHO = "/v1/echo"


async def echo(socket: WebSocket) -> None:
    """Send each text back, until "fail" is asked for or the client leaves."""
    await socket.accept()
    while True:
        text = await socket.receive_text()
        if text == "fail":
            raise ValueError("what nobody foresaw")
        await socket.send_text(text)


def echoing(**settings: Any) -> TestClient:
    client = unloaded(**settings)
    assert isinstance(client.app, FastAPI)
    client.app.add_api_websocket_route(ECHO, echo)
    return client


def refused(client: TestClient, **options: Any) -> WebSocketDenialResponse:
    with pytest.raises(WebSocketDenialResponse) as refusal, client.websocket_connect(ECHO, **options):
        pass
    return refusal.value


def test_a_key_comes_in_a_header_or_as_a_subprotocol() -> None:
    client = echoing(keys="ann, bob")
    answer = refused(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert answer.headers["x-request-id"] and answer.headers["www-authenticate"] == "Bearer"
    assert refused(client, headers={"authorization": "Bearer eve"}).status_code == 401
    assert refused(client, subprotocols=["realtime", "openai-insecure-api-key.eve"]).status_code == 401
    for options in (
        {"headers": {"authorization": "Bearer ann"}},
        {"subprotocols": ["realtime", "openai-insecure-api-key.bob"]},
    ):
        with client.websocket_connect(ECHO, **options) as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "hello"


def test_a_key_in_a_subprotocol_opens_nothing_else() -> None:
    """Kind: headers of an ordinary request that mean something to WebSockets only."""
    client = echoing(keys="ann")
    headers = {"sec-websocket-protocol": "openai-insecure-api-key.ann"}
    assert client.get("/v1/models", headers=headers).status_code == 401


def test_pages_of_other_sites_and_unknown_names_are_refused() -> None:
    answer = refused(echoing(), headers={"origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
    answer = refused(echoing(), headers={"host": "rebound.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host_not_allowed")
    with echoing(cors_origins="https://good.example").websocket_connect(
        ECHO, headers={"origin": "https://good.example"}
    ):
        pass


def test_a_handshake_counts_for_the_rate_limit_and_tells_what_is_left() -> None:
    client = echoing(rate_limit="1/minute")
    with client.websocket_connect(ECHO) as socket:
        headers: dict[bytes, bytes] = dict(socket.extra_headers or [])
        assert headers[b"x-ratelimit-remaining-requests"] == b"0" and headers[b"x-request-id"]
    answer = refused(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 55 <= int(answer.headers["retry-after"]) <= 60


def test_none_is_accepted_while_the_server_ends() -> None:
    client = echoing()
    client.app.state.server.drain.begin()  # type: ignore[attr-defined]
    answer = refused(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")


@pytest.mark.parametrize("message", ["x" * (MAX_MESSAGE_BYTES + 1), "," * 60_000], ids=["bytes", "values"])
def test_a_message_that_is_too_large_closes(message: str) -> None:
    with echoing().websocket_connect(ECHO) as socket:
        socket.send_text(message)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert (closed.value.code, closed.value.reason) == (1009, "message_too_large")


def test_what_nobody_foresaw_closes_with_1011_and_tells_nothing() -> None:
    client = echoing()
    with pytest.raises(ValueError, match="foresaw"), client.websocket_connect(ECHO) as socket:
        socket.send_text("fail")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert (closed.value.code, closed.value.reason) == (1011, "")


def test_each_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    client = echoing()
    with caplog.at_level(logging.INFO, "requests"):
        with client.websocket_connect(f"{ECHO}?text=secret", headers={"x-request-id": "mine-7"}) as socket:
            socket.close(1000)
        refused(client, headers={"origin": "https://evil.example"})
    accepted, denied = (vars(record)["details"] for record in caplog.records if record.name == "requests")
    assert accepted.pop("seconds") >= 0 and denied.pop("seconds") >= 0
    assert accepted == {
        "request_id": "mine-7",
        "method": "WEBSOCKET",
        "route": ECHO,
        "status": 101,
        "close_code": 1000,
    }
    assert (denied["status"], denied["errors"]) == (403, "origin_not_allowed")
    seen = figures(client.get("/metrics").text)
    assert seen[f"higgs_requests_total,WEBSOCKET,{ECHO},101"] == 1
    assert seen[f"higgs_sockets_closed_total,1000,{ECHO}"] == 1
    assert seen["higgs_sockets"] == 0 and f"higgs_request_seconds_count,{ECHO}" not in seen


def test_uvicorn_s_own_lines_of_addresses_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """Kind: a key or a text in the address of a WebSocket, written to the log."""
    set_up_logs("info", "text")
    log = logging.getLogger("uvicorn.error")
    with caplog.at_level(logging.INFO, "uvicorn.error"):
        log.info('%s - "WebSocket %s" [accepted]', "127.0.0.1", "/v1/realtime?key=secret")
        log.info("Application startup complete.")
    assert caplog.messages == ["Application startup complete."]
