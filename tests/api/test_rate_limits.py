"""Limits on how often a key or an address may ask."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.middleware.rate_limits import RateLimits, limits_of
from api.shared_redis import SharedRedis
from errors import RateLimited
from settings import Settings
from tests.api.unloaded import client_of, unloaded
from tests.tiny_server import TinyServer, ready

MODELS = "/v1/models"


def asked(client: TestClient, times: int, key: str | None = None) -> list[int]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return [client.get(MODELS, headers=headers).status_code for _ in range(times)]


def test_without_the_setting_there_is_no_limit_and_no_word_of_one() -> None:
    answer = unloaded().get(MODELS)
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


def test_a_request_too_many_is_refused_as_openai_does_and_says_when_to_come_back() -> None:
    client = unloaded(rate_limit="2/minute")
    left = [client.get(MODELS).headers["x-ratelimit-remaining-requests"] for _ in range(2)]
    refused = client.get(MODELS)
    assert left == ["1", "0"]
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (429, "rate_limit_exceeded")
    assert 55 <= int(refused.headers["retry-after"]) <= 60 and "2 per 1 minute" in error["message"]
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"] in (
        "1m0s",
        *(f"{seconds}s" for seconds in range(55, 60)),
    )
    assert refused.headers["x-request-id"]


def test_what_watches_the_server_is_not_counted() -> None:
    client = unloaded(rate_limit="1/hour")
    assert [client.get("/health").status_code for _ in range(3)] == [503] * 3
    assert client.get("/metrics").status_code == 200


def test_each_key_has_its_own_limit_and_a_wrong_one_takes_nothing_from_it() -> None:
    """Kind: keys must not be guessed faster than others may ask."""
    client = unloaded(keys="ann, bob", rate_limit="1/minute")
    assert asked(client, 2, "eve") == [401, 429]
    assert asked(client, 2, "ann") == [503, 429]
    assert asked(client, 2, "bob") == [503, 429]


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("192.0.2.1", "192.0.2.2", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", False),  # one subscriber's network
        ("2001:db8:0:1::1", "2001:db8:0:2::1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", True),  # of IPv4, at a server that listens on ::
        ("::ffff:192.0.2.1", "192.0.2.1", False),
    ],
)
def test_without_keys_each_address_has_its_own_limit(one: str, other: str, apart: bool) -> None:
    client = unloaded(rate_limit="1/minute", address=one)
    assert asked(client, 2) == [503, 429]
    assert asked(client_of(client.app, other), 1) == [503 if apart else 429]


def test_of_several_limits_the_tightest_is_told() -> None:
    client = unloaded(rate_limit="100/hour; 3/minute")
    assert client.get(MODELS).headers["x-ratelimit-limit-requests"] == "3"


@pytest.mark.parametrize("setting", ["10/day; 1/hour", "1/hour; 10/day"])
def test_what_one_limit_refuses_uses_up_no_other(setting: str) -> None:
    """Kind: a client that asks too fast for a second has used up its day."""
    assert left_of_a_burst(setting) == [0, 9]


def left_of_a_burst(setting: str, redis: SharedRedis | None = None) -> list[int]:
    """What 12 requests at once, of which one is served, leave of each limit, the shortest first."""
    limits = RateLimits(unloaded().app, limits_of(setting), redis)
    refused = 0
    for _ in range(12):
        try:
            limits._hit("me", 1, 1)
        except RateLimited:
            refused += 1
    assert refused == 11
    return [limits._left(limit, "me").remaining for limit in limits._limits]


def test_a_limit_that_is_used_up_tells_its_own_wait() -> None:
    client = unloaded(rate_limit="1/minute; 1/day")
    client.get(MODELS)
    refused = client.get(MODELS)
    assert "1 per 1 day" in refused.json()["error"]["message"]
    assert int(refused.headers["retry-after"]) > 3600


def test_a_batch_counts_as_what_it_holds(tiny_server: TinyServer) -> None:
    """Kind: a limit must not be passed by asking for much at once."""
    client = unloaded(rate_limit="10/minute")
    assert isinstance(client.app, FastAPI)
    client.app.state.server.cloner = tiny_server.app.state.server.cloner
    body = {"model": "tiny", "items": [{"input": "Hi.", "max_tokens": 10}] * 4}
    answers = [client.post("/v1/audio/speech/batch", json=body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["6", "2", "1"]
    error = answers[2].json()["error"]
    assert "Each of the 4 items in this request counts" in error["message"]


def test_an_address_can_not_be_made_up(tiny_model: Path) -> None:
    """Kind: what a client writes of itself is believed only of a proxy that is set."""
    for trusted, expected in ((None, [200, 429]), ("127.0.0.1", [200, 200])):
        settings = Settings(
            model=str(tiny_model), device="cpu", rate_limit="1/minute", trusted_proxies=trusted
        )
        with ready(settings) as server:
            statuses = [
                httpx.get(server.url + MODELS, headers={"x-forwarded-for": f"192.0.2.{number}"}).status_code
                for number in (1, 2)
            ]
        assert statuses == expected
