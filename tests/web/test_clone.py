"""Cloning on the page: recorded or from a file, with its problems told, compared, and kept."""

import io
from pathlib import Path

import numpy as np
import soundfile
from playwright.sync_api import FilePayload, Page, expect

from speakers.encoder import weights_file
from tests.audio.media import float_wav, sentence, sentence_file
from tests.live import BUNDLED_MODEL, LiveServer, serve
from tests.web.conftest import CLIP, OpenPage, choose, download, drop, generate, samples_of, saved_voices

# Notes the microphones that are opened; the server is gone when the first is to be heard.
MICROPHONES = """
    window.microphones = [];
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        const stream = await open(wanted);
        microphones.push(...stream.getTracks());
        return stream;
    };
    const add = AudioWorklet.prototype.addModule;
    AudioWorklet.prototype.addModule = async function () {
        AudioWorklet.prototype.addModule = add;
        throw new DOMException("Unable to load a worklet's module.", "AbortError");
    };
"""
ALL_CLOSED = "() => microphones.every((track) => track.readyState === 'ended')"
LETTER: FilePayload = {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear all,"}
AGREED: FilePayload = {"name": "agreed.wav", "mimeType": "audio/wav", "buffer": sentence_file("wav")}


def name_field(page: Page) -> str:
    return page.locator("#name").input_value()


def test_a_recorded_voice_is_cloned_and_speaks(page: Page) -> None:
    """The whole way: countdown, level, recording, transcript, steps, comparison, and speech in that voice."""
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Recording starts in").wait_for()
    page.get_by_role("button", name="Stop recording").wait_for()
    page.wait_for_timeout(8000)
    assert float(page.locator("#recorder-place meter").evaluate("(meter) => meter.value")) > 0.3
    expect(page.locator("#recorder-place .status")).to_contain_text("0:0")
    expect(page.locator("#recorder-place .status")).to_have_attribute(
        "aria-live", "off"
    )  # it would be recorded
    page.get_by_role("button", name="Stop recording").click()
    page.locator("#transcript-status", has_text="correct it").wait_for()
    page.locator("#name").fill("Ada")
    page.get_by_role("button", name="Create voice").click()
    page.locator("#clone-status", has_text="Saved “Ada”.").wait_for()
    steps = page.get_by_role("list", name="Progress").get_by_role("listitem")
    assert {step.get_attribute("class") for step in steps.all()} == {"completed"}
    page.get_by_role("button", name="Play clone of Ada").wait_for()
    page.locator("#clone-result .legend", has_text="Pitch (median").wait_for()
    if weights_file():
        page.locator("#clone-result .similarity", has_text="Similarity").wait_for()
    page.get_by_role("button", name="Play original of Ada").click()
    page.get_by_role("button", name="Switch (A/B)").click()
    page.get_by_role("button", name="Pause clone of Ada").wait_for()
    assert page.get_by_label("Voice", exact=True).input_value().startswith("voice_")
    generate(page, "Good morning, this is my new voice.")
    samples = samples_of(download(page, "WAV"))
    assert 1.0 < len(samples) / 24_000 < 8.0
    assert np.abs(samples).max() > 0.05


def test_a_new_recording_forgets_the_old_words(page: Page) -> None:
    """A name or a transcript of one recording that is sent with the next."""
    choose(page, float_wav(sentence()), "ada.wav")
    page.locator("#transcript-status", has_text="Recognised").wait_for()
    assert len(page.locator("#transcript").input_value().split()) > 5
    assert name_field(page) == "ada"
    page.locator("#transcript").fill("Something else")
    choose(page, float_wav(sentence()), "grace.wav")
    expect(page.locator("#name")).to_have_value("grace")
    assert "Something else" not in page.locator("#transcript").input_value()


def test_clipping_is_marked_and_told(page: Page) -> None:
    """A recording cut off at full scale, of which nobody says where."""
    samples, rate = soundfile.read(CLIP)
    samples[:rate] = np.clip(20 * samples[:rate], -1, 1)
    output = io.BytesIO()
    soundfile.write(output, samples, rate, format="WAV")
    choose(page, output.getvalue(), "loud.wav")
    page.locator("#issues li", has_text="Clipping, too loud for the microphone").wait_for()


def test_hum_is_marked_at_its_place_before_a_voice_is_made(page: Page, server: LiveServer) -> None:
    """A problem that is told when it is too late, or without saying where."""
    samples, rate = soundfile.read(CLIP)
    silence = np.zeros(rate)
    source = np.concatenate([silence, 0.5 * samples, silence])
    time = np.arange(len(source)) / rate
    for hertz, level in ((50, 0.004), (100, 0.003), (150, 0.002)):
        source += level * np.sin(2 * np.pi * hertz * time)
    output = io.BytesIO()
    soundfile.write(output, source, rate, format="WAV")
    choose(page, output.getvalue(), "humming.wav")
    told = page.locator("#issues li.mark-0", has_text="hum of 50 Hz")
    told.get_by_role("button", name="Hear hum at 0.0 s").click()
    page.get_by_role("button", name="Pause the recording").wait_for()
    strip = """(canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 1, canvas.width, 1);
        return [...Array(canvas.width).keys()].map((x) => data[4 * x + 3] === 255);
    }"""
    marked = np.array(page.locator("#recording-wave canvas").evaluate(strip))
    third = len(marked) // 10
    assert marked[1:third].any() and marked[-third:].any() and not marked.all()
    assert saved_voices(server.url) == []


def test_what_is_no_sound_is_refused_in_the_servers_words(open_page: OpenPage) -> None:
    """A failed step that looks as if it went on; a message of the browser's."""
    page = open_page(expected="400")
    choose(page, b"Dear all,", "letter.wav")
    page.locator("#name").fill("Nobody")
    page.get_by_role("button", name="Create voice").click()
    page.locator("#clone-status.bad").wait_for()
    expect(page.locator("#steps .failed")).to_have_count(1)
    expect(page.locator("#steps .running")).to_have_count(0)


def test_why_nothing_can_be_recorded_is_told(open_page: OpenPage) -> None:
    """Browsers' own words: "Permission denied", "Cannot read properties of undefined"."""
    insecure = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined })"
    page = open_page(script=insecure)
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Open this page by https").wait_for()
    refused = (
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('x', 'NotAllowedError') }"
    )
    page = open_page(script=refused)
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Allow it in the browser's site settings").wait_for()
    assert page.get_by_role("button", name="Record").is_visible()


def test_a_countdown_can_be_cancelled(page: Page) -> None:
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Recording starts in").wait_for()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#recorder-place .status")).to_be_empty()
    assert page.get_by_role("button", name="Record").is_visible()


def test_no_microphone_stays_open(open_page: OpenPage) -> None:
    """One that nobody sees any more, and whose sound becomes another speaker's consent."""
    page = open_page(script=MICROPHONES, expected="400")
    record = page.locator("#recorder-place .record")
    record.click()
    page.locator("#recorder-place .status", has_text="server can't be reached").wait_for()
    page.wait_for_function(ALL_CLOSED)
    record.click()
    page.get_by_role("button", name="Stop recording").wait_for()
    page.locator("#recorder-place .status", has_text="0:01").wait_for()
    page.evaluate("microphones[1].stop(); microphones[1].dispatchEvent(new Event('ended'))")  # unplugged
    expect(page.locator("#clone-status")).to_contain_text("The microphone was disconnected")
    expect(page.locator("#recording-name")).to_have_text("recording.wav")
    page.locator("#name").fill("Ada")
    page.get_by_text("Consent recording").click()
    page.locator("#consent-recorder .record").click()
    page.locator("#consent-recorder .status", has_text="Recording starts").wait_for()
    page.get_by_role("button", name="Create voice").click()
    expect(page.locator("#clone-status")).to_contain_text("The consent is being recorded")
    page.get_by_role("button", name="Start over").click()
    expect(record).to_be_focused()
    page.wait_for_function(ALL_CLOSED)
    choose(page, sentence_file("wav"), "grace.wav")
    expect(page.locator("#consent-recorder .record")).to_have_text("Record")
    expect(page.locator("#consent-status")).to_be_empty()


def test_a_recording_dropped_anywhere_is_taken(page: Page) -> None:
    """A drop beside the box that leaves the page; a file that the recorder's Stop overwrites."""
    page.get_by_role("button", name="Record").click()
    page.get_by_text("Recording starts in").wait_for()
    drop(page, "dropped.wav", float_wav(sentence()))
    expect(page.locator("#recording-name")).to_have_text("dropped.wav")
    page.locator("#transcript-status", has_text="Recognised").wait_for()
    expect(page.locator("#recording-name")).to_have_text("dropped.wav")
    assert page.get_by_role("button", name="Stop recording").count() == 0


def test_the_transcript_is_of_the_part_that_is_used(page: Page, server: LiveServer) -> None:
    """A transcript of all that was recorded, kept with a voice that is made of a part of it."""
    samples, rate = soundfile.read(CLIP)
    output = io.BytesIO()
    soundfile.write(output, np.concatenate([0.1 * samples] * 5), rate, format="WAV")
    choose(page, output.getvalue(), "long.wav")
    page.locator("#transcript-status", has_text="Long recording").wait_for()
    page.get_by_role("button", name="Create voice").click()
    page.locator("#clone-status", has_text="s of the recording are used").wait_for()
    kept = saved_voices(server.url)[0]
    assert kept["ref_text"] and len(kept["ref_text"].split()) < 100
    expect(page.locator("#transcript")).to_have_value(kept["ref_text"])


def test_a_consent_and_a_corrected_transcript_are_kept(open_page: OpenPage, server: LiveServer) -> None:
    """A consent, or a correction, that the page takes and doesn't send; a letter that passes for one."""
    page = open_page(expected="409")
    choose(page, sentence_file("wav"), "ada.wav")
    page.locator("#transcript-status", has_text="Recognised").wait_for()
    page.locator("#transcript").fill("The weather is warm today.")
    page.get_by_text("Consent recording").click()
    page.locator("#consent-file").set_input_files(LETTER)
    page.locator("#consent-status.bad", has_text="letter.txt is no sound").wait_for()
    page.locator("#consent-file").set_input_files(AGREED)
    page.locator("#consent-status", has_text="sent with the voice").wait_for()
    create = page.get_by_role("button", name="Create voice")
    create.press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.locator("#clone-status", has_text="Saved “ada”").wait_for()
    kept = saved_voices(server.url)[0]
    assert kept["consent"].startswith("cons_")
    assert kept["ref_text"] == "The weather is warm today."
    compared = page.locator("#clone-result .comparison")
    compared.wait_for()
    create.click()  # the same name again
    expect(page.locator("#name")).to_be_focused()
    expect(page.locator("#name")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#steps")).to_be_hidden()
    expect(compared).to_be_visible()
    page.locator("#name").fill("Grace")
    cancel_once_saved(page)
    create.click()
    page.locator("#clone-status", has_text="Too late to cancel: “Grace” is already saved.").wait_for()
    expect(create).to_be_focused()


def cancel_once_saved(page: Page) -> None:
    """Have the page itself cancel then: from here it would be too late, as the answer follows at once."""
    page.evaluate("""() => {
        const [steps, cancel] = ["steps", "cancel"].map((id) => document.getElementById(id));
        const watch = new MutationObserver(() => {
            if (!steps.lastElementChild.textContent.includes("completed")) return;
            watch.disconnect();
            cancel.focus();
            cancel.click();
        });
        watch.observe(steps, { childList: true });
    }""")


def test_where_consent_is_required_the_page_asks_for_it_first(open_page: OpenPage, tmp_path: Path) -> None:
    """A recording that is uploaded, transcribed and named, and then refused."""
    with serve(BUNDLED_MODEL, data_dir=str(tmp_path), require_consent="true") as server:
        page = open_page(server.url)
        choose(page, sentence_file("wav"), "ada.wav")
        page.locator("#consent", has_text="this server wants one").wait_for()
        expect(page.locator("#consent-recorder")).to_be_visible()
        page.get_by_role("button", name="Create voice").click()
        page.locator("#clone-status", has_text="only with its speaker's consent").wait_for()
        assert not saved_voices(server.url)
        page.locator("#transcript-status", has_text="Recognised").wait_for()  # goes on
        page.locator("#consent-file").set_input_files(AGREED)
        page.locator("#consent-status", has_text="sent with the voice").wait_for()
        page.get_by_role("button", name="Create voice").click()
        page.locator("#clone-status", has_text="Saved “ada”").wait_for()
        page.close()
