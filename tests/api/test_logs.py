"""The log: a line for each request, which names it, and says nothing of what was said."""

import json
import logging
import sys
import time

import httpx
import pytest

from api.middleware.logs import TEXT, JsonLines, TextLines, log_request
from api.request_context import RequestContext, note_error, request_context
from tests.audio.media import sound_file
from tests.tiny_server import TinyServer

SECRET = "heliotrope"
JSON = {"content-type": "application/json"}


def lines_of(records: list[logging.LogRecord]) -> list[dict[str, object]]:
    return [json.loads(JsonLines().format(record)) for record in records if record.name == "requests"]


def test_a_line_says_what_became_of_a_request(caplog: pytest.LogCaptureFixture) -> None:
    record = RequestContext(
        "req_1", "POST", route="/v1/audio/speech", status=200, whole=True, seconds=1.23456
    )
    record.first_audio = 0.25
    with caplog.at_level(logging.INFO), request_context(record):
        note_error("model_error")
        log_request(record)
        text = TextLines(TEXT).format(caplog.records[0])
        line = json.loads(JsonLines().format(caplog.records[0]))
    assert text.endswith(
        "INFO requests: request request_id=req_1 method=POST route=/v1/audio/speech status=200 seconds=1.2346"
        " first_audio_seconds=0.25 errors=model_error"
    )
    assert line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "requests",
        "message": "request",
        "request_id": "req_1",
        "method": "POST",
        "route": "/v1/audio/speech",
        "status": 200,
        "seconds": 1.2346,
        "first_audio_seconds": 0.25,
        "errors": "model_error",
    }


def test_a_failure_is_one_line_of_json_with_its_trace() -> None:
    try:
        raise ValueError("why\nnot")
    except ValueError:
        record = logging.LogRecord("app", logging.ERROR, "", 0, "it %s", ("failed",), sys.exc_info())
    written = JsonLines().format(record)
    assert "\n" not in written
    line = json.loads(written)
    assert line["message"] == "it failed" and "ValueError: why\nnot" in line["exception"]


def test_the_log_names_requests_and_holds_nothing_that_users_sent(
    tiny_server: TinyServer, caplog: pytest.LogCaptureFixture
) -> None:
    url, files = tiny_server.url, {"audio_sample": (f"{SECRET}.wav", sound_file("wav"), "audio/wav")}
    speech = {"model": "tiny", "input": f"{SECRET} one.", "seed": 1, "temperature": 0, "max_tokens": 20}
    told = {"x-request-id": "req-7"}
    with caplog.at_level(logging.INFO), httpx.Client(base_url=url, timeout=60) as client:
        spoken = client.post("/v1/audio/speech", json=speech, headers=told)
        answers = [
            client.post("/v1/audio/speech", json=speech | {"voice": SECRET}),
            client.post("/v1/audio/speech", json=speech | {"ref_audio": SECRET}),
            client.post("/v1/chat/completions", content=f'{{"model": {SECRET}', headers=JSON),
            client.get(f"/v1/audio/voices/default/preview?text={SECRET}&response_format={SECRET}"),
            client.get(f"/v1/{SECRET}"),
            client.post("/v1/audio/voices", data={"name": f"{SECRET}\x00"}, files=files),
        ]
        deadline = time.monotonic() + 10
        while len(lines_of(caplog.records)) < 1 + len(answers) and time.monotonic() < deadline:
            time.sleep(0.02)  # the last byte may arrive before it is logged that it was sent
    assert spoken.status_code == 200
    assert [answer.status_code for answer in answers] == [404, 400, 400, 400, 404, 400]
    written = [
        formatter.format(record) for formatter in (JsonLines(), TextLines(TEXT)) for record in caplog.records
    ]
    ours = [line for line in written if "httpx" not in line]  # the test's own client tells what it asks
    assert ours and not [line for line in ours if SECRET in line]
    first, *others = lines_of(caplog.records)
    assert first["route"] == "/v1/audio/speech" and first["status"] == 200 and first["request_id"] == "req-7"
    assert first["first_audio_seconds"] <= first["seconds"]  # type: ignore[operator]
    assert [line.get("errors") for line in others] == [
        *("voice_not_found", "audio_undecodable", "invalid_json"),
        *("invalid_value", "not_found", "invalid_value"),
    ]
    assert all(line["request_id"] for line in others)


def test_those_who_watch_the_server_don_t_fill_the_log(
    tiny_server: TinyServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        httpx.get(f"{tiny_server.url}/health")
        httpx.get(f"{tiny_server.url}/metrics")
    assert lines_of(caplog.records) == []
