"""The page for everyone: by keyboard, by screen reader, on a phone, light and dark, with no motion."""

from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.audio.media import float_wav, sentence
from tests.web.conftest import OpenPage, choose, generate, keep_voice

RULES: dict[str, Any] = {"resultTypes": ["violations"]}


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    open_page: OpenPage, page: Page, scheme: Literal["light", "dark"], width: int
) -> None:
    """Missing names, roles and contrast, with all parts of the page in sight."""
    keep_voice(page.url, "Ada")
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.get_by_role("button", name="Edit Ada").click()
    page.get_by_text("Settings", exact=True).click()
    choose(page, float_wav(sentence()), "ada.wav")
    generate(page, "Hello.")
    page.locator(".result summary").first.click()
    page.get_by_role("button", name="Delete Ada").click()
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_keyboard_is_enough(page: Page) -> None:
    """Something that only a mouse reaches."""
    page.keyboard.press("Tab")
    reached = []
    for _ in range(30):
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        page.keyboard.press("Tab")
    wanted = {"mode-single", "voice", "hear", "text", "generate", "record", "file", "import"}
    assert wanted <= set(reached), reached
    page.get_by_label("Text", exact=True).focus()
    page.keyboard.press("Control+Enter")
    page.locator(".play.playing").wait_for()
    page.get_by_role("button", name="Stop", exact=True).press("Enter")
    expect(page.locator(".play.playing")).to_have_count(0)
    expect(page.get_by_role("button", name="Generate")).to_be_focused()


def test_high_contrast_and_right_to_left(open_page: OpenPage) -> None:
    """Pictures and marks that are backgrounds, which forced colours take away; Arabic from the left."""
    page = open_page(forced_colors="active")
    part = (
        """([part, pseudo, property]) => getComputedStyle(document.querySelector(part), pseudo)[property]"""
    )
    background = page.evaluate(part, ["body", None, "backgroundColor"])
    for shown, pseudo in ((".play", "::before"), (".record", "::before"), ("#server", "::before")):
        assert page.evaluate(part, [shown, pseudo, "backgroundColor"]) != background, shown
    assert page.evaluate(part, [".modes :checked + label", None, "backgroundColor"]) != background
    tabs = [f"[role=tab][aria-selected={chosen}]" for chosen in ("true", "false")]
    chosen, other = (page.evaluate(part, [tab, None, "borderBottomColor"]) for tab in tabs)
    assert chosen != other == background
    text = page.get_by_label("Text", exact=True)
    text.fill("مرحبا بك")
    assert text.evaluate("(field) => getComputedStyle(field).direction") == "rtl"


def test_still_where_motion_is_unwanted(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    page.get_by_role("button", name="Record").click()
    page.locator(".record.recording").wait_for()
    assert (
        page.locator(".record").first.evaluate("(b) => getComputedStyle(b, '::before').animationName")
        == "none"
    )
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_no_script_or_style_stands_in_the_page(open_page: OpenPage) -> None:
    """What the page's content security policy would refuse; the policy itself is at work."""
    page = open_page(expected="Content Security Policy")
    assert page.locator("script:not([src]), style, [style], [onclick]").count() == 0
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = 1";
        document.head.append(script);
    }""")
    assert page.evaluate("window.ran") is None
