"""Who says what, through the official SDK, over real HTTP: whole and streamed, known speakers, refusals."""

import base64
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai import OpenAI
from openai.types.audio import TranscriptionDiarized, TranscriptionStreamEvent
from pydantic import TypeAdapter

from api.diarised import letters
from speakers.encoder import weights_file
from speakers.verifier import SpeakerVerifier
from tests.audio.media import float_wav
from tests.speakers.conversations import RATE, conversation, voice
from tests.tiny_server import TinyServer

pytestmark = pytest.mark.skipif(
    weights_file() is None, reason="needs the package of requirements-weights.txt"
)

SAMPLES, TRUTH = conversation(("hugo", 0, 3), ("clara", 0, 3.2), ("hugo", 3, 6), ("clara", 3.2, 6.5))
FILE = ("talk.wav", float_wav(SAMPLES))
ONE_TURN = ("turn.wav", float_wav(SAMPLES[: int(TRUTH[2][1] * RATE)]))  # of each: enough to tell who is who
MODEL = "gpt-4o-transcribe-diarize"
EVENT: TypeAdapter[Any] = TypeAdapter(TranscriptionStreamEvent)


def transcribe(client: OpenAI, file: Any = FILE, **fields: Any) -> Any:
    asked = {"model": MODEL, "response_format": "diarized_json", "chunking_strategy": "auto"} | fields
    return client.audio.transcriptions.create(file=file, **asked)


def data_url(samples: np.ndarray) -> str:
    return f"data:audio/wav;base64,{base64.b64encode(float_wav(samples)).decode()}"


def right(segments: Any, names: dict[str, str]) -> bool:
    """Whether each segment is of who speaks in the middle of it; names: voice → label."""
    middles = [((segment.start + segment.end) / 2, segment.speaker) for segment in segments]
    return all(
        names[who] == speaker
        for middle, speaker in middles
        for who, start, end in TRUTH
        if start < middle < end
    )


@pytest.fixture(scope="module")
def answer(client: OpenAI) -> Any:
    return transcribe(client, model=f"{MODEL}-2025-10-15")


def test_two_speakers_take_turns(answer: Any) -> None:
    TranscriptionDiarized.model_validate_json(answer.to_json(exclude_unset=False), strict=True)
    assert right(answer.segments, {"hugo": "A", "clara": "B"})
    assert {segment.speaker for segment in answer.segments} == {"A", "B"}
    assert " ".join(segment.text for segment in answer.segments) == answer.text != ""
    assert len({segment.id for segment in answer.segments}) == len(answer.segments)
    assert all(0 <= segment.start < segment.end <= answer.duration for segment in answer.segments)
    assert answer.duration == pytest.approx(len(SAMPLES) / RATE, abs=0.01)


def test_a_stream_has_the_same_segments_and_their_deltas(client: OpenAI, answer: Any) -> None:
    *events, done = list(transcribe(client, stream=True))
    for event in (*events, done):
        EVENT.validate_json(event.to_json(exclude_unset=False), strict=True)
    deltas, segments = events[::2], events[1::2]
    assert [segment.model_dump() for segment in segments] == [part.model_dump() for part in answer.segments]
    assert [delta.segment_id for delta in deltas] == [segment.id for segment in segments]
    assert all(delta.delta.strip() == segment.text for delta, segment in zip(deltas, segments, strict=True))
    assert "".join(delta.delta for delta in deltas) == done.text == answer.text
    assert done.usage.output_tokens == len(done.text.split())


def test_known_speakers_have_their_names_and_others_a_letter(client: OpenAI) -> None:
    known = {"known_speaker_names": ["bruno", "clara"]}
    references = [data_url(voice("bruno")[: 4 * RATE]), data_url(voice("clara")[: 4 * RATE])]
    answer = transcribe(client, ONE_TURN, known_speaker_references=references, **known)
    assert right(answer.segments, {"hugo": "A", "clara": "clara"})
    assert {segment.speaker for segment in answer.segments} == {"A", "clara"}


def test_a_saved_voice_is_a_known_speaker(client: OpenAI, tiny_server: TinyServer) -> None:
    sample = ("hugo.wav", float_wav(voice("hugo")))
    made = httpx.post(
        f"{tiny_server.url}/v1/audio/voices",
        data={"name": "Hugo of the talk", "ref_text": "It is a fine day."},
        files={"audio_sample": sample},
        timeout=60,
    ).json()
    by_name = transcribe(client, ONE_TURN, known_speaker_names=[made["name"]])
    assert right(by_name.segments, {"hugo": made["name"], "clara": "A"})
    by_id = transcribe(client, ONE_TURN, known_speaker_names=["B"], known_speaker_references=[made["id"]])
    assert right(by_id.segments, {"hugo": "B", "clara": "A"})


def test_one_speaker_and_nobody(client: OpenAI) -> None:
    alone = transcribe(client, ("alone.wav", float_wav(voice("edith"))))
    assert {segment.speaker for segment in alone.segments} == {"A"}
    nobody = transcribe(client, ("silence.wav", float_wav(np.zeros(RATE, np.float32))))
    assert (nobody.text, nobody.segments) == ("", [])


GOOD, SHORT, LONG = (data_url(np.resize(voice("hugo"), int(seconds * RATE))) for seconds in (3, 1.5, 12))
SILENT = data_url(np.zeros(3 * RATE, np.float32))


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"known_speaker_names": [*"vwxyz"]}, 400, "invalid_value", "known_speaker_names[]"),
        ({"known_speaker_names": [""]}, 400, "invalid_value", "known_speaker_names[][0]"),
        ({"known_speaker_references": [GOOD]}, 400, "invalid_value", "known_speaker_references[]"),
        ({"names": "ab", "references": [GOOD]}, 400, "invalid_value", "known_speaker_references[]"),
        ({"names": "aa", "references": [GOOD, GOOD]}, 400, "invalid_value", "known_speaker_names[]"),
        ({"names": "a", "references": [SHORT]}, 400, "audio_too_short", "known_speaker_references[]"),
        ({"names": "a", "references": [LONG]}, 400, "audio_too_long", "known_speaker_references[]"),
        ({"names": "a", "references": [SILENT]}, 400, "audio_no_speech", "known_speaker_references[]"),
        ({"names": "a", "references": ["data:audio/wav;base64,!"]}, 400, "invalid_base64", None),
        ({"names": "a", "references": ["data:audio/wav;base64,QUFB"]}, 400, "audio_undecodable", None),
        ({"names": "a", "references": ["nobody"]}, 404, "voice_not_found", "known_speaker_references[]"),
        ({"names": "a"}, 404, "voice_not_found", "known_speaker_names[]"),
        ({"names": "a", "references": [GOOD], "response_format": "json"}, 400, "invalid_value", None),
        ({"include": ["logprobs"]}, 400, "unsupported", "include[]"),
        ({"timestamp_granularities": ["word"]}, 400, "invalid_value", "timestamp_granularities[]"),
        ({"chunking_strategy": "never"}, 400, "invalid_value", "chunking_strategy.type"),
        ({"chunking_strategy": "{"}, 400, "invalid_value", "chunking_strategy"),
        ({"chunking_strategy": '{"a":' * 9_999}, 400, "invalid_value", "chunking_strategy"),
        (
            {"chunking_strategy": {"type": "server_vad", "threshold": 2}},
            *(400, "invalid_value", "chunking_strategy.threshold"),
        ),
    ],
)
def test_what_cannot_be_served_is_said_before_the_work(
    client: OpenAI, fields: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    short = {"names": "known_speaker_names", "references": "known_speaker_references"}
    asked = {short.get(name, name): list(v) if name == "names" else v for name, v in fields.items()}
    with pytest.raises(openai.APIStatusError) as refused:
        transcribe(client, **asked)
    error = refused.value
    assert (error.status_code, error.code) == (status, code), error.message
    assert param is None or error.param == param


def test_voice_activity_detection_cuts_as_it_is_told(client: OpenAI) -> None:
    strategy = {"type": "server_vad", "threshold": 0.6, "prefix_padding_ms": 200, "silence_duration_ms": 300}
    deltas = [
        event
        for event in transcribe(client, stream=True, response_format="json", chunking_strategy=strategy)
        if event.type == "transcript.text.delta"
    ]
    assert len(deltas) >= len(TRUTH)
    assert right(transcribe(client, chunking_strategy=strategy).segments, {"hugo": "A", "clara": "B"})


def test_a_long_reference_in_high_quality_fits_into_a_field(client: OpenAI) -> None:
    reference = data_url(np.tile(voice("hugo"), 2)[: int(9.9 * RATE)])
    assert len(reference) > 2**20
    answer = transcribe(client, ONE_TURN, known_speaker_names=["H"], known_speaker_references=[reference])
    assert "H" in {segment.speaker for segment in answer.segments}


def test_without_the_speaker_model_it_says_how_to_get_one(tiny_server: TinyServer, client: OpenAI) -> None:
    state = tiny_server.app.state.server
    there, state.speakers = state.speakers, SpeakerVerifier(None)
    try:
        with pytest.raises(openai.APIStatusError) as refused:
            transcribe(client)
    finally:
        state.speakers = there
    assert (refused.value.status_code, refused.value.code) == (501, "speaker_model_unavailable")


def test_letters_go_on() -> None:
    found = letters()
    first = [next(found) for _ in range(28)]
    assert first[:2] == ["A", "B"] and first[25:] == ["Z", "AA", "AB"]
