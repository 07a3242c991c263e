"""What several servers share in a real Redis, counts of rate limits, earlier answers and client secrets, and
what is done while it is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient, WebSocketDenialResponse

from api.client_secrets import SecretsInRedis
from api.kept_audio import AudioInRedis
from api.shared_redis import AWAY_SECONDS, SharedRedis
from app import create_app, load
from errors import RedisUnavailable, StartError
from settings import Settings
from tests.api.test_chat import answer, ask, audio_of, said
from tests.api.test_kept_audio import CLONE, named
from tests.api.test_metrics import figures
from tests.api.test_rate_limits import asked, left_of_a_burst
from tests.api.unloaded import unloaded
from tests.live import free_port
from tests.tiny_server import TinyServer, ready
from tests.voices.servers import RedisServer

ANSWER = "ann", "audio_1", b"fLaC\x00\xff", "Some words, “quoted”."


def shared(url: str) -> SharedRedis:
    return SharedRedis(url, lambda: None)


def client(server: RedisServer, **settings: str) -> TestClient:
    return unloaded(redis_url=SecretStr(server.url), **settings)


@contextmanager
def replicas(model: Path, redis: RedisServer) -> Iterator[list[TinyServer]]:
    settings = Settings(model=str(model), device="cpu", redis_url=SecretStr(redis.url))
    with ready(settings) as one, ready(settings) as other:
        yield [one, other]


def test_a_limit_holds_for_all_servers_together(redis_server: RedisServer) -> None:
    one, other = (client(redis_server, keys="ann, bob", rate_limit="3/minute") for _ in range(2))
    assert asked(one, 1, "ann") + asked(other, 2, "ann") + asked(one, 1, "ann") == [503, 503, 503, 429]
    refused = other.get("/v1/models", headers={"authorization": "Bearer ann"})
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
    left = one.get("/v1/models", headers={"authorization": "Bearer bob"})
    assert left.headers["x-ratelimit-remaining-requests"] == "2"


def test_what_one_limit_refuses_uses_up_no_other(redis_server: RedisServer) -> None:
    assert left_of_a_burst("10/day; 1/hour", shared(redis_server.url)) == [0, 9]


def test_an_answer_of_one_server_is_known_to_another_until_it_expires(redis_server: RedisServer) -> None:
    one, other = (AudioInRedis(shared(redis_server.url)) for _ in range(2))
    expires_at = one.keep(*ANSWER)
    found = other.find("ann", "audio_1")
    assert found is not None
    assert (found.audio, found.transcript, found.expires_at) == (*ANSWER[2:], expires_at)
    assert other.find("bob", "audio_1") is None
    assert other.find("ann", "audio_2") is None
    AudioInRedis(shared(redis_server.url), seconds=0).keep(*ANSWER)
    assert other.find("ann", "audio_1") is None


def test_a_clone_goes_on_in_a_voice_that_another_server_spoke(
    tiny_model: Path, redis_server: RedisServer
) -> None:
    with replicas(tiny_model, redis_server) as (one, other):
        first = answer(one, said("First."), temperature=0)
        spoken = [
            answer(server, said("First."), named(first), said("Second."), audio=CLONE, temperature=0)
            for server in (one, other)
        ]
    assert [body["voice"]["used"] for body in spoken] == ["clone", "clone"]
    assert audio_of(spoken[0]) == audio_of(spoken[1])


def test_a_client_secret_of_one_server_opens_sessions_of_another_until_it_expires(
    redis_server: RedisServer,
) -> None:
    one, other = (SecretsInRedis(shared(redis_server.url)) for _ in range(2))
    value, secret = one.make("ann", {"instructions": "Softly."}, 60)
    assert other.find(value) == secret and other.find("ek_unknown") is None
    expired, _ = one.make("ann", {}, 0)
    assert other.find(expired) is None
    app = client(redis_server, keys="ann")
    assert (answer_to(app, expired), answer_to(app, value)) == (401, 503)  # 503: the model isn't loaded
    redis_server.stop()
    try:
        assert answer_to(app, value, "redis_unavailable") == 503
    finally:
        redis_server.start()


def answer_to(app: TestClient, secret: str, code: str | None = None) -> int:
    """The status with which a Realtime session is refused; code: of its error."""
    protocols = ["realtime", f"openai-insecure-api-key.{secret}"]
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        app.websocket_connect("/v1/realtime", subprotocols=protocols),
    ):
        pass
    error = refused.value.json()["error"]
    assert code is None or error["code"] == code
    return refused.value.status_code


def test_while_redis_is_away_answers_go_out_and_nothing_is_counted(
    tiny_model: Path, redis_server: RedisServer
) -> None:
    """Never two truths: what Redis doesn't count nobody counts, and an answer that isn't kept says so."""
    with replicas(tiny_model, redis_server) as (one, other):
        first = answer(one, said("First."), temperature=0)
        limited = client(redis_server, rate_limit="1/minute")
        redis_server.stop()
        try:
            away = answer(one, said("First."), temperature=0)
            refused = ask(other, said("First."), named(first), said("Second."), audio=CLONE)
            uncounted = [limited.get("/v1/models") for _ in range(3)]
            failures = figures(httpx.get(f"{one.url}/metrics").text)["higgs_redis_failures_total"]
        finally:
            redis_server.start()
    audio = away["choices"][0]["message"]["audio"]
    assert audio["expires_at"] == pytest.approx(away["created"], abs=5) and failures == 1
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "redis_unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert [response.status_code for response in uncounted] == [503] * 3
    assert not any("x-ratelimit-limit-requests" in response.headers for response in uncounted)


def test_redis_is_asked_again_after_a_while_only(redis_server: RedisServer) -> None:
    failures: list[None] = []
    redis = SharedRedis(redis_server.url, lambda: failures.append(None))
    redis_server.stop()
    with pytest.raises(RedisUnavailable):
        redis.ask(redis.client.ping)
    redis_server.start()
    with pytest.raises(RedisUnavailable):
        redis.ask(redis.client.ping)
    redis._away_until -= AWAY_SECONDS
    assert redis.ask(redis.client.ping) and len(failures) == 2


def test_a_server_without_its_redis_does_not_start_and_tells_no_password() -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}/3"
    settings = Settings(redis_url=SecretStr(url))
    app, stopped = create_app(settings), []
    load(app.state.server, settings, lambda: stopped.append(True))
    failure = app.state.server.failure
    assert isinstance(failure, StartError) and stopped == [True]
    assert "HIGGS_REDIS_URL" in failure.message and "secret" not in failure.message
    with pytest.raises(ValueError, match="redis://localhost:6379"):
        Settings(redis_url=SecretStr("http://localhost"))
