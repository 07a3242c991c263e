"""Chat completions that answer with words: the transcript of a recording, and of a reference."""

from typing import Any

import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion

from asr.words import word_error_rate
from tests.api.test_chat import RECORDING, answer, refusal, said
from tests.live import ROOT
from tests.tiny_server import TinyServer

WORDS = (ROOT / "test_audio.txt").read_text()


def understood(text: str | None) -> bool:
    return text is not None and word_error_rate(WORDS, text) <= 0.25


def test_text_alone_is_the_transcript_of_the_recording(client: OpenAI) -> None:
    messages: list[Any] = [said("What does she say?", RECORDING)]
    completion = client.chat.completions.create(model="tiny", modalities=["text"], messages=messages)
    ChatCompletion.model_validate_json(completion.to_json(exclude_unset=False), strict=True)
    assert understood(completion.choices[0].message.content)
    usage = completion.usage
    assert usage is not None and usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.audio_tokens == pytest.approx(25 * 7.9, abs=2)


def test_the_transcript_in_chunks(client: OpenAI) -> None:
    messages: list[Any] = [said("", RECORDING)]
    options: Any = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            model="tiny", modalities=["text"], messages=messages, stream=True, stream_options=options
        )
    )
    deltas = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert understood("".join(deltas))
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens > 0


def test_text_alone_without_a_recording_is_refused(tiny_server: TinyServer) -> None:
    found = refusal(tiny_server, said("Hello."), modalities=["text"])
    assert found == (400, "missing_required_parameter", "messages")


def test_several_recordings_of_one_message_are_refused(tiny_server: TinyServer) -> None:
    """Kind: the first of two recordings in a message was dropped without a word; older ones are history."""
    found = refusal(tiny_server, said("", RECORDING), said("", RECORDING, RECORDING), modalities=["text"])
    assert found == (400, "unsupported", "messages[1].content[1].input_audio.data")
    history = [said("", RECORDING), said("", RECORDING)]
    assert understood(answer(tiny_server, *history, modalities=["text"])["choices"][0]["message"]["content"])


def test_the_words_of_a_reference_are_recognised_once_and_can_be_corrected(tiny_server: TinyServer) -> None:
    message = said("Hello.", RECORDING)
    clone = {"voice": "clone", "transcribe_reference": True}
    first = answer(tiny_server, message, audio=clone)
    used = first["voice"]["reference"]
    assert used["transcript_from"] == "recognised" and understood(used["transcript"])
    again = answer(tiny_server, message, audio=clone)
    corrected = answer(tiny_server, message, audio={"voice": "clone", "ref_text": used["transcript"]})
    sounds = [body["choices"][0]["message"]["audio"]["data"] for body in (first, again, corrected)]
    assert sounds[0] == sounds[1] == sounds[2]
    assert corrected["voice"]["reference"]["transcript_from"] == "request"
    untold = answer(tiny_server, message, audio={"voice": "clone"})
    assert untold["voice"]["reference"]["transcript"] is None
