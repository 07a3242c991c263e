"""Bodies that are sent slowly, or by many at once: how long, and how many of them, the server holds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from functools import partial
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message

from api import drain
from api.drain import _Body
from tests.api.unloaded import unloaded
from tests.event_loop import run


class SlowClient:
    """Sends a body on a clock of its own; stands for the drain, which waits for it.

    sent: pauses in seconds, and how many bytes come after each.
    """

    begun = False

    def __init__(self, sent: Iterable[tuple[float, int]]) -> None:
        self.now, self._sent = 1000.0, iter(sent)

    def monotonic(self) -> float:
        return self.now

    async def bounded(self, message: Awaitable[Message], seconds: float) -> Message:
        came = await message
        self.now += min(came["pause"], seconds)
        if came["pause"] > seconds:
            raise TimeoutError
        return came

    async def receive(self) -> Message:
        pause, size = next(self._sent)
        return {"type": "http.request", "pause": pause, "body": bytes(size), "more_body": True}

    async def cut_off_after(self) -> float:
        """The time that the server waits for this body."""
        body: Any = _Body(self.receive, self)  # type: ignore[arg-type]
        with pytest.raises(HTTPException) as late:
            while True:
                await body.receive()
        assert late.value.status_code == 408
        return self.now - 1000


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ([(29.0, 10), (29.0, 10)], 30),
        ([(0.1, 2**16)] * 1000 + [(5.0, 1)] * 100, 100 + 30),  # 60 MiB at once, then hardly anything
        ([(20.0, 20 * 4_096)] * 30 + [(20.0, 10 * 4_096)] * 30, 600 + 20 + 20 + 10),
        ([(10.0, 2**20)] * 1000, 1_200),
    ],
)
def test_a_body_must_keep_coming_and_come_to_an_end(
    sent: list[tuple[float, int]], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kind of fault: what a client sends at once earns it hours, in which the server holds that."""
    client = SlowClient(sent)
    monkeypatch.setattr(drain, "time", client)
    assert run(client.cut_off_after()) == pytest.approx(seconds, abs=1)


def test_bodies_that_are_being_sent_are_limited_together_but_not_short_ones() -> None:
    """A kind of fault: half-sent requests count nowhere, and fill the memory."""
    crowd = 12  # which sends 2 MiB beyond the first one each; eight bodies of 3 MiB may be held

    async def answers() -> list[httpx.Response]:
        app = unloaded(max_upload_bytes=2**20, max_voice_bytes=2**20).app
        sent, let_go = asyncio.Semaphore(0), asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"A" * (3 * 2**20 - 1)
            sent.release()
            await let_go.wait()
            yield b"A"

        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:
            post = partial(client.post, "/v1/audio/speech", headers={"content-type": "application/json"})
            waiting = [asyncio.create_task(post(content=body())) for _ in range(crowd)]
            for _ in range(crowd):
                await sent.acquire()
            large, small = await post(content=b"A" * 2**21), await post(content=b"A" * 2**19)
            let_go.set()
            return [large, small, *await asyncio.gather(*waiting), await post(content=b"A" * 2**21)]

    refused, *others = run(answers())
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["type"]) == (429, "overloaded", "rate_limit_error")
    assert int(refused.headers["retry-after"]) > 0
    assert 429 not in {answer.status_code for answer in others}
