"""Text to speech on the page: what arrives plays, Stop means silence, and what broke off says so."""

import os
import signal

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.live import BUNDLED_MODEL, serve
from tests.web.conftest import OpenPage, download, generate, keep_voice, samples_of

TEXT = "Good morning, this is how the page speaks."
# Nearly as long as a text may be: a fast machine has soon spoken it.
LONG_TEXT = "The old lighthouse had been dark for thirty years. " * 80
MAGIC = {"MP3": (b"ID3", b"\xff\xfb", b"\xff\xf3"), "FLAC": (b"fLaC",), "Opus": (b"OggS",)}


# Hears what the page plays: the last 1.4 s.
TAP = """(() => {
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (to, ...rest) {
        if (to === this.context.destination) {
            window.tap ??= new AnalyserNode(this.context, { fftSize: 32768 });
            connect.call(this, window.tap);
        }
        return connect.call(this, to, ...rest);
    };
})()"""


def at_first_sound(page: Page, act: str) -> None:
    """Have the page itself run a script then: from here it might come when all of the speech has arrived."""
    script = f"""() => {{
        const status = document.getElementById("speech-status");
        const watch = new MutationObserver(() => {{
            if (!status.textContent.startsWith("First sound")) return;
            watch.disconnect();
            {act};
        }});
        watch.observe(status, {{ childList: true, characterData: true, subtree: true }});
    }}"""
    page.evaluate(script)


def test_the_first_click_speaks_in_the_built_in_voice(page: Page) -> None:
    """A first visit that gives nothing to hear, or hides which model it is."""
    expect(page.locator("#model")).to_contain_text("Demonstration model higgs-small, on the CPU, no GPU")
    page.get_by_role("button", name="Generate").click()
    page.locator("#speech-status", has_text="real time").wait_for()
    samples = samples_of(download(page, "WAV"))
    assert 2.0 < len(samples) / 24_000 < 15.0
    assert np.abs(samples).max() > 0.05


@pytest.mark.parametrize("format", list(MAGIC))
def test_every_format_is_of_the_same_speech(page: Page, format: str) -> None:
    """A download that is another speech, or no file of its kind."""
    generate(page, TEXT)
    whole = samples_of(download(page, "WAV"))
    data = download(page, format)
    assert data.startswith(MAGIC[format])
    if format == "FLAC":
        np.testing.assert_allclose(samples_of(data), whole, atol=1e-4)


def test_a_voice_is_heard_before_anything_is_generated(page: Page) -> None:
    """Names that say nothing, and no way to hear who is behind them."""
    options = page.locator("#voice optgroup[label=Built-in] option").all_text_contents()
    assert options[0] == "Hugo: a man, friendly" and len(options) == 6
    page.get_by_label("Voice", exact=True).select_option("clara")
    page.get_by_role("button", name="Hear Clara").click()
    page.get_by_role("button", name="Pause Clara").click()
    expect(page.locator(".play.playing")).to_have_count(0)
    page.get_by_role("button", name="Hear Clara").click()
    page.get_by_role("button", name="Pause Clara").wait_for()
    page.get_by_label("Voice", exact=True).select_option("bruno")
    expect(page.get_by_role("button", name="Hear Bruno")).to_be_visible()
    expect(page.locator(".play.playing")).to_have_count(0)
    expect(page.locator("#api-curl")).to_contain_text("/v1/audio/voices/clara/preview")


def test_stop_works_until_silence(page: Page) -> None:
    """A Stop button that ends with the generation, while the speech still sounds; two sounds at once."""
    generate(page, "One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve.")
    page.locator(".play.playing").wait_for()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_enabled()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".play.playing")).to_have_count(0)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_disabled()
    generate(page, TEXT)
    page.get_by_role("button", name="Play result 1").click()
    expect(page.locator(".play.playing")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".play.playing")).to_have_count(0)


def test_the_waveform_is_a_slider(page: Page) -> None:
    """Speech that can't be walked through by keyboard, or that starts again where its end is asked for."""
    generate(page, TEXT)
    page.keyboard.press("Escape")
    slider = page.get_by_role("slider", name="Position in result 1")
    slider.press("Space")
    slider.press("Space")
    before = float(slider.get_attribute("aria-valuenow") or 0)
    slider.press("ArrowRight")
    assert float(slider.get_attribute("aria-valuenow") or 0) == pytest.approx(before + 1, abs=0.15)
    page.get_by_role("button", name="Play result 1").click()
    slider.press("End")
    expect(page.locator(".play.playing")).to_have_count(0)
    end = slider.get_attribute("aria-valuemax") or ""
    assert slider.get_attribute("aria-valuenow") == end
    slider.press("ArrowLeft")
    assert float(slider.get_attribute("aria-valuenow") or 0) == pytest.approx(float(end) - 1, abs=0.1)


def test_playback_fades_and_gathers_what_comes_late(open_page: OpenPage) -> None:
    """Clicks at a pause or a seek; gaps that nobody is told of, again and again; results that never go."""
    page = open_page(script=TAP)
    heard = page.evaluate("""async () => {
        const { player } = await import("/web/js/player.js");
        const { Clip, RATE } = await import("/web/js/clip.js");
        const sound = (seconds) => new Float32Array(seconds * RATE).fill(0.5);
        const until = async (met) => { while (!met()) await new Promise((go) => setTimeout(go, 10)); };
        await player.play(new Clip(sound(9)), 3);
        await until(() => player.position > 3.3);
        const samples = new Float32Array(window.tap.fftSize);
        window.tap.getFloatTimeDomainData(samples);
        const loudest = Math.max(...samples);
        player.pause();
        await until(() => {
            window.tap.getFloatTimeDomainData(samples);
            return Math.abs(samples.at(-1)) < 1e-3;
        });
        const steps = samples.slice(1).map((sample, i) => Math.abs(sample - samples[i]));

        const clip = new Clip();
        await player.play(clip);
        const buffering = [player.buffering];
        const add = (seconds) => { clip.append(sound(seconds)); buffering.push(player.buffering); };
        add(0.2);
        await until(() => player.buffering);
        add(0.5);
        add(0.6);
        await until(() => player.buffering);
        add(1.5);
        clip.end();
        buffering.push(player.buffering);
        player.stop();
        return { loudest, step: Math.max(...steps), buffering };
    }""")
    assert heard["loudest"] == pytest.approx(0.5, abs=0.01)
    assert heard["step"] < 0.05
    assert heard["buffering"] == [False, False, True, False, True, False]
    watching = page.evaluate("""async () => {
        const { player } = await import("/web/js/player.js");
        const { Clip } = await import("/web/js/clip.js");
        const { Result } = await import("/web/js/results.js");
        const signals = [];
        const add = player.addEventListener;
        player.addEventListener = (kind, work, { signal }) => signals.push(signal);
        for (let seed = 0; seed < 23; seed++) {
            const clip = new Clip(new Float32Array(9));
            new Result({ body: { input: "", seed }, plain: String, voice: "", clip });
        }
        return { all: signals.length, left: signals.filter(({ aborted }) => !aborted).length };
    }""")
    assert (watching["all"] - watching["left"]) / watching["all"] == pytest.approx(3 / 23)


def test_stopped_midway_keeps_what_came(page: Page) -> None:
    page.get_by_label("Text", exact=True).fill(LONG_TEXT)
    at_first_sound(page, 'document.getElementById("stop").click()')
    page.get_by_role("button", name="Generate").click()
    page.locator(".result", has_text="Stopped after").get_by_text("Download the part that arrived").wait_for()
    assert page.locator("#speech-status").text_content() == "Stopped."


def test_a_broken_stream_is_told(open_page: OpenPage) -> None:
    """A server that dies midway, whose half of a speech looks like a whole one."""
    with serve(BUNDLED_MODEL) as doomed:
        page = open_page(doomed.url, expected="ERR_")
        page.locator("#voice option").first.wait_for(state="attached")
        page.get_by_label("Text", exact=True).fill(LONG_TEXT)
        pid = doomed.pid
        assert pid is not None
        page.expose_function("killServer", lambda: os.kill(pid, signal.SIGKILL))
        at_first_sound(page, "killServer()")
        page.get_by_role("button", name="Generate").click()
        page.locator(".result", has_text="Incomplete: the connection broke after").wait_for()
        assert "can't be reached" in (page.locator("#speech-status").text_content() or "")
        assert samples_of(download(page, "WAV")).size
        expect(page.get_by_role("button", name="MP3")).to_have_count(0)
        page.get_by_text("Connection lost, reconnecting").wait_for()


def test_too_long_a_text_is_kept_and_told(open_page: OpenPage) -> None:
    """A paste that is cut without a word; a count that isn't the server's; a sample that takes it away."""
    page = open_page(expected="413")
    page.locator("#voice option").first.wait_for(state="attached")
    text = page.get_by_label("Text", exact=True)
    text.fill("👩 " * 10)
    expect(page.locator("#count")).to_contain_text("20 / 4,096 characters")
    page.get_by_role("button", name="News").click()
    expect(page.locator("#count")).to_contain_text("106 /")
    text.press("Control+z")
    assert text.input_value() == "👩 " * 10
    page.get_by_label("Text", exact=True).fill("word " * 2000)
    expect(page.locator("#count.bad")).to_contain_text("10,000 / 4,096 characters")
    assert len(page.get_by_label("Text", exact=True).input_value()) == 10_000
    page.get_by_role("button", name="Generate").click()
    page.locator("#speech-status.bad", has_text="10000 characters").wait_for()


def test_settings_and_seed_give_the_same_again(page: Page) -> None:
    """A setting that is not sent, or an attempt that can't be had again; a wrong seed that nobody sees."""
    page.locator("#settings summary").click()
    page.get_by_label("Seed").fill("-7")
    page.locator("#settings summary").click()
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_label("Seed")).to_be_focused()
    page.get_by_label("Seed").fill("7")
    generate(page, TEXT)
    plain = samples_of(download(page, "WAV"))
    page.get_by_label("Speed").fill("2")
    generate(page, TEXT)
    fast = samples_of(download(page, "WAV"))
    assert len(fast) == pytest.approx(len(plain) / 2, rel=0.15)
    page.get_by_role("button", name="Reuse settings: result 1").click()
    assert page.get_by_label("Speed").input_value() == "1"
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".result")).to_have_count(3)
    page.locator(".result").first.locator("summary").wait_for()
    np.testing.assert_array_equal(samples_of(download(page, "WAV")), plain)


def test_a_dialogue_has_a_voice_for_each_line(page: Page, open_page: OpenPage) -> None:
    keep_voice(page.url, "Ada")
    page.reload()
    page.locator("#voice option", has_text="Ada").wait_for(state="attached")
    page.get_by_text("Dialogue", exact=True).click()
    lines = page.locator("#lines select")
    assert lines.nth(0).input_value() != lines.nth(1).input_value()
    lines.nth(0).select_option("hugo")
    lines.nth(1).select_option("Ada")
    page.get_by_role("button", name="Add a line").click()
    page.get_by_role("button", name="Add a line").click()
    page.get_by_role("button", name="Remove line 3").click()
    expect(page.get_by_label("Text of line")).to_have_count(3)
    page.get_by_label("Text of line 3").fill("Yes.")
    expect(page.locator("#dialogue-count")).to_contain_text("128 / 4,096")  # with [SPEAKER0] and the like
    page.reload()  # what was written stays
    expect(lines.nth(1).locator("option:checked")).to_have_text("Ada")
    expect(page.get_by_label("Text of line 3")).to_have_value("Yes.")
    page.get_by_role("button", name="Generate").click()
    page.locator(".result .details", has_text="Hugo, Ada").wait_for()
    page.locator("#speech-status", has_text="real time").wait_for()
    expect(page.locator(".result .said")).to_contain_text("Ada: It does!")


def test_a_voice_keeps_its_settings(page: Page) -> None:
    voice = keep_voice(page.url, "Ada")
    page.reload()
    page.locator("#voice option", has_text="Ada").wait_for(state="attached")
    page.get_by_label("Voice", exact=True).select_option("Ada")
    generate(page, "Hello.")
    page.locator("#settings summary").click()
    page.get_by_label("Pitch").fill("3")
    page.get_by_role("button", name="Save as this voice's default").click()
    page.locator("#settings-status", has_text="Saved").wait_for()
    assert httpx.get(f"{page.url}v1/audio/voices/{voice}").json()["pitch"] == 3
    whole = samples_of(download(page, "WAV"))
    np.testing.assert_allclose(samples_of(download(page, "FLAC")), whole, atol=1e-4)  # as it was heard
    page.get_by_label("Pitch").fill("0")
    page.reload()
    page.locator("#voice option", has_text="Ada").wait_for(state="attached")
    assert page.get_by_label("Pitch").input_value() == "0"  # set by hand
    page.locator("#settings summary").click()
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#settings-status")).to_be_empty()
    assert page.get_by_label("Pitch").input_value() == "3"
    page.get_by_label("Voice", exact=True).select_option("hugo")
    assert page.get_by_label("Pitch").input_value() == "0"
    page.get_by_label("Pitch").fill("5")
    page.get_by_label("Voice", exact=True).select_option("nora")
    assert page.get_by_label("Pitch").input_value() == "5"  # set by hand
