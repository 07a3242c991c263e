"""The page in a real browser, whose microphone hears test_audio.wav."""

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from speakers.encoder import weights_file
from tests.live import BUNDLED_MODEL, ROOT, serve

CHROMIUM = shutil.which("chromium")
CLIP = ROOT / "test_audio.wav"
PATIENCE_MS = 120_000
PHONE: ViewportSize = {"width": 360, "height": 740}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    microphone = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={CLIP}",
    ]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required", *microphone],
        )
        yield found
        found.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(BUNDLED_MODEL) as server:
        yield server.url


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """The page, opened; what it logs as an error or asks of others fails the test."""
    page = browser.new_page(permissions=["microphone"])
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    local = (url, "blob:", "data:")
    page.on("request", lambda request: None if request.url.startswith(local) else wrong.append(request.url))
    page.goto(url)
    page.get_by_text("higgs-small on cpu").wait_for()
    yield page
    page.close()
    assert not wrong


def samples_of(page: Page) -> np.ndarray:
    """What the page's player holds."""
    script = """async () => {
        const sound = await (await fetch(document.getElementById("result").src)).arrayBuffer();
        return btoa(Array.from(new Uint8Array(sound), (byte) => String.fromCharCode(byte)).join(""));
    }"""
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(page.evaluate(script))))
    assert rate == 24_000
    return samples


def test_a_recorded_voice_is_kept_speaks_and_goes(page: Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Record").click()
    page.wait_for_timeout(8000)
    page.get_by_role("button", name="Stop").first.click()
    page.get_by_role("img", name="Waveform of the recording").wait_for()
    page.get_by_label("Its name").fill("Ada")
    page.get_by_role("button", name="Keep this voice").click()
    page.get_by_text("Kept.").wait_for()
    if weights_file():
        for place in ("#made", "#gallery"):
            page.locator(place).filter(has_text="Likeness to the recording").wait_for()
    steps = page.get_by_role("list", name="Steps").get_by_role("listitem")
    assert [step.get_attribute("class") for step in steps.all()] == ["completed"] * 5
    assert page.get_by_label("Voice", exact=True).input_value().startswith("voice_")
    page.get_by_label("Text").fill("Good morning, this is my new voice.")
    page.get_by_role("button", name="Speak").click()
    page.get_by_text("real-time factor").wait_for()
    samples = samples_of(page)
    assert 1.0 < len(samples) / 24_000 < 8.0
    assert np.abs(samples).max() > 0.05
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    change_and_delete(page)


def change_and_delete(page: Page) -> None:
    card = page.locator("#gallery li")
    card.get_by_text("Change").click()
    card.get_by_label("Name").fill("Grace")
    card.get_by_role("button", name="Save").click()
    page.locator("#gallery strong", has_text="Grace").wait_for()
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#gallery li").get_by_text("Change").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("None yet.").wait_for()


def test_the_words_of_a_file_are_recognised(page: Page) -> None:
    page.get_by_label("Choose a file").set_input_files(CLIP)
    page.get_by_role("button", name="Recognise the words").click()
    page.get_by_text("Correct the words").wait_for()
    assert len(page.get_by_label("The words in it").input_value().split()) > 5


def test_what_is_no_sound_is_refused_in_the_servers_words(browser: Browser, url: str, tmp_path: Path) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    letter = tmp_path / "letter.wav"
    letter.write_text("Dear all,")
    page.get_by_label("Choose a file").set_input_files(letter)
    page.get_by_label("Its name").fill("Nobody")
    page.get_by_role("button", name="Keep this voice").click()
    page.locator("#made.bad").wait_for()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_every_field_has_a_label(
    browser: Browser, url: str, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(viewport=PHONE, color_scheme=scheme)
    page.goto(url)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    fields = "[...document.querySelectorAll('input, select, textarea')]"
    assert page.evaluate(f"{fields}.every((field) => field.labels.length)")
    page.close()
