"""Long texts in a real browser: queued, watched, paused, heard piece by piece, downloaded with chapters."""

import io
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.live import LiveServer
from tests.web.conftest import PATIENCE_MS, OpenPage, drop

BOOK = "# The house\n\nIt was late. Nobody came.\n\n# The garden\n\nIn the morning it rained."
LONG = "The old lighthouse had been dark for thirty years, and nobody in the village knew why. " * 200


@pytest.fixture(autouse=True)
def without_jobs(server: LiveServer) -> Iterator[None]:
    """Jobs that a test leaves are deleted."""
    yield
    jobs = f"{server.url}/v1/audio/speech/jobs"
    for job in httpx.get(jobs).json()["data"]:
        httpx.delete(f"{jobs}/{job['id']}").raise_for_status()


def start(page: Page, text: str, title: str = "") -> None:
    page.get_by_text("Long text", exact=True).click()
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Start", exact=True).click()
    page.locator("#speech-status", has_text="Queued").wait_for()


def test_a_long_text_is_spoken_heard_and_downloaded(page: Page) -> None:
    start(page, BOOK, "Two rooms")
    job = page.locator(".job", has_text="Two rooms")
    expect(job.locator(".job-details")).to_contain_text("Done", timeout=PATIENCE_MS)
    expect(job.locator(".job-details")).to_contain_text("2 chapters")
    expect(page.locator("#speech-status")).to_be_empty()
    expect(page.locator("#api-title")).to_have_text("Speak a long text")
    job.locator("summary", has_text="Pieces").click()
    pieces = job.locator(".piece")
    expect(pieces).to_have_count(4)
    expect(pieces.locator("h4")).to_have_text(["The house", "The garden"])
    expect(pieces.nth(1)).to_contain_text("Nobody came.")
    page.route("**/pieces/0/content*", lambda route: route.fulfill(body=b"no sound"))
    job.get_by_role("button", name="Play piece 1").click()
    expect(pieces.nth(0)).to_contain_text("This browser can't play the recording.")
    job.get_by_role("button", name="Play piece 2").click()
    expect(job.get_by_role("button", name="Pause piece 2")).to_be_visible(timeout=PATIENCE_MS)
    polls: list[Route] = []  # held, or it might be made before it is looked at
    page.route("**/speech/jobs?*", lambda poll: polls.append(poll))
    job.get_by_role("button", name="Make piece 2 again").click()
    expect(job).to_contain_text("Piece 2 is being made again.")
    expect(job.locator(".told")).to_be_empty()
    page.unroute("**/speech/jobs?*")
    for poll in polls:
        poll.continue_()
    expect(job.get_by_role("button", name="Make piece 2 again")).to_be_visible(timeout=PATIENCE_MS)
    expect(job.locator(".job-details")).to_contain_text("Done", timeout=PATIENCE_MS)
    expect(job).not_to_contain_text("being made")
    job.locator("summary", has_text="Download").click()
    with page.expect_download() as arrived:
        job.get_by_role("button", name="M4B").click()
    with av.open(io.BytesIO(Path(arrived.value.path()).read_bytes())) as file:
        titles = [mark["metadata"]["title"] for mark in file.chapters()]
    assert titles == ["The house", "The garden"]
    assert arrived.value.suggested_filename == "Two rooms.m4b"


def test_it_is_paused_and_goes_on_and_is_there_after_a_reload(page: Page) -> None:
    start(page, LONG)
    job = page.locator(".job")
    expect(job.locator(".job-details")).to_contain_text("Speaking", timeout=PATIENCE_MS)
    expect(job.locator(".job-details")).to_contain_text("left", timeout=PATIENCE_MS)
    assert float(job.locator("progress").get_attribute("value") or 0) > 0
    job.get_by_role("button", name="Pause").click()
    expect(job.locator(".job-details")).to_contain_text("Paused", timeout=PATIENCE_MS)
    expect(job.get_by_role("button", name="Resume")).to_be_focused()
    page.reload()
    expect(page.locator(".job-title")).to_have_text(f"{LONG[:54]} …")
    expect(page.get_by_label("Text", exact=True)).to_have_value(LONG)
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
    expect(page.locator(".job .job-details")).to_contain_text("Paused", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".job .job-details")).to_contain_text("Speaking", timeout=PATIENCE_MS)


def test_it_is_deleted_with_a_way_back(page: Page) -> None:
    start(page, BOOK, "Gone")
    page.get_by_role("button", name="Delete Gone").click()
    expect(page.locator(".job")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".job")).to_have_count(1)
    expect(page.get_by_role("button", name="Delete Gone")).to_be_focused()


def test_a_file_is_opened_and_one_that_is_no_text_is_told(page: Page) -> None:
    """A title, a text or letters that a file takes away; a text that is taken for a recording."""
    page.get_by_text("Long text", exact=True).click()
    page.locator("#book-file").set_input_files(
        {"name": "My book.md", "mimeType": "text/markdown", "buffer": BOOK.encode()}
    )
    expect(page.get_by_label("Text", exact=True)).to_have_value(BOOK)
    expect(page.get_by_label("Title")).to_have_value("My book")
    expect(page.locator("#count")).to_contain_text("1,000,000")
    page.locator("#book-file").set_input_files(
        {"name": "book.pdf", "mimeType": "application/pdf", "buffer": b"%PDF\0"}
    )
    expect(page.locator("#speech-status")).to_contain_text("no text file")
    page.get_by_text("One voice", exact=True).click()
    drop(page, "Köln.txt", "Grüße aus Köln".encode("cp1252"))
    expect(page.get_by_label("Text", exact=True)).to_have_value("Grüße aus Köln")
    expect(page.get_by_label("Title")).to_have_value("Köln")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value(BOOK)
    expect(page.get_by_label("Title")).to_have_value("My book")
    page.get_by_label("Title").fill("Mine")
    drop(page, "two.md", "Grüße".encode("utf-16"))
    expect(page.get_by_label("Text", exact=True)).to_have_value("Grüße")
    expect(page.get_by_label("Title")).to_have_value("Mine")


def test_the_hint_for_a_long_text_leads_here(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Text", exact=True).fill(LONG)
    expect(page.locator("#count")).to_contain_text("Long text")
