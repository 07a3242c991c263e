"""Who may open a Realtime session, and what ends one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import ClientSecretCreateResponse
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidStatus

from settings import Settings
from tests.api.realtime_client import configured, connected, event, message, until
from tests.event_loop import run
from tests.tiny_server import TinyServer, ready, write_whole_model


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    model = write_whole_model(tmp_path_factory.mktemp("guarded") / "tiny")
    with ready(Settings(model=str(model), device="cpu", api_keys=SecretStr("ann"))) as server:
        yield server


@asynccontextmanager
async def a_client(server: TinyServer, key: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0) as client:
        yield client


def test_a_client_secret_opens_sessions_and_nothing_else(guarded: TinyServer) -> None:
    async def use() -> None:
        async with a_client(guarded, "ann") as owner:
            made = await owner.realtime.client_secrets.create(
                expires_after={"anchor": "created_at", "seconds": 60},
                session={"type": "realtime", "instructions": "Softly.", "audio": {"output": {"speed": 1.25}}},
            )
        ClientSecretCreateResponse.model_validate_json(made.to_json(exclude_unset=False))
        assert made.value.startswith("ek_")
        async with a_client(guarded, made.value) as browser:
            async with browser.realtime.connect(model="gpt-realtime") as link:
                session = (await event(link)).session
                assert session.instructions == "Softly." and session.audio.output.speed == 1.25
            with pytest.raises(openai.AuthenticationError):
                await browser.models.list()
        for key in ("eve", "ek_unknown"):
            async with a_client(guarded, key) as stranger:
                with pytest.raises(InvalidStatus) as refused:
                    await stranger.realtime.connect(model="gpt-realtime").enter()
                assert refused.value.response.status_code == 401

    run(use())


def test_a_client_secret_for_a_voice_that_is_not_there_is_refused(guarded: TinyServer) -> None:
    session = {"type": "realtime", "audio": {"output": {"voice": "nobody"}}}
    answer = httpx.post(
        f"{guarded.url}/v1/realtime/client_secrets",
        json={"session": session},
        headers={"authorization": "Bearer ann"},
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "voice_not_found")
    assert error["param"] == "session.audio.output.voice"


def test_what_is_left_of_a_rate_limit_is_told_at_each_response(tiny_model: Path) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        await configured(link)
        left = []
        for _ in range(2):
            await link.response.create(response={"conversation": "none", "input": [message("Hi.")]})
            told = next(
                each for each in await until(link, "response.done") if each.type == "rate_limits.updated"
            )
            left += [(limit.name, limit.limit, limit.remaining) for limit in told.rate_limits]
        assert left == [("requests", 3, 1), ("requests", 3, 0)]
        await link.response.create(response={"conversation": "none", "input": [message("Hi.")]})
        assert (await event(link)).error.code == "rate_limit_exceeded"

    with ready(Settings(model=str(tiny_model), device="cpu", rate_limit="3/hour")) as server:
        connected(server, talk)


@pytest.mark.parametrize(("frame", "code"), [("{", 1007), (b"\x00", 1003), ("x" * 17_000_000, 1009)])
def test_hostile_frames_close(tiny_server: TinyServer, frame: str | bytes, code: int) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        with pytest.raises(ConnectionClosed) as closed:
            await link._connection.send(frame)
            while True:
                await event(link)
        received = (
            closed.value.rcvd
        )  # None where the connection was reset while the frame was still being sent
        assert received.code == code if received else len(frame) > 1_000

    connected(tiny_server, talk)
