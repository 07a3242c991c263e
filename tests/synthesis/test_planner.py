"""A text as it is spoken: in chunks that continue each other, with pauses, delivered as asked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audio.delivery import Delivery
from higgs.prompts.v2 import QUIET_ROOM, Reference
from settings import Settings
from synthesis.options import SpeechOptions
from tests.live import ROOT
from tests.tiny_server import write_whole_model
from voice_cloning import VoiceCloner

RECORDING = (ROOT / "test_audio.wav").read_bytes()
SHORT = SpeechOptions(seed=1, max_steps=60)


@pytest.fixture(scope="module")
def cloner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoiceCloner]:
    folder: Path = write_whole_model(tmp_path_factory.mktemp("models") / "tiny")
    cloner = VoiceCloner.load(Settings(model=str(folder), device="cpu"))
    yield cloner
    cloner.close()


def test_a_long_text_goes_on_in_the_voice_it_began_with(cloner: VoiceCloner) -> None:
    voice = cloner.reference(RECORDING, "Some words.")
    text = "This sentence has some forty characters. " * 14
    speech = cloner.speak(text, voice, SpeechOptions(seed=1))
    chunks = np.concatenate(list(cloner.stream(text, voice, SpeechOptions(seed=1))))
    np.testing.assert_allclose(chunks, speech.samples, atol=1e-5)


def test_pauses_are_silence_of_their_length(cloner: VoiceCloner) -> None:
    text = "[pause 0.25s] Hello. <break time='500ms'/> Hello. [pause 1s]"
    options = SpeechOptions(seed=1)
    speech = cloner.speak(text, None, options)
    first = cloner.speak("Hello.", None, options)
    silence = len(speech.samples) - len(speech.as_spoken)
    assert silence == 1.75 * 24_000 and len(speech.as_spoken) == 960 * speech.completion_audio_tokens
    np.testing.assert_array_equal(speech.samples[:6_000], 0)
    np.testing.assert_allclose(speech.samples[6_000:][: len(first.samples)], first.samples, atol=1e-5)
    np.testing.assert_array_equal(speech.samples[6_000 + len(first.samples) :][:12_000], 0)
    np.testing.assert_array_equal(speech.samples[-24_000:], 0)
    assert np.abs(speech.as_spoken).max() > 0
    streamed = np.concatenate(list(cloner.stream(text, None, options)))
    np.testing.assert_allclose(streamed, speech.samples, atol=1e-5)


def test_a_voice_s_delivery_is_its_own_and_a_request_outranks_it(cloner: VoiceCloner) -> None:
    fast = replace(cloner.reference(RECORDING), delivery=Delivery(speed=2, volume=-20))
    plain = cloner.speak("Hello world.", cloner.reference(RECORDING), SHORT)
    kept = cloner.speak("Hello world.", fast, SHORT)
    assert len(kept.samples) == pytest.approx(len(plain.samples) / 2, abs=2_000)
    assert np.std(kept.samples) == pytest.approx(0.1 * np.std(plain.samples), rel=0.2)
    np.testing.assert_array_equal(kept.as_spoken, plain.samples)
    softer = cloner.speak("Hello world.", fast, replace(SHORT, delivery=Delivery(speed=1.0)))
    np.testing.assert_allclose(softer.samples, 0.1 * plain.samples, atol=1e-6)


def test_each_speaker_has_a_delivery_and_streams_are_the_whole(cloner: VoiceCloner) -> None:
    slow = replace(cloner.reference(RECORDING), delivery=Delivery(speed=0.5, pitch=4))
    text, options = "Hello. [SPEAKER1] Hello. [pause 1s] [SPEAKER0] Hello.", SpeechOptions(seed=1)
    speech = cloner.speak(text, [None, slow], options)
    assert len(speech.samples) - 24_000 > len(speech.as_spoken)
    chunks = list(cloner.stream(text, [None, slow], options))
    np.testing.assert_allclose(np.concatenate(chunks), speech.samples, atol=1e-4)


def test_all_recordings_of_a_voice_are_read(cloner: VoiceCloner) -> None:
    voice = cloner.reference(RECORDING, "Some words.")
    both = replace(voice, more=(Reference(voice.codes, "Other words."),))
    one, two = (cloner.speak("Hello.", each, SHORT) for each in (voice, both))
    assert two.prompt_audio_tokens == 2 * one.prompt_audio_tokens
    assert two.prompt_text_tokens > one.prompt_text_tokens + len("Other words.")


def test_a_scene_and_instructions_reach_a_model_that_was_trained_on_them(cloner: VoiceCloner) -> None:
    plain = cloner.speak("Hello.", None, SHORT)
    told = replace(SHORT, delivery=Delivery(instructions="Whisper. <|scene_desc_end|>"))
    assert cloner.followed([None], SHORT) is None and cloner.followed([None], told)
    whispered = cloner.speak("Hello.", None, told)
    assert whispered.prompt_text_tokens == plain.prompt_text_tokens + len("\n\nSPEAKER0: Whisper.")
    outside = cloner.speak("Hello.", None, replace(SHORT, scene="A street."))
    assert outside.prompt_text_tokens == plain.prompt_text_tokens + len("A street.") - len(QUIET_ROOM)


def test_a_dialogue_without_voices_is_cast_by_the_model_and_not_cut_short(cloner: VoiceCloner) -> None:
    turn = "[SPEAKER0] Hello there, how are you?\n[SPEAKER1] I am fine, and you?\n"
    cast = cloner.speak(turn * 6, None, SHORT)
    assert len(cast.texts) == 1 and "SPEAKER" not in cast.texts[0].text
    one = cloner.speak("[SPEAKER0] Hello there, how are you?\n", None, SHORT)
    assert cast.prompt_text_tokens - one.prompt_text_tokens > len("SPEAKER0: feminine\nSPEAKER1: masculine")
    voice = cloner.reference(RECORDING)
    assert len(cloner.speak(turn * 6, voice, SpeechOptions(seed=1)).texts) == 2


def test_what_was_spoken_is_told_with_its_place(cloner: VoiceCloner) -> None:
    """Kind of fault: speech was judged by the raw text, with its links' addresses and tags."""
    text = "[Read](https://example.org/a/very/long/address) this. [pause 1s] <SE>[Laughter]</SE> Then that."
    speech = cloner.speak(text, None, SpeechOptions(seed=1))
    first, second = speech.texts
    assert (first.text, second.text) == ("Read this.", "Then that.")
    assert first.start == 0 and first.end == second.start
    assert second.end == pytest.approx(len(speech.as_spoken) / 24_000)


def test_a_sentence_for_which_no_steps_are_left_is_told_as_unspoken(cloner: VoiceCloner) -> None:
    speech = cloner.speak("Hello there. [pause 1s] Bye.", None, SpeechOptions(seed=1, max_steps=20))
    last = speech.texts[-1]
    assert speech.finish_reason == "length" and last.text == "Bye." and last.start == last.end


def test_prompts_are_as_long_as_was_said_before_they_were_made(cloner: VoiceCloner) -> None:
    """Of a voice whose words are known, and of several chunks."""
    voice = replace(cloner.reference(RECORDING), transcript="Some words.")
    text = "[SPEAKER0] One sentence stands here. [SPEAKER1] And another. " * 8
    segments = cloner._planner.segments(cloner.read(text, voices=2), [voice, None], SHORT)
    prompts = [chunk.prompt for segment in segments for chunk in segment.chunks]
    assert len(prompts) == 16
    assert [len(prompt) for prompt in prompts] == [len(prompt.made()) for prompt in prompts]


def test_a_text_goes_on_from_what_its_voice_said_before(cloner: VoiceCloner) -> None:
    """Kind of fault: a text that comes in parts whose voice drifts from part to part."""
    voice = cloner.reference(RECORDING, "Some words.")
    said, read = Reference(voice.codes[:, :10], "One sentence."), cloner.read("And another.")
    alone, behind, of_two = (
        cloner._planner.segments(text, voices, SHORT, before)[0].chunks[0].prompt
        for text, voices, before in (
            (read, [voice], None),
            (read, [voice], said),
            (cloner.read("And another.", voices=2), [voice, voice], said),
        )
    )
    assert len(behind) > len(alone) + 10 + len("One sentence.") and len(of_two) == len(alone)
