"""Without keys, only this server's own page and programs may ask: no page of another site, by no other name.

Kind: a browser lends its user's reach to every page it shows.
"""

import pytest
from starlette.testclient import TestClient

from tests.api.unloaded import unloaded

MODELS = "/v1/models"
PREVIEW = "/v1/audio/voices/default/preview"


def code(client: TestClient, path: str = MODELS, **headers: str) -> str:
    """The code of the refusal; model_loading means that the request came through."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(path, headers=named).json()["error"]["code"]


@pytest.mark.parametrize(
    ("host", "known"),
    [
        *[(host, True) for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000", "voice:8000", "")],
        *[(host, True) for host in ("192.0.2.7", "a.localhost", "voice.example.org:443", "b.example.net")],
        *[
            (host, True)
            for host in ("host.docker.internal:8000", "nas.LOCAL", "voice.home.arpa", "nas.local.")
        ],
        *[
            (host, False)
            for host in ("voice.lan", "local.example", "a.local.example", "xlocal.org", "a.arpa")
        ],
        *[(host, False) for host in ("evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.org")],
        *[(host, False) for host in ("example.net", "a b", ":8000", "[::1", "voice.example.org.evil.org")],
    ],
)
def test_only_names_of_this_server_are_answered(host: str, known: bool) -> None:
    client = unloaded(allowed_hosts="voice.example.org, *.example.net")
    assert code(client, host=host) == ("model_loading" if known else "host_not_allowed")
    assert (client.get("/", headers={"host": host}).status_code == 200) is known
    assert client.get("/health", headers={"host": host}).json() == {"status": "loading"}


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"origin": "http://localhost:8000", "host": "localhost:8000"}, False),
        ({"origin": "https://voice.example", "host": "voice.example"}, False),  # a proxy speaks TLS for us
        ({"origin": "http://localhost:3000", "host": "localhost:8000"}, True),
        ({"origin": "null"}, True),
        ({"origin": "https://evil.example"}, True),
        ({"sec_fetch_site": "same-origin"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"sec_fetch_site": "cross-site"}, True),  # an <audio> of another page brings no origin
        ({"sec_fetch_site": "same-site"}, True),  # another port of this machine
    ],
)
@pytest.mark.parametrize("path", [MODELS, PREVIEW])
def test_pages_of_other_sites_are_refused(path: str, headers: dict[str, str], foreign: bool) -> None:
    client = unloaded(allowed_hosts="voice.example")
    assert code(client, path, **headers) == ("origin_not_allowed" if foreign else "model_loading")


def test_a_form_of_another_page_keeps_no_voice() -> None:
    files = {"audio_sample": ("me.wav", b"RIFF")}
    headers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    answer = unloaded().post("/v1/audio/voices", data={"name": "Eve"}, files=files, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, "origin_not_allowed")
    assert error["type"] == "invalid_request_error" and "HIGGS_CORS_ORIGINS" in error["message"]


def test_pages_that_may_ask_are_answered() -> None:
    page = {"origin": "https://page.example", "sec_fetch_site": "cross-site"}
    assert code(unloaded(cors_origins="https://page.example"), **page) == "model_loading"
    assert code(unloaded(cors_origins="https://other.example"), **page) == "origin_not_allowed"
    assert code(unloaded(cors_origins="*"), **page) == "model_loading"
    assert code(unloaded(cors_origins="app://obsidian.md"), origin="app://obsidian.md") == "model_loading"


def test_a_key_protects_by_itself() -> None:
    page = {"origin": "https://evil.example", "host": "evil.example", "sec_fetch_site": "cross-site"}
    assert code(unloaded(keys="ann"), **page) == "invalid_api_key"
    assert code(unloaded(keys="ann"), **page, authorization="Bearer ann") == "model_loading"


def test_the_page_may_be_opened_from_a_link() -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert unloaded().get("/", headers=headers).status_code == 200
