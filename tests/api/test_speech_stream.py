"""WS /v1/audio/speech/stream, as the clients of vLLM-Omni and SGLang-Omni use it."""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from api.live.text_in import MAX_WAITING
from api.live.utterance import Narrator
from audio.decode import decode_audio
from tests.api.test_chat import RECORDING
from tests.api.test_metrics import scraped
from tests.live import LiveServer
from tests.tiny_server import TinyServer

CONFIG: dict[str, Any] = {"seed": 1, "temperature": 0, "max_tokens": 40, "response_format": "pcm"}
FRAMES = 40 - 8  # of each part: the tiny model speaks as long as it may


@dataclass
class Utterance:
    """What came until session.done: the events, and the sound of each part."""

    events: list[dict[str, Any]] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def texts(self) -> list[str]:
        return [event["sentence_text"] for event in self.of("audio.start")]


@contextmanager
def session(server: TinyServer | LiveServer, **config: Any) -> Iterator[Connection]:
    with connect(server.url.replace("http", "ws") + "/v1/audio/speech/stream", max_size=None) as socket:
        send(socket, "session.config", **(CONFIG | config))
        yield socket


def send(socket: Connection, type: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": type, **fields}))


def event(socket: Connection) -> dict[str, Any]:
    received = socket.recv(timeout=120)
    assert isinstance(received, str)
    return json.loads(received)


def speak_endlessly(socket: Connection) -> None:
    """Send a text whose speech has no end, and wait for its first sound."""
    send(socket, "input.text", text="An endless text. " * 20)
    while isinstance(socket.recv(timeout=120), str):
        pass


def heard(socket: Connection, until: str = "session.done") -> Utterance:
    found = Utterance()
    while not found.events or found.events[-1]["type"] != until:
        received = socket.recv(timeout=120)
        if isinstance(received, bytes):
            found.parts = found.parts or [b""]  # the rest of a part whose start was taken before
            found.parts[-1] += received
            continue
        found.events.append(json.loads(received))
        if found.events[-1]["type"] == "audio.start":
            found.parts.append(b"")
    return found


def test_speech_begins_before_the_text_is_written(tiny_server: TinyServer) -> None:
    with session(tiny_server, stream_audio=True) as socket:
        for piece in ("When it had ", "rained, ", "we le"):
            send(socket, "input.text", text=piece)
        first = heard(socket, until="audio.done")
        assert first.texts == ["When it had rained,"] and len(first.parts[0]) == 2 * FRAMES * 960
        for piece in ("ft. And", " then?"):
            send(socket, "input.text", text=piece)
        send(socket, "input.done")
        rest = heard(socket)
    assert " ".join(first.texts + rest.texts) == "When it had rained, we left. And then?"
    assert rest.events[-1] == {
        "type": "session.done",
        "utterance_index": 0,
        "total_sentences": 1 + len(rest.texts),
    }


@pytest.mark.parametrize("stream_audio", [True, False])
def test_parts_are_those_asked_for_and_sound_as_on_the_other_route(
    tiny_server: TinyServer, stream_audio: bool
) -> None:
    with session(
        tiny_server, split_granularity="sentence", response_format="wav", stream_audio=stream_audio
    ) as socket:
        send(socket, "input.text", text="Hello world. How ")
        send(socket, "input.text", text="are you? Well.")
        send(socket, "input.done")
        spoken = heard(socket)
    assert spoken.texts == ["Hello world.", "How are you?", "Well."]
    asked = CONFIG | {"model": "tiny", "input": "Hello world.", "response_format": "wav"}
    whole = httpx.post(f"{tiny_server.url}/v1/audio/speech", json=asked, timeout=60).content
    np.testing.assert_array_equal(decode_audio(spoken.parts[0]), decode_audio(whole))
    done = spoken.of("audio.done")
    assert [each["total_bytes"] for each in done] == list(map(len, spoken.parts))
    assert [each["sentence_index"] for each in done] == [0, 1, 2] and not any(each["error"] for each in done)


def test_none_waits_for_the_end_and_several_utterances_go_over_one_socket(tiny_server: TinyServer) -> None:
    with session(tiny_server, split_granularity="none") as socket:
        for text in ("One, two. Three.", "Four."):  # without waiting for the first to be spoken
            send(socket, "input.text", text=text)
            send(socket, "input.done")
        send(socket, "session.config", **CONFIG, voice="clone", ref_audio=RECORDING)
        send(socket, "input.text", text="Five.")
        send(socket, "input.done")
        first, second, third = heard(socket), heard(socket), heard(socket)
        narrators = [each for each in gc.get_objects() if type(each) is Narrator]
        assert narrators and not any(each.config.ref_audio for each in narrators), "megabytes of each client"
        send(socket, "session.close")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=60)
        assert socket.close_code == 1000
    assert (first.texts, second.texts, third.texts) == (["One, two. Three."], ["Four."], ["Five."])
    assert [each.events[-1]["utterance_index"] for each in (first, second, third)] == [0, 1, 2]
    assert second.parts != third.parts


@pytest.mark.parametrize("whole", [True, False])
def test_a_close_is_behind_what_was_sent_before(tiny_server: TinyServer, whole: bool) -> None:
    with session(tiny_server) as socket:
        send(socket, "input.text", text="One is here.")
        send(socket, "input.done")
        send(socket, "input.text", text="Two is here.")
        if whole:
            send(socket, "input.done")
        send(socket, "session.close")
        assert [heard(socket).texts for _ in range(2)] == [["One is here."], ["Two is here."]]
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=60)
        assert socket.close_code == 1000


def test_a_flush_speaks_what_is_there_and_goes_on(tiny_server: TinyServer) -> None:
    with session(tiny_server) as socket:
        send(socket, "input.text", text="Hello")
        send(socket, "input.flush")
        assert heard(socket, until="audio.done").texts == ["Hello"]
        send(socket, "input.text", text="there")
        send(socket, "input.done")
        assert heard(socket).texts == ["there"]


def test_cancel_stops_speech_and_forgets_the_text(endless_server: TinyServer) -> None:
    with session(endless_server, stream_audio=True, max_tokens=None) as socket:
        speak_endlessly(socket)
        for text in ("", *["Later. "] * MAX_WAITING, "One more. "):
            send(socket, "input.text", text=text)
            send(socket, "input.done")
        assert [each["error"]["code"] for each in heard(socket, until="error").of("error")] == ["overloaded"]
        send(socket, "input.cancel")
        ended = heard(socket)
        assert ended.of("audio.done")[0]["cancelled"] and ended.events[-1]["cancelled"]
        send(socket, "session.config", **CONFIG)  # the one slot is free again
        send(socket, "input.text", text="Short. ")
        send(socket, "input.done")
        assert heard(socket).texts == ["Short."]


def test_a_client_that_leaves_frees_its_slot(endless_server: TinyServer) -> None:
    with session(endless_server, stream_audio=True, max_tokens=None) as socket:
        speak_endlessly(socket)
    with session(endless_server, stream_audio=False, max_tokens=None) as socket:
        send(socket, "input.text", text="An endless text. " * 20)
        assert event(socket)["type"] == "audio.start"
        send(socket, "session.close")  # which waits for the end of the speech
    with session(endless_server) as socket:
        send(socket, "input.text", text="Short.")
        send(socket, "input.done")
        assert heard(socket).texts == ["Short."]
        figures = scraped(endless_server)
        assert figures["higgs_sockets"] == 1 and figures["higgs_speaking_requests"] == 0


def test_each_utterance_takes_its_place_in_the_queue(
    endless_server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: what continues earlier speech passes those that wait, even where it is a request of its own."""
    scheduler = endless_server.app.state.server.cloner.engine._scheduler
    with (
        session(endless_server, split_granularity="sentence") as socket,
        session(endless_server, stream_audio=True, max_tokens=None) as other,
    ):
        send(socket, "input.text", text="First.")
        send(socket, "input.done")
        assert not heard(socket).of("error")
        monkeypatch.setattr(scheduler, "queue_limit", 0)
        speak_endlessly(other)
        send(socket, "input.text", text="One. Two.")
        send(socket, "input.done")
        refused = heard(socket).of("error")
        assert [each["error"]["code"] for each in refused] == ["overloaded"] * 2
        assert not scheduler.waiting


def test_what_cannot_be_served_is_told_and_the_session_goes_on(tiny_server: TinyServer) -> None:
    with session(tiny_server, voice="nobody") as socket:
        told = event(socket)
        assert told["type"] == "error" and told["message"] == told["error"]["message"]
        assert (told["error"]["code"], told["error"]["param"]) == ("voice_not_found", "voice")
        wrong = [
            ("input.text", {"text": "Hello."}, "session_not_configured"),
            ("session.config", CONFIG | {"verify": True}, "unsupported"),
            ("session.config", CONFIG | {"speed": 9}, "invalid_value"),
            ("session.config", CONFIG | {"model": "gpt-4o"}, "model_not_found"),
            ("input.song", {}, "unknown_message"),
        ]
        for type, fields, code in wrong:
            send(socket, type, **fields)
            assert event(socket)["error"]["code"] == code
        send(socket, "session.config", **CONFIG)
        for fields, code in (
            ({"text": 7}, "invalid_type"),
            ({}, "missing_required_parameter"),
            ({"text": "x" * 5000}, "text_too_long"),
        ):
            send(socket, "input.text", **fields)
            assert event(socket)["error"]["code"] == code
        send(socket, "input.text", text="Hello, [pause 99s] there. Good.")
        send(socket, "session.config", **CONFIG)
        send(socket, "input.done")
        spoken = heard(socket)
    codes = [each["error"]["code"] for each in spoken.of("error")]
    assert "utterance_in_progress" in codes and "invalid_pause" in codes


def test_nothing_is_spoken_of_nothing(tiny_server: TinyServer) -> None:
    with session(tiny_server) as socket:
        send(socket, "input.text", text=" ... ")
        send(socket, "input.done")
        assert [each["total_sentences"] for each in heard(socket).events] == [0]


@pytest.mark.parametrize(("frame", "code"), [('{"type": "input', 1007), ("[1]", 1007), (b"\x00\x01", 1003)])
def test_what_is_no_message_closes_and_is_told_why(
    tiny_server: TinyServer, frame: str | bytes, code: int
) -> None:
    with session(tiny_server) as socket:
        socket.send(frame)
        assert event(socket)["error"]["code"] == "invalid_message"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=60)
        assert (socket.close_code, socket.close_reason) == (code, "invalid_message")


def test_frames_of_100_mb_close_at_their_head(tiny_server: TinyServer) -> None:
    with session(tiny_server) as socket, pytest.raises(ConnectionClosed):
        socket.send("x" * 100_000_000)
        socket.recv(timeout=60)
    # One that is closed while it is still being written to may be reset before its last frame is read.
    assert socket.close_code in (1009, 1006)


def test_too_many_sockets_are_refused(tiny_server: TinyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = tiny_server.app.state.server.sockets
    monkeypatch.setattr(sockets, "max_open", sockets.open + 1)
    with session(tiny_server), pytest.raises(InvalidStatus) as refused, session(tiny_server):
        pass
    answer = refused.value.response
    assert answer.status_code == 429 and answer.headers["retry-after"]
    assert json.loads(answer.body or b"")["error"]["code"] == "overloaded"


def test_an_idle_socket_is_closed(tiny_server: TinyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_server.app.state.server.sockets, "idle_seconds", 0.2)
    with session(tiny_server) as socket:
        send(socket, "input.text", text="What is never end")
        assert heard(socket).texts == ["What is never end"]
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=60)
        assert (socket.close_code, socket.close_reason) == (1001, "idle for too long")
