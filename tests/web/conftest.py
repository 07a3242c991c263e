"""A real browser, whose microphone hears test_audio.wav, on the page of a real server."""

import base64
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Download, Page, sync_playwright

from tests.audio.media import sentence_file
from tests.live import BUNDLED_MODEL, ROOT, LiveServer, serve

# The headless shell needs a third of the CPU time: it draws nothing that nobody sees.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
CLIP = ROOT / "test_audio.wav"
PATIENCE_MS = 120_000
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium")
    microphone = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={CLIP}",
    ]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--autoplay-policy=no-user-gesture-required",
                "--disable-audio-output",  # no sound card is looked for: the clock of sound is Chromium's own
                *microphone,
            ],
        )
        yield found
        found.close()


@pytest.fixture(scope="session")
def voices_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page-voices")


@pytest.fixture(scope="session")
def server(browser: Browser, voices_folder: Path) -> Iterator[LiveServer]:
    with serve(BUNDLED_MODEL, data_dir=str(voices_folder)) as server:
        yield server


@pytest.fixture
def open_page(browser: Browser, server: LiveServer) -> Iterator[OpenPage]:
    """Opens the page, as often as wanted; a script that breaks, or a request to elsewhere, fails the test.

    url: of another server; `expected`: what the console may say; further options as of Browser.new_page.
    Voices that a test leaves are deleted.
    """
    pages: list[Page] = []
    wrong: list[str] = []

    def opened(url: str = server.url, expected: str = "", script: str = "", **options: Any) -> Page:
        page = browser.new_page(permissions=["microphone"], **options)
        page.set_default_timeout(PATIENCE_MS)
        pages.append(page)

        def note(message: str) -> None:
            if not expected or expected not in message:
                wrong.append(message)

        page.on("console", lambda said: note(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        local = (url, "blob:", "data:")
        page.on("request", lambda asked: None if asked.url.startswith(local) else wrong.append(asked.url))
        if script:
            page.add_init_script(script)
        page.goto(url)
        return page

    yield opened
    for page in pages:
        page.close()
    delete_voices(server.url)
    assert not wrong


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The page, ready to speak."""
    page = open_page()
    page.locator("#voice option").first.wait_for(state="attached")
    return page


def saved_voices(url: str) -> list[dict[str, Any]]:
    """Some of the voices that are not the model's own, newest first."""
    voices = httpx.get(f"{url}/v1/audio/voices?limit=100").json()["data"]
    return [voice for voice in voices if not voice["built_in"]]


def delete_voices(url: str) -> None:
    while voices := saved_voices(url):
        for voice in voices:
            deleted = httpx.delete(f"{url}/v1/audio/voices/{voice['id']}")
            assert deleted.status_code in (200, 404)  # a page that closes ends the deletions that it began


def keep_voice(url: str, name: str) -> str:
    """Keep a voice of a sentence of the clip; gives its id."""
    files = {"audio_sample": sentence_file("wav")}
    answer = httpx.post(f"{url.rstrip('/')}/v1/audio/voices", data={"name": name}, files=files, timeout=120)
    return str(answer.raise_for_status().json()["id"])


def choose(page: Page, data: bytes, name: str) -> None:
    """Choose a recording to clone."""
    page.locator("#file").set_input_files({"name": name, "mimeType": "audio/wav", "buffer": data})


def generate(page: Page, text: str) -> None:
    """Generate speech, and wait until the last of it has arrived."""
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Generate").click()
    page.locator("#speech-status", has_text="real time").wait_for()


def download(page: Page, format: str) -> bytes:
    """A file of the newest result."""
    newest = page.locator(".result").first
    if not newest.get_by_role("button", name=format, exact=True).is_visible():
        newest.locator("summary").click()
    with page.expect_download() as arrived:
        newest.get_by_role("button", name=format, exact=True).click()
    file: Download = arrived.value
    return Path(file.path()).read_bytes()


def samples_of(data: bytes) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(data))
    assert rate == 24_000
    return np.asarray(samples)


def drop(page: Page, name: str, data: bytes) -> None:
    """Drop a file on the page's heading: far from any box for files."""
    script = """({ name, base64 }) => {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], name));
        const options = { dataTransfer, bubbles: true, cancelable: true };
        const heading = document.querySelector("h1");
        for (const kind of ["dragenter", "dragover", "drop"]) {
            heading.dispatchEvent(new DragEvent(kind, options));
        }
    }"""
    page.evaluate(script, {"name": name, "base64": base64.b64encode(data).decode("ascii")})
