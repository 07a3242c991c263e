"""The saved voices: none, one and three hundred; found, renamed, moved from server to server, deleted."""

import sqlite3
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.live import LiveServer
from tests.web.conftest import PATIENCE_MS, OpenPage, drop, keep_voice

ODD_NAMES = ("W" * 100, "<img src=x onerror=alert(1)>", "شهرزاد", "Näïve “Ünïcode” 🎙")


def multiply(folder: Path, times: int) -> None:
    """Copy the one voice of a database; making hundreds would take minutes."""
    with sqlite3.connect(folder / "voices.db", timeout=30) as database:
        columns = [row[1] for row in database.execute("pragma table_info(voice_profiles)")]
        for number in range(times):
            name = ODD_NAMES[number] if number < len(ODD_NAMES) else f"Voice {number}"
            new = {"id": f"'voice_{number:032x}'", "name": "?", "created_at": f"created_at - {number + 1}"}
            chosen = ", ".join(new.get(column, column) for column in columns)
            database.execute(
                f"insert into voice_profiles ({', '.join(columns)}) "
                f"select {chosen} from voice_profiles where name = 'Ada'",
                (name,),
            )


def test_no_voice_then_one(page: Page) -> None:
    expect(page.locator("#none")).to_be_visible()
    expect(page.locator("#find")).to_be_hidden()
    keep_voice(page.url, "Ada")
    page.reload()
    page.get_by_role("button", name="Use Ada").click()
    assert page.get_by_label("Voice", exact=True).input_value().startswith("voice_")
    assert page.evaluate("document.activeElement.id") == "text"
    expect(page.locator("#find")).to_be_hidden()
    page.get_by_text("Dialogue", exact=True).click()
    page.get_by_label("Text of line 2").focus()
    page.get_by_role("button", name="Use Ada").click()
    assert page.get_by_label("Voice of line 2").input_value().startswith("voice_")
    expect(page.get_by_label("Text of line 2")).to_be_focused()


def test_rename_and_delete_keep_the_focus_and_can_be_undone(open_page: OpenPage, server: LiveServer) -> None:
    """Saving that drops the focus to the body; a deletion without a way back, or a speaker changed unsaid."""
    voice = keep_voice(server.url, "Ada")
    page = open_page(expected="404")
    page.get_by_role("button", name="Edit Ada").click()
    card = page.locator(".voice")
    card.get_by_label("Name").fill("Grace")
    card.get_by_label("Transcript").fill("The weather is warm today.")
    card.get_by_role("button", name="Save").click()
    page.locator(".voice h3", has_text="Grace").wait_for()
    assert page.evaluate("document.activeElement.ariaLabel") == "Edit Grace"
    kept = httpx.get(f"{page.url}v1/audio/voices/{voice}").json()
    assert (kept["name"], kept["ref_text"]) == ("Grace", "The weather is warm today.")
    page.get_by_role("button", name="Use Grace").click()
    page.get_by_role("button", name="Delete Grace").click()
    expect(page.locator("#none")).to_be_visible()
    expect(page.locator("#speech-status")).to_have_text("“Grace” is deleted; Hugo is chosen in its place.")
    expect(page.locator("#voice optgroup[label=Saved]")).to_have_count(0)
    page.get_by_role("button", name="Undo").press("Enter")
    page.locator(".voice h3", has_text="Grace").wait_for()
    assert page.get_by_label("Voice", exact=True).input_value() == voice
    httpx.delete(f"{page.url}v1/audio/voices/{voice}").raise_for_status()  # elsewhere
    page.get_by_role("button", name="Compare Grace").click()
    page.locator(".voice .told", has_text="deleted elsewhere").wait_for()
    page.get_by_role("button", name="Delete Grace").click()
    page.get_by_text("Deleted “Grace”.").wait_for(state="detached")
    expect(page.locator("#none")).to_be_visible()
    expect(page.locator("#gallery-status")).to_be_empty()
    assert httpx.get(f"{page.url}v1/audio/voices/{voice}").status_code == 404


def test_leaving_the_page_ends_the_time_to_undo(page: Page) -> None:
    voice = keep_voice(page.url, "Ada")
    page.reload()
    url = page.url
    page.get_by_role("button", name="Delete Ada").click()
    page.goto("about:blank")
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while httpx.get(f"{url}v1/audio/voices/{voice}").status_code != 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    page.goto(url)
    expect(page.locator("#none")).to_be_visible()


def test_a_voice_is_exported_and_imported_by_drop(page: Page) -> None:
    keep_voice(page.url, "Ada")
    page.reload()
    with page.expect_download() as arrived:
        page.get_by_role("button", name="Export Ada").click()
    assert arrived.value.suggested_filename == "Ada.zip"
    data = Path(arrived.value.path()).read_bytes()
    page.get_by_role("button", name="Delete Ada").click()
    page.get_by_text("Deleted “Ada”.").wait_for(state="detached")
    drop(page, "Ada.zip", data)
    page.locator("#gallery-status", has_text="Imported “Ada”.").wait_for()
    page.locator(".voice h3", has_text="Ada").wait_for()


# Counts who listens to the player.
LISTENERS = """
    window.listeners = 0;
    const add = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (kind, listener, options) {
        if (this.constructor.name === "Player") {
            listeners++;
            options?.signal?.addEventListener("abort", () => listeners--);
        }
        return add.call(this, kind, listener, options);
    };
"""


def test_a_voice_is_compared_with_its_recording(open_page: OpenPage, server: LiveServer) -> None:
    """A button that says open after a failure; waveforms that listen on after they are closed."""
    keep_voice(server.url, "Ada")
    page = open_page(script=LISTENERS, expected="ERR_")
    compare = page.get_by_role("button", name="Compare Ada")
    page.route("**/preview", lambda route: route.abort())
    compare.click()
    page.locator(".voice .told.bad").wait_for()
    expect(compare).to_have_attribute("aria-expanded", "false")
    page.unroute("**/preview")
    before = page.evaluate("listeners")
    compare.click()
    page.locator(".voice .legend", has_text="Pitch (median").wait_for()
    expect(compare).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name="Play clone of Ada").click()
    expect(page.locator(".play.playing")).to_have_count(1)
    compare.click()
    expect(page.locator(".play.playing")).to_have_count(0)
    assert page.evaluate("listeners") == before


def test_a_voice_answers_to_a_name_of_openai_s(page: Page) -> None:
    """An alias that two voices seem to have, or that the server doesn't know of; an edit overwritten."""
    ada, bert = keep_voice(page.url, "Ada"), keep_voice(page.url, "Bert")
    page.reload()

    def give_alloy(name: str) -> None:
        page.get_by_role("button", name=f"Edit {name}").click()
        card = page.locator(".voice", has=page.get_by_role("heading", name=name))
        card.get_by_text("alloy").click()
        card.get_by_role("button", name="Save").click()
        card.get_by_text("Answers to alloy", exact=True).wait_for()

    give_alloy("Ada")
    assert httpx.get(f"{page.url}v1/audio/voices").json()["aliases"] == {"alloy": ada}
    page.get_by_role("button", name="Edit Ada").click()
    card = page.locator(".voice", has=page.get_by_role("heading", name="Ada"))
    card.get_by_label("Name").fill("Grace")
    give_alloy("Bert")
    expect(page.get_by_text("Answers to alloy", exact=True)).to_have_count(1)
    expect(card.get_by_label("alloy now Bert")).not_to_be_checked()
    expect(card.get_by_label("Name")).to_have_value("Grace")
    card.get_by_role("button", name="Save").click()
    page.locator(".voice h3", has_text="Grace").wait_for()
    assert httpx.get(f"{page.url}v1/audio/voices").json()["aliases"] == {"alloy": bert}


@pytest.mark.parametrize("width", [375, 1280])
def test_three_hundred_voices(
    page: Page, open_page: OpenPage, server: LiveServer, voices_folder: Path, width: int
) -> None:
    """Voices that the page doesn't reach, a page of miles, and names that break its width or its markup."""
    keep_voice(server.url, "Ada")
    multiply(voices_folder, 299)
    page = open_page(viewport={"width": width, "height": 800})
    page.locator("#voice-count", has_text="300 voices").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    shown = page.locator(".voice").count()
    assert shown == (8 if width < 640 else 24)
    page.get_by_role("button", name="Show").last.click()
    expect(page.locator(".voice")).to_have_count(2 * shown)
    page.get_by_label("Sort by").select_option("Name")
    page.get_by_label("Search").fill("voice 29")
    expect(page.locator("#voice-count")).to_have_text("10 of 300 voices")
    assert page.locator(".voice h3").all_text_contents()[:3] == ["Voice 29", "Voice 290", "Voice 291"]
    page.get_by_label("Search").fill("onerror")
    expect(page.locator(".voice h3")).to_have_text("<img src=x onerror=alert(1)>")
    names = page.locator("button").evaluate_all("(all) => all.map((b) => b.ariaLabel).filter(Boolean)")
    assert len(names) == len(set(names))
    page.get_by_label("Search").fill("nothing of the kind")
    expect(page.locator("#no-match")).to_be_visible()
