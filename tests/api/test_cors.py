"""Web pages of other origins: which may ask, and what they may read."""

from fastapi import FastAPI

from tests.api.unloaded import unloaded

PAGE = {"origin": "https://page.example"}
PREFLIGHT = PAGE | {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}
ALLOWED = "access-control-allow-origin"


def test_no_other_page_may_ask_unless_it_is_named() -> None:
    assert ALLOWED not in unloaded().get("/v1/models", headers=PAGE).headers
    named = unloaded(cors_origins="https://other.example, https://page.example")
    assert named.get("/v1/models", headers=PAGE).headers[ALLOWED] == "https://page.example"
    assert ALLOWED not in named.get("/v1/models", headers={"origin": "https://evil.example"}).headers


def test_a_browser_asks_beforehand_without_a_key_and_reads_refusals_too() -> None:
    client = unloaded(keys="ann", cors_origins="*", rate_limit="1/minute")
    for _ in range(2):
        before = client.options("/v1/audio/speech", headers=PREFLIGHT)
        assert before.status_code == 200 and before.headers[ALLOWED] == "*"
        assert "authorization" in before.headers["access-control-allow-headers"]
        assert before.headers["x-request-id"]
    refused = client.get("/v1/models", headers=PAGE)
    assert (refused.status_code, refused.headers[ALLOWED]) == (401, "*")
    assert "retry-after" in refused.headers["access-control-expose-headers"]


def test_a_page_can_read_an_unforeseen_error() -> None:
    client = unloaded(cors_origins="*")
    assert isinstance(client.app, FastAPI)

    @client.app.get("/broken")
    def fail() -> None:
        raise ZeroDivisionError

    broken = client.get("/broken", headers=PAGE)
    assert (broken.status_code, broken.headers[ALLOWED]) == (500, "*")
    assert broken.json()["error"]["code"] == "internal_error" and broken.headers["x-request-id"]
