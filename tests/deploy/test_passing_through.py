"""What passes through Ray Serve's proxy besides answers: WebSockets, and that a client or replica is gone."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import numpy as np
import pytest
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.typing import Origin

from tests.api.realtime_client import configured, connected, message, sound, until
from tests.api.test_speech_stream import CONFIG, heard, send, session
from tests.deploy.asking import LONG, SPEECH, TEXT, WAIT, speak, speaking, wait_for
from tests.deploy.fleet import Fleet
from tests.live import LiveServer


def speak_long(socket: Connection) -> None:
    send(socket, "input.text", text=TEXT)
    send(socket, "input.done")
    while not isinstance(socket.recv(timeout=WAIT), bytes):
        pass


def test_a_written_text_is_spoken_over_a_socket(replicas: Fleet) -> None:
    with session(LiveServer(replicas.url), split_granularity="sentence") as socket:
        send(socket, "input.text", text=f"{TEXT} How are")
        send(socket, "input.text", text=" you?")
        send(socket, "input.done")
        spoken = heard(socket)
    assert spoken.texts == [TEXT, "How are you?"]
    assert spoken.parts[0] == speak(replicas, TEXT, max_tokens=CONFIG["max_tokens"]).content


def test_openais_client_has_a_realtime_session(replicas: Fleet) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        await configured(link)
        await link.response.create(response={"conversation": "none", "input": [message(TEXT)]})
        spoken = np.frombuffer(sound(await until(link, "response.done")), "<i2").astype(int)
        whole = np.frombuffer(speak(replicas, TEXT, max_tokens=58).content, "<i2").astype(int)
        np.testing.assert_allclose(spoken, whole, atol=2)

    connected(LiveServer(replicas.url), talk)


def test_a_refused_handshake_says_why(replicas: Fleet) -> None:
    url, elsewhere = replicas.url.replace("http", "ws") + "/v1/realtime", Origin("https://evil.example")
    with pytest.raises(InvalidStatus) as refused, connect(url, origin=elsewhere):
        pass
    assert refused.value.response.status_code == 403
    assert b"origin_not_allowed" in refused.value.response.body


def test_a_client_that_leaves_frees_its_slot(replicas: Fleet) -> None:
    body = SPEECH | LONG | {"input": TEXT, "response_format": "pcm"}
    with httpx.stream("POST", f"{replicas.url}/v1/audio/speech", json=body, timeout=WAIT) as response:
        pieces = response.iter_bytes()  # kept, since the connection ends with it
        next(pieces)
        assert speaking(replicas) == 1
    wait_for(lambda: speaking(replicas) == 0)


def test_a_socket_that_breaks_off_frees_its_slot(replicas: Fleet) -> None:
    with session(LiveServer(replicas.url), stream_audio=True, **LONG) as socket:
        speak_long(socket)
        assert speaking(replicas) == 1
        socket.socket.shutdown(2)
        wait_for(lambda: speaking(replicas) == 0)


def heard_out(fleet: Fleet) -> None:
    with session(LiveServer(fleet.url), stream_audio=True, **LONG) as socket:
        speak_long(socket)
        while True:
            socket.recv(timeout=WAIT)


def test_every_client_of_a_killed_replica_is_told(replicas: Fleet) -> None:
    """All replicas are killed at once; a request that comes meanwhile waits for new ones."""
    kinds: list[Callable[[], Any]] = [
        partial(speak, replicas, TEXT, stream=False, **LONG),
        partial(speak, replicas, TEXT, **LONG),
        partial(speak, replicas, TEXT, stream_format="sse", **LONG),
        partial(heard_out, replicas),
    ]
    with ThreadPoolExecutor(len(kinds)) as pool:
        whole, *broken, socket = [pool.submit(kind) for kind in kinds]
        wait_for(lambda: speaking(replicas) == len(kinds))
        for victim in replicas.replicas():
            os.kill(victim, signal.SIGKILL)
        refused = whole.result()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "replica_unavailable")
        assert refused.headers["retry-after"] == "1" and refused.headers["x-request-id"]
        for answer in broken:
            with pytest.raises(httpx.RemoteProtocolError):
                answer.result()
        with pytest.raises(ConnectionClosed):
            socket.result()
    assert speak(replicas, TEXT).status_code == 200
    replicas.wait_until_whole()
