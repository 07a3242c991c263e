"""Each documented field of OpenAI's SDK, vLLM-Omni and SGLang-Omni is served, refused by name, or harmless.

Kind: what a client asks for must not be passed over in silence. The table is tests/api/request_fields.toml.
"""

import tomllib
from io import BytesIO
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from fastapi import UploadFile
from openai.types import audio, chat, realtime
from openai.types.audio import transcription_create_params, voice_create_params
from openai.types.chat import (
    chat_completion_content_part_param,
    chat_completion_message_param,
    completion_create_params,
)
from openai.types.chat.chat_completion_assistant_message_param import ContentArrayOfContentPart
from openai.types.realtime import realtime_audio_input_turn_detection_param as turn_detection
from pydantic import BaseModel, ValidationError

from api.routes.consents import create_consent, list_consents
from api.routes.voices import create_voice
from api.schemas.chat import AudioRequest, ChatRequest, StreamOptions
from api.schemas.fields import UNSUPPORTED
from api.schemas.messages import ContentPart, InputAudio, Message
from api.schemas.realtime import (
    InputConfig,
    OutputConfig,
    ResponseConfig,
    SessionConfig,
    Transcription,
    TurnDetection,
)
from api.schemas.speech import SpeechReference, SpeechRequest
from api.schemas.transcription import TranscriptionForm, TranslationForm
from api.schemas.transcription_fields import ServerVad
from tests.api.unloaded import unloaded

TABLE: dict[str, dict[str, dict[str, Any]]] = tomllib.loads(
    Path(__file__).with_name("request_fields.toml").read_text()
)
MESSAGES = get_args(chat_completion_message_param.ChatCompletionMessageParam)
PARTS = (
    *get_args(chat_completion_content_part_param.ChatCompletionContentPartParam),
    *get_args(ContentArrayOfContentPart),
)
SDK: dict[str, tuple[Any, ...]] = {
    "chat": (
        completion_create_params.CompletionCreateParamsNonStreaming,
        completion_create_params.CompletionCreateParamsStreaming,
    ),
    "chat_audio": (chat.ChatCompletionAudioParam,),
    "chat_stream_options": (chat.ChatCompletionStreamOptionsParam,),
    "chat_message": MESSAGES,
    "chat_part": PARTS,
    "input_audio": (chat.chat_completion_content_part_input_audio_param.InputAudio,),
    "speech": (audio.SpeechCreateParams,),
    "transcription": (
        transcription_create_params.TranscriptionCreateParamsNonStreaming,
        transcription_create_params.TranscriptionCreateParamsStreaming,
    ),
    "chunking_strategy": (transcription_create_params.ChunkingStrategyVadConfig,),
    "translation": (audio.TranslationCreateParams,),
    "voice": get_args(voice_create_params.VoiceCreateParams),
    "voice_consent": (audio.VoiceConsentCreateParams, audio.VoiceConsentUpdateParams),
    "list": (audio.VoiceConsentListParams,),
    "realtime_session": (realtime.RealtimeSessionCreateRequestParam,),
    "realtime_response": (realtime.RealtimeResponseCreateParamsWithReferencesParam,),
    "realtime_input": (realtime.RealtimeAudioConfigInputParam,),
    "realtime_output": (realtime.RealtimeAudioConfigOutputParam,),
    "realtime_transcription": (realtime.AudioTranscriptionParam,),
    "realtime_turn_detection": (turn_detection.ServerVad, turn_detection.SemanticVad),
}
FILE = UploadFile(BytesIO(b""), filename="a.wav")
USER = {"role": "user", "content": "Hi."}
SPEECH = (SpeechRequest, {"model": "tiny", "input": "Hi."})
# Section → the schema that takes it, and a body of what must stand in it.
MODELS: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "openai.chat": (ChatRequest, {"model": "tiny", "messages": [USER]}),
    "openai.chat_audio": (AudioRequest, {}),
    "openai.chat_stream_options": (StreamOptions, {}),
    "openai.chat_message": (Message, USER),
    "openai.chat_part": (ContentPart, {"type": "text", "text": "Hi."}),
    "openai.input_audio": (InputAudio, {"data": "AAAA"}),
    "openai.speech": SPEECH,
    "openai.transcription": (TranscriptionForm, {"file": FILE, "model": "whisper-1"}),
    "openai.chunking_strategy": (ServerVad, {"type": "server_vad"}),
    "openai.translation": (TranslationForm, {"file": FILE, "model": "whisper-1"}),
    "openai.realtime_session": (SessionConfig, {}),
    "openai.realtime_response": (ResponseConfig, {}),
    "openai.realtime_input": (InputConfig, {}),
    "openai.realtime_output": (OutputConfig, {}),
    "openai.realtime_transcription": (Transcription, {}),
    "openai.realtime_turn_detection": (TurnDetection, {"type": "server_vad"}),
    "vllm_omni.speech": SPEECH,
    "sglang_omni.speech": SPEECH,
    "sglang_omni.reference": (SpeechReference, {"data": "AAAA"}),
}
ROUTES: dict[str, Any] = {
    "openai.voice": create_voice,
    "openai.voice_consent": create_consent,
    "openai.list": list_consents,
    "vllm_omni.voice": create_voice,
    "sglang_omni.voice": create_voice,
}


def entries(kind: str) -> list[Any]:
    """(section, field, what the table says) of one kind: served, refused or harmless."""
    return [
        pytest.param(f"{source}.{section}", field, said, id=f"{source}.{section}.{field}")
        for source, sections in TABLE.items()
        for section, fields in sections.items()
        for field, said in fields.items()
        if kind == ("served" if said is True else "refused" if "refused" in said else "harmless")
    ]


def refused_as(schema: type[BaseModel], body: dict[str, Any]) -> str | None:
    """The name of the field that is refused as unsupported; None where the body is taken."""
    try:
        schema.model_validate(body)
    except ValidationError as error:
        (issue,) = error.errors()
        assert issue["type"] == UNSUPPORTED and len(issue["msg"]) > 10, issue
        return str(issue["loc"][-1])
    return None


@pytest.mark.parametrize("section", SDK)
def test_the_table_has_each_field_of_the_sdk_and_no_other(section: str) -> None:
    documented = {field for params in SDK[section] for field in params.__annotations__}
    assert set(TABLE["openai"][section]) == documented


def test_the_table_has_each_kind_of_part() -> None:
    kinds = {get_args(get_type_hints(part)["type"])[0] for part in PARTS}
    assert set(TABLE["openai"]["chat_part_type"]) == kinds
    taken = {kind for kind, said in TABLE["openai"]["chat_part_type"].items() if said is True}
    assert taken | {"audio_url"} == set(get_args(ContentPart.model_fields["type"].annotation))


@pytest.mark.parametrize(("section", "field", "said"), entries("served"))
def test_what_is_served_stands_in_the_schema(section: str, field: str, said: Any) -> None:
    if section in MODELS:
        schema, _ = MODELS[section]
        properties = schema.model_json_schema()["properties"]
        aliases = {"speaker": "voice", "max_new_tokens": "max_tokens"}
        names = {field, f"{field}[]", aliases.get(field, field)}
        assert names & properties.keys()
    elif section in ROUTES:
        assert field in ROUTES[section].__annotations__


@pytest.mark.parametrize(("section", "field", "said"), entries("refused"))
def test_what_is_refused_is_refused_by_name(section: str, field: str, said: Any) -> None:
    if section in MODELS:
        schema, body = MODELS[section]
        name = f"{field}[]" if f"{field}[]" in aliases_of(schema) else field
        assert refused_as(schema, body | {field: said["refused"]}) == name
        for nothing in (None, *said.get("unless", ())):
            assert refused_as(schema, body | {field: nothing}) is None
    elif section == "openai.chat_part_type":
        with pytest.raises(ValidationError):
            ContentPart.model_validate({"type": field, field: {"url": "x"}})
    else:
        check_refused_voice(field, said)


def check_refused_voice(field: str, said: Any) -> None:
    client, files = unloaded(), {"audio_sample": ("a.wav", b"RIFF")}
    for value in (said["refused"], *said.get("unless", ())):
        form = {"name": "Anna", field: value}
        error = client.post("/v1/audio/voices", data=form, files=files).json()["error"]
        refused = (error["code"], error["param"]) == ("unsupported", field)
        assert refused is (value == said["refused"])


@pytest.mark.parametrize(("section", "field", "said"), entries("harmless"))
def test_what_is_harmless_changes_nothing(section: str, field: str, said: Any) -> None:
    assert len(said["why"]) > 10
    if section in MODELS:
        schema, body = MODELS[section]
        assert field not in schema.model_json_schema()["properties"] or section == "openai.chat_message"
        assert schema.model_validate(body | {field: said["harmless"]}) == schema.model_validate(body)


def aliases_of(schema: type[BaseModel]) -> set[str]:
    return {field.alias for field in schema.model_fields.values() if field.alias is not None}
