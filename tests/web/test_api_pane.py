"""The API pane: its curl, Python and JavaScript are run as they stand, and give what the page gave."""

import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.audio.media import float_wav, sentence
from tests.web.conftest import download, generate, keep_voice

QUOTES = 'It\'s "quoted", $HOME and `ticks`, in two\nlines.'
RUNNERS = {
    "curl": ["bash", "-e"],
    "Python": [sys.executable, "-"],
    "JavaScript": ["node", "--input-type=module", "-"],
}


def shown(page: Page, language: str) -> str:
    page.get_by_role("tab", name=language).click()
    return page.get_by_role("tabpanel", name=language).text_content() or ""


def run(language: str, snippet: str, folder: Path) -> str:
    done = subprocess.run(
        RUNNERS[language], input=snippet, cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_each_language_gives_the_very_speech(page: Page, tmp_path: Path) -> None:
    """A snippet that is no code, quotes the text wrongly, or asks for something else."""
    generate(page, QUOTES)
    expected = download(page, "MP3")
    for language in RUNNERS:
        run(language, shown(page, language), tmp_path)
        assert (tmp_path / "speech.mp3").read_bytes() == expected, language
        (tmp_path / "speech.mp3").unlink()


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_each_language_clones(page: Page, tmp_path: Path) -> None:
    """A form whose file or text gets lost."""
    recording = tmp_path / "test_audio.wav"
    recording.write_bytes(float_wav(sentence()))
    page.locator("#file").set_input_files(recording)
    page.locator("#name").fill("Ada")
    page.get_by_role("button", name="Create voice").click()
    page.locator("#api-title", has_text="Clone a voice").wait_for()
    for language in RUNNERS:
        snippet = shown(page, language).replace("Ada", f"Ada by {language}")
        assert f"Ada by {language}" in run(language, snippet, tmp_path)
    names = {voice["name"] for voice in httpx.get(f"{page.url}v1/audio/voices").json()["data"]}
    assert {"Ada by curl", "Ada by Python", "Ada by JavaScript"} <= names


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_each_language_changes_a_voice(page: Page, tmp_path: Path) -> None:
    """A snippet of a change that changes something else, or nothing."""
    voice = keep_voice(page.url, "Ada")
    page.reload()
    page.get_by_role("button", name="Edit Ada").click()
    page.locator(".voice").get_by_label("Name").fill("Grace")
    page.locator(".voice").get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#api-copied")).not_to_be_empty()
    page.get_by_role("button", name="Edit Grace").click()
    page.locator(".voice").get_by_text("nova").click()
    page.locator(".voice").get_by_role("button", name="Save").click()
    page.locator("#api-curl", has_text="nova").wait_for()
    expect(page.locator("#api-copied")).to_be_empty()
    for language in RUNNERS:
        httpx.patch(f"{page.url}v1/audio/voices/{voice}", json={"aliases": []}).raise_for_status()
        assert '"nova"' in run(language, shown(page, language), tmp_path)
        assert httpx.get(f"{page.url}v1/audio/voices/{voice}").json()["aliases"] == ["nova"]
