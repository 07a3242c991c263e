"""The page's files, as a browser asks for them."""

import re

import httpx

from tests.tiny_server import TinyServer


def test_the_page_and_all_it_names_are_served(tiny_server: TinyServer) -> None:
    page = httpx.get(tiny_server.url)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert named and all(path.startswith("/web/") for path in named)
    for path in named:
        assert httpx.get(tiny_server.url + path).status_code == 200


def test_nothing_beside_the_page_is_served(tiny_server: TinyServer) -> None:
    answer = httpx.get(tiny_server.url + "/web/%2e%2e/app.py")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"
