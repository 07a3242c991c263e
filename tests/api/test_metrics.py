"""The figures at /metrics, as Prometheus's own parser reads them."""

import time
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import Metrics
from api.request_context import WEBSOCKET, RequestContext
from tests.api.test_chat import RECORDING
from tests.api.unloaded import unloaded
from tests.tiny_server import TinyServer

SPEECH: dict[str, Any] = {
    "model": "tiny",
    "seed": 1,
    "temperature": 0,
    "max_tokens": 108,
    "ref_audio": RECORDING,
}


def figures(text: str) -> dict[str, float]:
    """Sample with its labels → value."""
    return {
        ",".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(server: TinyServer) -> dict[str, float]:
    return figures(httpx.get(f"{server.url}/metrics").text)


def test_what_was_done_is_counted(tiny_server: TinyServer) -> None:
    before = scraped(tiny_server)
    for text in ("Hello.", "Hello again."):
        httpx.post(f"{tiny_server.url}/v1/audio/speech", json=SPEECH | {"input": text}, timeout=60)
    empty = SPEECH | {"input": ""}
    httpx.post(f"{tiny_server.url}/v1/audio/speech/batch", json={"items": [empty]}, timeout=60)
    httpx.post(f"{tiny_server.url}/v1/audio/speech", json=empty, timeout=60)
    deadline = time.monotonic() + 10
    while True:  # the last byte may arrive before it is noted that it was sent
        grown = {name: value - before.get(name, 0) for name, value in scraped(tiny_server).items()}
        if grown["higgs_requests_total,POST,/v1/audio/speech,400"] or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    assert grown["higgs_requests_total,POST,/v1/audio/speech,200"] == 2
    assert grown["higgs_request_seconds_count,/v1/audio/speech"] == 3
    assert grown["higgs_errors_total,text_empty"] == 2
    assert grown["higgs_first_audio_seconds_count"] == 2
    assert 0 < grown["higgs_first_audio_seconds_sum"] < grown["higgs_request_seconds_sum,/v1/audio/speech"]
    assert grown["higgs_speech_seconds_total"] == pytest.approx(2 * 4.0)
    assert grown["higgs_real_time_factor_count"] == grown["higgs_queue_seconds_count"] == 2
    assert grown["higgs_real_time_factor_sum"] > 0
    assert grown["higgs_cache_lookups_total,reference,hit"] >= 1
    assert grown["higgs_cache_lookups_total,voice,hit"] >= 1


def test_the_engine_is_described(tiny_server: TinyServer) -> None:
    seen = scraped(tiny_server)
    assert seen["higgs_slots"] == 8
    assert seen["higgs_waiting_requests"] == seen["higgs_speaking_requests"] == 0
    assert seen["process_resident_memory_bytes"] > 0


def test_an_app_counts_for_itself_and_answers_before_its_model_is_there() -> None:
    one, other = unloaded(), unloaded()
    one.request("BREW", "/v1/models")
    one.get("/v1/models")
    seen = figures(one.get("/metrics").text)
    assert seen["higgs_requests_total,other,/v1/models,405"] == 1
    assert seen["higgs_errors_total,model_loading"] == 1 and "higgs_slots" not in seen
    assert "higgs_errors_total,model_loading" not in figures(other.get("/metrics").text)


def test_clients_make_no_time_series_by_their_close_codes() -> None:
    metrics = Metrics(lambda: None, lambda: 0)
    for code in (1000, 1006, 3000, *range(4000, 4100), None):
        metrics.note_request(RequestContext("req_1", WEBSOCKET, "/v1/realtime", close_code=code))
    seen = figures(metrics.exposition("")[0].decode())
    closed = {name: value for name, value in seen.items() if name.startswith("higgs_sockets_closed_total")}
    of_code = {name.split(",")[1]: value for name, value in closed.items()}
    assert of_code == {"1000": 1, "1006": 1, "other": 101, "None": 1}


def test_openmetrics_is_spoken_too() -> None:
    answer = unloaded().get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
