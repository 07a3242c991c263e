"""Bad attempts are noticed; with `verify` they are repeated."""

from collections.abc import Iterator
from typing import Literal

import httpx
import numpy as np
import pytest

from api.attempts import Attempts, checkable, quality_of, words_heard, words_said
from api.request_context import RequestContext, request_context
from asr.transcriber import Transcriber, load_recogniser
from audio.speech_track import SpeechTrack
from errors import Cancelled, ModelError, Overloaded
from higgs.spoken import Speech, SpokenText
from tests.api.test_chat import answer, refusal, said
from tests.audio.media import SENTENCE, sentence
from tests.tiny_server import TinyServer

WORDS = SENTENCE
NOISE = np.random.default_rng(0).normal(0, 0.05, 5 * 24_000).astype(np.float32)


class Spoken:
    """An attempt that is complete, like a SpeechStream that has ended."""

    def __init__(
        self, samples: np.ndarray, seed: int = 0, finish_reason: Literal["stop", "length"] = "stop"
    ) -> None:
        self.seed, self.samples, self.cancelled = seed, samples, False
        self.finish_reason = finish_reason

    def speech(self) -> Speech:
        return Speech(
            samples=self.samples,
            as_spoken=self.samples,
            finish_reason=self.finish_reason,
            prompt_text_tokens=1,
            prompt_audio_tokens=0,
            completion_audio_tokens=len(self.samples) // 960,
            seed=self.seed,
        )

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture(scope="module")
def transcriber() -> Iterator[Transcriber]:
    transcriber = Transcriber(lambda: load_recogniser("pocketsphinx", "cpu"))
    yield transcriber
    transcriber.close()


def test_an_attempt_with_the_wrong_words_is_repeated(transcriber: Transcriber) -> None:
    others = iter([Spoken(sentence(), 1), Spoken(sentence(), 2)])
    with request_context(RequestContext("req_1", "POST")) as record:
        speech, quality = Attempts(Spoken(NOISE), lambda: next(others), WORDS, transcriber, 4).best()
    assert (speech.seed, quality.takes, quality.faults) == (1, 2, [])
    assert record.retries == 1
    assert quality.word_error_rate is not None and quality.word_error_rate < 0.25
    assert quality.heard


def test_where_none_is_good_the_best_goes_out(transcriber: Transcriber) -> None:
    half = np.concatenate([sentence()[:28_000], NOISE[:30_000]])
    others = iter([Spoken(half, 1), Spoken(NOISE[:24_000], 2)])
    speech, quality = Attempts(Spoken(NOISE[:24_000], 0), lambda: next(others), WORDS, transcriber, 3).best()
    assert (speech.seed, quality.takes) == (1, 3)
    assert quality.word_error_rate is not None and 0.5 < quality.word_error_rate < 1


def test_a_full_queue_ends_the_tries(transcriber: Transcriber) -> None:
    def full() -> Spoken:
        raise Overloaded("The queue is full.")

    _, quality = Attempts(Spoken(NOISE[:24_000]), full, WORDS, transcriber, 3).best()
    assert quality.takes == 1


def test_faults_are_told_without_a_verifier_and_nothing_is_made_again() -> None:
    _, quality = Attempts(Spoken(NOISE[:24_000]), lambda: Spoken(sentence()), WORDS, None, 3).best()
    assert (quality.takes, [fault.kind for fault in quality.faults]) == (1, ["too_short"])
    assert quality.heard is None and quality.word_error_rate is None


def test_speech_that_was_cut_off_is_a_fault_and_made_again() -> None:
    first, second = Spoken(sentence(), 1, "length"), Spoken(sentence(), 2)
    speech, quality = Attempts(first, lambda: second, WORDS, None, 3, patient=True).best()
    assert (speech.seed, quality.takes, quality.faults) == (2, 2, [])
    _, quality = Attempts(first, None, WORDS, None, 3).best()
    assert [fault.kind for fault in quality.faults] == ["too_long"]


def test_whoever_leaves_is_not_listened_for(transcriber: Transcriber) -> None:
    attempt = Spoken(sentence())
    attempts = Attempts(attempt, None, WORDS, transcriber, 3)
    attempts.cancel()
    with pytest.raises(Cancelled):
        attempts.best()
    assert attempt.cancelled


def test_tags_don_t_make_a_text_longer() -> None:
    text = "<|emotion:contemplation|><|prosody:expressive_high|>Oh no."
    assert not quality_of(track_of(sentence()[:18_000]), text).faults
    found = quality_of(track_of(sentence()[:18_000]), WORDS).faults
    assert [fault.kind for fault in found] == ["too_short"]


class Failing(Spoken):
    """An attempt whose model fails while it is spoken."""

    def speech(self) -> Speech:
        raise ModelError("The model failed.")


def test_what_was_spoken_is_not_lost_when_a_further_attempt_fails(transcriber: Transcriber) -> None:
    """A kind of loss: work that is done goes with the error of work that comes after it."""
    half = np.concatenate([sentence()[:28_000], NOISE[:30_000]])
    speech, quality = Attempts(Spoken(half, 7), lambda: Failing(NOISE), WORDS, transcriber, 3).best()
    assert (speech.seed, quality.takes) == (7, 1)


def test_speech_goes_out_unheard_where_the_recogniser_is_full() -> None:
    """The same loss: the speech is there, and only nobody can listen to it now. The answer says so."""
    full = Transcriber(lambda: load_recogniser("pocketsphinx", "cpu"), max_waiting=0)
    others = iter([Spoken(sentence(), 1)])
    speech, quality = Attempts(Spoken(sentence(), 5), lambda: next(others), WORDS, full, 3).best()
    full.close()
    assert (speech.seed, quality.takes, quality.heard) == (5, 1, None)
    assert quality.note is not None and "not verified" in quality.note


def test_a_pause_is_better_than_other_words(transcriber: Transcriber) -> None:
    """A kind of wrong choice: faults were counted before words, whatever they weigh."""
    clip = sentence()
    paused = np.concatenate([clip[:36_000], np.zeros(3 * 24_000, np.float32), clip[36_000:]])
    others = iter([Spoken(NOISE, 1)])
    speech, quality = Attempts(Spoken(paused, 0), lambda: next(others), WORDS, transcriber, 2).best()
    assert (speech.seed, quality.takes) == (0, 2)
    assert [fault.kind for fault in quality.faults] == ["silence"]


def track_of(samples: np.ndarray) -> SpeechTrack:
    track = SpeechTrack()
    track.push(samples)
    return track


def test_words_are_compared_as_they_are_spoken(transcriber: Transcriber) -> None:
    assert words_said("[SPEAKER0] **3** apples, [laugh] Dr. Who!", True) == words_heard(
        "three apples doctor who", True
    )
    assert words_said("Drei Äpfel!", False) == ["drei", "äpfel"]
    assert words_said("<|emotion:sadness|>Oh <SE>[Cough]</SE> <|prosody:pause|>no.", False) == ["oh", "no"]
    assert checkable("Hello!", transcriber) and not checkable("今天天气", transcriber)


def test_verify_over_http(tiny_server: TinyServer) -> None:
    """A model of random weights says no words: all attempts are made, and the answer says what was heard."""
    body = answer(tiny_server, said("Good morning to all of you."), verify=True, seed=None)
    assert body["quality"]["takes"] == 3
    assert body["quality"]["word_error_rate"] > 0.5
    assert answer(tiny_server, said("Good morning to all of you."), verify=True)["quality"]["takes"] == 1
    plain = answer(tiny_server, said("Good morning to all of you."))
    assert plain["quality"]["takes"] == 1 and plain["quality"]["heard"] is None


def test_a_stream_can_t_be_verified(tiny_server: TinyServer) -> None:
    found = refusal(tiny_server, said("Hello."), verify=True, stream=True)
    assert found == (400, "unsupported", "verify")


def test_verified_speech_as_a_file(tiny_server: TinyServer) -> None:
    body = {"model": "tiny", "input": "Good morning to all of you.", "seed": 1, "max_tokens": 60}
    url = f"{tiny_server.url}/v1/audio/speech"
    response = httpx.post(url, json={**body, "verify": True, "response_format": "wav"}, timeout=60)
    assert response.status_code == 200 and int(response.headers["content-length"]) == len(response.content)
    assert response.headers["x-takes"] == "1" and float(response.headers["x-word-error-rate"]) > 0.5
    refused = httpx.post(url, json={**body, "verify": True, "stream_format": "sse"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "verify")


def test_a_sentence_that_was_not_spoken_is_named_and_the_speech_refused(transcriber: Transcriber) -> None:
    """Kind of fault: the end of a text was left out, and the word error rate was low enough for all of it."""
    lost = "Please bring the green umbrella tomorrow."
    _, quality = Attempts(Spoken(sentence()), None, f"{WORDS} {lost}", transcriber, 1).best()
    assert [(fault.kind, fault.message) for fault in quality.faults] == [
        ("missing", f'"{lost}" was not heard.')
    ]
    whole = Attempts(Spoken(sentence()), None, WORDS, transcriber, 1).best()[1]
    assert whole.faults == []


def test_each_chunk_is_long_enough_for_its_words() -> None:
    """Kind of fault: one sentence of many was dropped, and the speech as a whole was not too short."""
    texts = (SpokenText(WORDS, 0.0, len(sentence()) / 24_000), SpokenText("Add the salt.", 2.5, 2.7))
    (fault,) = quality_of(track_of(sentence()), "unused", texts).faults
    assert (fault.kind, fault.start) == ("too_short", 2.5) and "Add the salt." in fault.message


def test_a_link_s_address_makes_no_speech_too_short() -> None:
    short = track_of(sentence()[:18_000])
    assert not quality_of(short, f"[SPEAKER0] [Oh no](https://example.org/{'a' * 200}).").faults
