"""The page's files, as a browser asks for them."""

import re

import httpx
import pytest

from tests.live import ROOT
from tests.tiny_server import TinyServer


def test_the_page_and_all_it_names_are_served(tiny_server: TinyServer) -> None:
    page = httpx.get(tiny_server.url)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert named and all(path.startswith("/web/") for path in named)
    for path in named:
        assert httpx.get(tiny_server.url + path).status_code == 200
    # Before the scripts are there, a click would send the form as browsers do: the page anew, the text gone.
    assert '<button id="generate" class="primary" disabled>' in page.text


def test_scripts_are_sent_compressed(tiny_server: TinyServer) -> None:
    """Half of what a slow network waits for."""
    url = f"{tiny_server.url}/web/js/speech.js"
    packed, plain = httpx.get(url), httpx.get(url, headers={"accept-encoding": "identity"})
    assert (packed.headers["content-encoding"], "content-encoding" in plain.headers) == ("gzip", False)
    assert packed.content == plain.content == (ROOT / "web/js/speech.js").read_bytes()


def test_nothing_beside_the_page_is_served(tiny_server: TinyServer) -> None:
    answer = httpx.get(tiny_server.url + "/web/%2e%2e/app.py")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/", "/web/js/page.js", "/docs", "/redoc", "/docs/assets/swagger-ui.css"])
def test_no_other_site_can_frame_the_pages(tiny_server: TinyServer, path: str) -> None:
    headers = httpx.get(tiny_server.url + path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY" and headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_document_needs_nothing_from_elsewhere(tiny_server: TinyServer, path: str) -> None:
    """Kind: a server that runs without the internet must not show blank pages."""
    page = httpx.get(tiny_server.url + path).text
    named = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page)
    assert len(named) >= 3 and all(name.startswith("/") for name in named)
    for name in named:
        packed, plain = (
            httpx.get(tiny_server.url + name, headers={"accept-encoding": encoding})
            for encoding in ("gzip", "identity")
        )
        assert packed.status_code == 200 and packed.content == plain.content
        assert "http://" not in page and "https://" not in page


def test_what_is_vendored_has_its_licence_beside_it() -> None:
    folder = ROOT / "web" / "vendor"
    described = (folder / "README.md").read_text()
    for path in folder.iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in described
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2**20
