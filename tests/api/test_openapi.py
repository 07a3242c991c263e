"""The OpenAPI document is the server's: requests made from it get the answers that it promises."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.schemas.events import (
    ChatChunk,
    SpeechDelta,
    SpeechDone,
    TranscriptDelta,
    TranscriptDone,
    VoiceDone,
    VoiceStep,
)
from app import create_app
from settings import Settings
from tests.audio.media import float_wav, recording, sound_file
from tests.tiny_server import TinyServer, ready, write_endless_model

CLIP = ("me.wav", sound_file("wav"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DOCUMENT = create_app(Settings()).openapi()
FOUND = schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
OPERATIONS = [found.ok() for found in FOUND if isinstance(found, Ok)]
# The same requests in every run, few enough for a few seconds.
FEW = settings(max_examples=8, deadline=None, derandomize=True, database=None, phases=[Phase.generate])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    """A server whose model speaks to the end of its few positions, whatever is said."""
    folder = tmp_path_factory.mktemp("documented")
    model = str(write_endless_model(folder / "model"))
    with ready(Settings(model=model, device="cpu", max_positions=256, data_dir=folder)) as server:
        yield server


def test_a_key_can_be_entered_and_routes_stand_in_groups() -> None:
    """Kind: on a server with keys, "Try it out" had no place for one."""
    assert DOCUMENT["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert DOCUMENT["security"] == [{"key": []}, {}]
    tags = {tag for path in DOCUMENT["paths"].values() for each in path.values() for tag in each["tags"]}
    assert tags == {"Server", "Speech and text", "Long texts", "Voices"}


# Not by schemathesis's own parametrize: with pytest 9 its tests have all one id, of which a worker runs one.
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@FEW
@given(data=st.data())
def test_every_answer_is_one_that_the_document_promises(
    operation: APIOperation, server: TinyServer, data: st.DataObject
) -> None:
    mode = data.draw(st.sampled_from(GenerationMode))
    case = data.draw(operation.as_strategy(mode))
    case.call_and_validate(base_url=server.url, checks=CHECKS, timeout=60)


def test_the_document_tells_of_our_errors_only() -> None:
    operations = [operation for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(operations) == len(OPERATIONS) > 25
    assert {status for operation in operations for status in operation["responses"]} == {
        *("200", "400", "401", "403", "404", "409", "413", "415", "429", "500", "501", "503")
    }
    assert not [name for name in DOCUMENT["components"]["schemas"] if "ValidationError" in name]


def events_of(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [line for line in lines if line != "[DONE]"]


def test_the_events_of_streams_are_as_the_document_says(server: TinyServer) -> None:
    """Kind: a stream is part of the contract, too; a client made from the document must know its events."""
    said = {"model": "higgs-audio", "messages": [{"role": "user", "content": "Hi."}], "stream": True}
    chat = httpx.post(f"{server.url}/v1/chat/completions", json=said, timeout=60)
    assert [ChatChunk.model_validate_json(event) for event in events_of(chat)]
    spoken = {"model": "higgs-audio", "input": "Hi.", "stream_format": "sse"}
    *deltas, done = events_of(httpx.post(f"{server.url}/v1/audio/speech", json=spoken, timeout=60))
    assert [SpeechDelta.model_validate_json(event) for event in deltas]
    assert SpeechDone.model_validate_json(done).usage.output_tokens > 0
    form: dict[str, Any] = {"data": {"model": "whisper-1", "stream": "true"}, "files": {"file": CLIP}}
    *deltas, done = events_of(httpx.post(f"{server.url}/v1/audio/transcriptions", **form, timeout=60))
    assert [TranscriptDelta.model_validate_json(event) for event in deltas]
    assert TranscriptDone.model_validate_json(done).text
    short = ("me.wav", float_wav(recording()[12_000:72_000]))  # the positions are few
    form = {"data": {"stream": "true", "sample_text": "Hi."}, "files": {"audio_file": short}}
    made = httpx.post(f"{server.url}/api/public/voice/onboarding/clone", **form, timeout=120)
    *steps, done = events_of(made)
    assert [VoiceStep.model_validate_json(event) for event in steps]
    assert VoiceDone.model_validate_json(done).voice_name == "me"
    for operation in [operation for path in DOCUMENT["paths"].values() for operation in path.values()]:
        stream = operation["responses"]["200"].get("content", {}).get("text/event-stream")
        for kind in stream["itemSchema"]["properties"]["data"]["contentSchema"]["anyOf"] if stream else ():
            assert kind["$ref"].rpartition("/")[2] in DOCUMENT["components"]["schemas"]
