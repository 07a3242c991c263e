"""The page in every state of the server: its model loading, failed, busy, gone, or behind a key."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.live import BUNDLED_MODEL, LiveServer, serve
from tests.web.conftest import OpenPage


def answer(
    page: Page, path: str, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> None:
    """Let a route answer so: states that a real server has for too short a time."""

    def fulfil(route: Route) -> None:
        kind = {"content-type": "application/json"} | (headers or {})
        route.fulfill(status=status, body=json.dumps(body), headers=kind)

    page.route(f"**{path}", fulfil)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"status": "loading"}, "Loading the model"),
        ({"status": "failed", "message": "The model folder is empty."}, "The model folder is empty."),
    ],
)
def test_a_server_that_is_not_ready(open_page: OpenPage, body: dict[str, str], words: str) -> None:
    page = open_page(expected="503")
    answer(page, "/health", 503, body)
    page.reload()
    page.locator("header", has_text=words).wait_for()


def test_a_browser_that_keeps_nothing(open_page: OpenPage) -> None:
    """Blocked cookies block the tab's storage, too; scripts that read it failed, and nothing worked."""
    blocked = "get() { throw new DOMException('blocked', 'SecurityError'); }"
    page = open_page(script=f"Object.defineProperty(window, 'sessionStorage', {{ {blocked} }})")
    expect(page.locator("#generate")).to_be_enabled()


def test_busy_waits_and_tries_again(open_page: OpenPage) -> None:
    """A full queue that ends the attempt."""
    page = open_page(expected="429")
    page.locator("#voice option").first.wait_for(state="attached")
    error = {
        "error": {"message": "The queue is full.", "type": "rate_limit_error", "param": None, "code": "busy"}
    }
    answer(page, "/v1/audio/speech", 429, error, {"retry-after": "2"})
    page.get_by_role("button", name="Generate").click()
    page.get_by_text("The server is busy. Trying again in 2 s").wait_for()
    page.unroute("**/v1/audio/speech")
    page.locator("#speech-status", has_text="real time").wait_for()
    page.keyboard.press("Escape")
    answer(page, "/preview", 429, error, {"retry-after": "1"})
    page.locator("#hear").click()
    page.locator("#hear-status", has_text="The server is busy. Trying again in 1 s").wait_for()
    page.unroute("**/preview")
    page.locator("#hear.playing").wait_for()
    expect(page.locator("#hear-status")).to_be_empty()
    expect(page.locator("#speech-status")).to_contain_text("real time")


def test_a_queue_is_told(page: Page) -> None:
    ready = {"status": "ready", "model": "higgs-small", "device": "cpu", "dtype": "float32", "waiting": 3}
    answer(page, "/health", 200, ready)
    page.locator("#server", has_text="Busy: 3 requests in the queue").wait_for()


def test_the_place_in_the_queue_is_told(page: Page) -> None:
    """A wait of which nobody knows how long; a place that moves back as others come."""
    ready = {"status": "ready", "model": "higgs-small", "device": "cpu", "dtype": "float32"}
    answer(page, "/health", 200, ready | {"waiting": 3})
    page.route("**/v1/audio/speech", lambda route: None)  # never answered
    page.get_by_role("button", name="Generate").click()
    told = page.locator("#speech-status")
    expect(told).to_contain_text("Waiting: place 3 in the queue")
    answer(page, "/health", 200, ready | {"waiting": 5})
    page.locator("#server", has_text="5 requests").wait_for()
    expect(told).to_contain_text("place 3")
    answer(page, "/health", 200, ready | {"waiting": 1})
    expect(told).to_contain_text("place 1")
    page.keyboard.press("Escape")
    expect(told).to_have_text("Stopped.")


def test_the_server_goes_and_comes_back(open_page: OpenPage) -> None:
    """Lost and found again, without a reload."""
    page = open_page(expected="ERR_")
    page.locator("#voice option").first.wait_for(state="attached")
    page.route("**/health", lambda route: route.abort())
    page.route("**/v1/audio/speech", lambda route: route.abort())
    page.locator("#server", has_text="Connection lost, reconnecting").wait_for()
    page.get_by_role("button", name="Generate").click()
    page.locator(
        "#speech-status.bad", has_text="The server can't be reached. Check that it is running"
    ).wait_for()
    page.get_by_role("button", name="Try now").wait_for()
    page.unroute("**/health")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#server-state")).to_have_text("Ready")
    expect(page.locator("#speech-status")).to_be_empty()


@pytest.fixture(scope="module")
def locked_server() -> Any:
    with serve(BUNDLED_MODEL, api_keys="sesame") as server:
        yield server


def test_a_key_is_asked_for_and_a_wrong_one_told(open_page: OpenPage, locked_server: LiveServer) -> None:
    """A wrong key's message that stays after the right one."""
    page = open_page(locked_server.url, expected="401")
    field = page.get_by_label("This server asks for an API key")
    expect(field).to_be_focused()
    field.fill("open")
    page.get_by_role("button", name="Use key").click()
    page.get_by_text("That key is not valid").wait_for()
    field.fill("sesame")
    page.get_by_role("button", name="Use key").click()
    expect(page.locator("#key-form")).to_be_hidden()
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    expect(page.locator("#gallery-status")).to_be_empty()
    expect(page.get_by_text("That key is not valid")).to_be_hidden()
    page.get_by_role("button", name="Generate").click()
    page.locator("#api-curl", has_text='-H "Authorization: Bearer $API_KEY"').wait_for()
