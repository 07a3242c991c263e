"""The official SDK is the judge of our shapes."""

import base64
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion

from audio.decode import decode_audio
from tests.api.test_chat import RECORDING

HELLO: list[Any] = [{"role": "user", "content": "Hello world."}]
ENCODER_DELAY = {"wav": 0.0, "flac": 0.0, "pcm16": 0.0, "mp3": 0.1, "aac": 0.1, "opus": 0.05}  # seconds


def speak(client: OpenAI, **fields: Any) -> ChatCompletion:
    request: dict[str, Any] = {
        "model": "tiny",
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "wav"},
        "messages": HELLO,
        "seed": 1,
        "max_completion_tokens": 100,
    }
    return client.chat.completions.create(**(request | fields))


def strictly_valid(completion: ChatCompletion) -> ChatCompletion:
    """The SDK takes what it gets; its own types, asked strictly, do not."""
    return ChatCompletion.model_validate_json(completion.to_json(exclude_unset=False), strict=True)


def test_the_response_is_a_chat_completion(client: OpenAI) -> None:
    completion = strictly_valid(speak(client))
    choice = completion.choices[0]
    assert completion.object == "chat.completion" and completion.model == "tiny"
    assert choice.message.content is None and choice.message.refusal is None
    assert choice.message.audio is not None and choice.message.audio.transcript == "Hello world."
    assert choice.finish_reason in ("stop", "length")


@pytest.mark.parametrize("format", ENCODER_DELAY)
def test_the_audio_has_the_format_asked_for_and_the_length_of_the_usage(client: OpenAI, format: str) -> None:
    completion = speak(client, audio={"voice": "default", "format": format})
    audio, usage = completion.choices[0].message.audio, completion.usage
    assert audio is not None and usage is not None and usage.completion_tokens_details is not None
    data = base64.b64decode(audio.data, validate=True)
    marks = {"wav": b"RIFF", "flac": b"fLaC", "opus": b"OggS", "aac": b"ID3"}
    assert data.startswith(marks.get(format, b""))
    samples = len(data) / 2 if format == "pcm16" else len(decode_audio(data))
    seconds = (usage.completion_tokens_details.audio_tokens or 0) / 25
    assert samples / 24_000 == pytest.approx(seconds, abs=ENCODER_DELAY[format] + 1e-6)


def test_cloning_with_the_sdk_s_own_message_types(client: OpenAI) -> None:
    completion = speak(
        client,
        audio={"voice": "clone", "format": "wav"},
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Hello world."},
                    {"type": "input_audio", "input_audio": {"data": RECORDING, "format": "wav"}},
                ],
            }
        ],
        extra_body={"top_k": 20},
    )
    extras = strictly_valid(completion).model_extra or {}
    assert extras["voice"]["used"] == "clone"
    usage = completion.usage
    assert usage is not None and usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.audio_tokens and usage.prompt_tokens_details.text_tokens
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_errors_are_the_sdk_s_exceptions(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        speak(client, model="gpt-4o")
    assert missing.value.code == "model_not_found" and missing.value.param == "model"
    assert missing.value.request_id
    with pytest.raises(openai.BadRequestError) as bad:
        speak(client, temperature=9)
    assert bad.value.param == "temperature" and bad.value.type == "invalid_request_error"


def test_models_and_the_request_id(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").object == "model"
    completion = speak(client, extra_headers={"x-request-id": "mine-1"})
    assert completion._request_id == "mine-1"
