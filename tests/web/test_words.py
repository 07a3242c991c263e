"""Words of a result on the page. Kinds of fault: a mark that lags or sticks, a click that plays elsewhere."""

from playwright.sync_api import Page, expect

from tests.web.conftest import generate

TEXT = "Good morning! This costs $5.50, and the weather is lovely today."
WORDS = ["Good", "morning", "This", "costs", "$5.50", "and", "the", "weather", "is", "lovely", "today"]


def watch_marks(page: Page) -> None:
    """Note each word that is marked from now on: a mark is gone before a busy machine looks for it."""
    page.evaluate(
        """() => {
            window.marked = [];
            window.marks?.disconnect();
            window.marks = new MutationObserver((changes) => {
                for (const { target } of changes) {
                    if (target.getAttribute("aria-current")) window.marked.push(target.textContent);
                }
            });
            window.marks.observe(document.body, { attributeFilter: ["aria-current"], subtree: true });
        }"""
    )


def first_marked(page: Page) -> str:
    page.wait_for_function("window.marked.length > 0")
    return str(page.evaluate("window.marked[0]"))


def test_words_are_marked_as_they_are_spoken(page: Page) -> None:
    watch_marks(page)
    generate(page, TEXT)
    words = page.locator(".result .word")
    assert words.all_text_contents() == WORDS
    assert page.locator(".result .said").text_content() == TEXT
    expect(page.locator(".play.playing")).to_have_count(0, timeout=30_000)
    expect(page.locator(".word[aria-current]")).to_have_count(0)
    marked = page.evaluate("window.marked")
    assert marked == [word for word in WORDS if word in marked]
    assert "today" in marked and len(marked) > len(WORDS) / 2


def test_a_word_plays_from_there_by_mouse_and_keyboard(page: Page) -> None:
    generate(page, TEXT)
    page.keyboard.press("Escape")
    watch_marks(page)
    page.get_by_role("button", name="weather", exact=True).click()
    assert first_marked(page) == "weather"
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    expect(page.get_by_role("button", name="Good", exact=True)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="morning", exact=True)).to_be_focused()
    watch_marks(page)
    page.keyboard.press("Enter")
    assert first_marked(page) == "morning"


def test_a_dialogue_marks_words_and_not_who_says_them(page: Page) -> None:
    page.get_by_text("Dialogue", exact=True).click()
    page.get_by_role("button", name="Generate").click()
    page.locator("#speech-status", has_text="real time").wait_for()
    said = page.locator(".result .said").text_content() or ""
    assert "[SPEAKER" not in said
    assert len(page.locator(".result .word").all()) > 4
