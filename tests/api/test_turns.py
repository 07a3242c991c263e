"""Turns of a WebSocket that follow each other, on a wire on which nothing goes out until it is let go."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any, cast

from fastapi.websockets import WebSocket

from api.live.text_in import TextIn
from api.live.utterance import Narrator
from api.request_context import WEBSOCKET, RequestContext, request_context
from api.schemas.speech_stream import StreamConfig
from api.sockets import Channel
from tests.event_loop import run


class HeldWire:
    """Stands for a Channel whose client reads nothing for a while."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.turns: list[asyncio.Task[None]] = []

    def begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        self.turns.append(asyncio.ensure_future(work))
        return self.turns[-1]

    def waiting_for_client(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def send(self, event: dict[str, Any]) -> None:
        await self.reads.wait()
        self.sent.append(event)


def test_a_cancel_between_two_utterances_is_told() -> None:
    """Kind: a state between two states; the client waited for a session.done that never came."""

    async def told() -> list[tuple[int, bool]]:
        wire: Any = HeldWire()
        state: Any = SimpleNamespace(limits=SimpleNamespace(text_characters=99))
        unlimited = cast(WebSocket, SimpleNamespace(state=SimpleNamespace()))
        session = TextIn(unlimited, wire, cast(Any, None), state, "")
        session._narrator = Narrator(StreamConfig(model="tiny"), cast(Any, None))
        for text in ("...", "Later."):  # the first has no words, and so ends at once
            await session._handle({"type": "input.text", "text": text})
            await session._handle({"type": "input.done"})
        while len(session._utterances) > 1:
            await asyncio.sleep(0)
        cancelling = asyncio.ensure_future(session._handle({"type": "input.cancel"}))
        while session._utterances:
            await asyncio.sleep(0)
        wire.reads.set()
        await asyncio.gather(cancelling, *wire.turns)
        return [(event["utterance_index"], event.get("cancelled", False)) for event in wire.sent]

    assert run(told()) == [(0, False), (1, True)]


def test_turns_that_begin_each_other_are_numbered_one_after_the_other() -> None:
    """Kind: what is inherited grows: the thousandth utterance had an id of four thousand characters."""

    async def ids() -> list[str]:
        seen: list[str] = []
        state = SimpleNamespace(observe=lambda record: seen.append(record.id))
        socket: Any = SimpleNamespace(state=state, scope={"route": SimpleNamespace(path="/v1/echo")})
        with request_context(RequestContext("req_1", WEBSOCKET, "/v1/echo")):
            channel = Channel(socket, cast(Any, None), 60)

        async def turn(further: int) -> None:
            if further:
                channel.begin(turn(further - 1))

        channel.begin(turn(2))
        while channel._turns:
            await asyncio.sleep(0)
        return seen

    assert run(ids()) == ["req_1.1", "req_1.2", "req_1.3"]
