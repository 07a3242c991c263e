"""Broken media files and generated requests: no 5xx, no hang, no file left behind.

    python -m tests.hostile [--files 2000] [--served 400] [--requests 10000] [--seconds 900]

Files of every kind are cut, overwritten, joined and stretched, decoded here, and some of them sent to a
server in a process of its own (random weights, whose speech is short). Requests are made from the server's
own OpenAPI document, valid and invalid ones, by schemathesis. One line of JSON comes last.
"""

import argparse
import base64
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import numpy as np
import schemathesis
from schemathesis.generation.modes import GenerationMode

from audio.decode import decode_audio
from audio.reference import prepare_reference
from errors import VoiceServerError
from tests.audio.media import CONTAINERS, media, recording
from tests.live import LiveServer, serve
from tests.tiny_server import write_whole_model

KINDS = ("wav", "wav, 24 bit", "mp3", "flac", "ogg opus", "ogg flac", "webm", "m4a", "mp4", "aac", "mkv")
CLIP = recording()[:36_000]
PATIENCE = 120.0  # seconds, after which an answer counts as a hang; an idle machine answers within ten
Note = Callable[[str, int | str, float], None]
FORBIDDEN = {500, 502, 504}  # 501 and 503 are said on purpose: not installed, not ready


@cache
def whole(kind: str) -> bytes:
    return media(*CONTAINERS[kind], samples=CLIP)


def broken(number: int) -> bytes:
    """A file of this number: whole but for one to four harms."""
    random = np.random.default_rng(number)
    data = bytearray(whole(KINDS[number % len(KINDS)]))
    for _ in range(int(random.integers(1, 5))):
        at = int(random.integers(0, max(len(data), 1)))
        span = int(random.integers(1, 64))
        match int(random.integers(0, 7)):
            case 0:
                del data[at:]
            case 1:
                data[at : at + span] = random.bytes(span)
            case 2:
                data[at : at + span] = bytes([int(random.choice([0, 0x7F, 0xFF]))]) * span
            case 3:
                data[at:at] = random.bytes(span)
            case 4:
                del data[at : at + span]
            case 5:
                data += data[at:]
            case 6:
                head = int(random.integers(0, 256))
                data[head : head + 4] = random.bytes(4)
    return bytes(data)


def decode_here(files: int) -> dict[str, Any]:
    """Every file is decoded, or refused by name."""
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for number in range(files):
        data, begun = broken(number), time.perf_counter()
        try:
            prepare_reference(decode_audio(data, max_seconds=60))
            outcomes["taken"] += 1
        except VoiceServerError as error:
            outcomes[error.code or "none"] += 1
        slowest = max(slowest, time.perf_counter() - begun)
    return {"files": files, "slowest_s": round(slowest, 2), "outcomes": dict(outcomes.most_common())}


def doors(server: LiveServer, data: bytes, number: int) -> httpx.Response:
    """Send a file through one of the doors that take recordings."""
    encoded, url = base64.b64encode(data).decode(), server.url
    parts = [
        {"type": "text", "text": "Hello."},
        {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}},
    ]
    chat = {"model": "higgs-audio", "messages": [{"role": "user", "content": parts}]}
    speech = {"model": "higgs-audio", "input": "Hello.", "ref_audio": f"data:audio/wav;base64,{encoded}"}
    voice = {"name": f"voice {number}", "user_id": "hostile"}
    sends: tuple[Callable[[], httpx.Response], ...] = (
        lambda: httpx.post(
            f"{url}/v1/audio/transcriptions",
            files={"file": ("a.wav", data)},
            data={"model": "whisper-1"},
            timeout=PATIENCE,
        ),
        lambda: httpx.post(
            f"{url}/v1/chat/completions", json=chat | {"audio": {"voice": "clone"}}, timeout=PATIENCE
        ),
        lambda: httpx.post(f"{url}/v1/audio/speech", json=speech, timeout=PATIENCE),
        lambda: httpx.post(
            f"{url}/v1/audio/voices", files={"audio_sample": ("a", data)}, data=voice, timeout=PATIENCE
        ),
    )
    return sends[number % len(sends)]()


def generated(document: dict[str, Any], each: int) -> Iterator[tuple[Any, int]]:
    """Cases of each operation of the document, valid and invalid in turn, and how many to draw of each."""
    schema = schemathesis.openapi.from_dict(document)
    for result in schema.get_all_operations():
        operation: Any = result
        operation = operation.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            yield operation.as_strategy(generation_mode=mode), each


def send_cases(
    server: LiveServer, strategy: Any, count: int, note: Callable[..., None], until: float
) -> None:
    """Draw cases of an operation and send them."""
    if time.monotonic() > until:
        return  # drawing takes its time, too

    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=strategy)
    def run(case: Any) -> None:
        if time.monotonic() > until:
            return
        begun = time.perf_counter()
        try:
            status: int | str = case.call(base_url=server.url, timeout=PATIENCE).status_code
        except Exception as error:  # a client's refusal to send says nothing of the server
            status = "hang" if "timed out" in str(error).lower() else f"unsent {type(error).__name__}"
        note(f"{case.operation.method.upper()} {case.operation.path}", status, time.perf_counter() - begun)

    try:
        run()
    except hypothesis.errors.HypothesisException:
        note("no case can be made", "unsent", 0.0)


class Tally:
    """What came back: statuses, what is forbidden, the slowest."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.slowest = (0.0, "")

    def note(self, what: str, status: int | str, seconds: float) -> None:
        self.statuses[str(status)] += 1
        self.slowest = max(self.slowest, (round(seconds, 2), what))
        if status in FORBIDDEN or status == "hang":
            self.wrong.append(f"{status} {what}")

    def report(self) -> dict[str, Any]:
        count = sum(number for status, number in self.statuses.items() if not status.startswith("unsent"))
        return {
            "requests": count,
            "statuses": dict(self.statuses.most_common()),
            "slowest": self.slowest,
            "wrong": Counter(self.wrong).most_common(20),
        }


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def serve_files(server: LiveServer, files: int, until: float) -> dict[str, Any]:
    tally = Tally()

    def one(number: int) -> None:
        if time.monotonic() > until:
            return
        begun = time.perf_counter()
        try:
            status: int | str = doors(server, broken(number), number).status_code
        except httpx.TimeoutException:
            status = "hang"
        tally.note(f"file {number}", status, time.perf_counter() - begun)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, range(files)))
    return tally.report()


def serve_requests(server: LiveServer, requests: int, until: float) -> dict[str, Any]:
    tally, document = Tally(), httpx.get(f"{server.url}/openapi.json").json()
    operations = sum(len(path) for path in document["paths"].values())
    work = list(generated(document, -(-requests // (2 * operations))))
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda item: send_cases(server, item[0], item[1], tally.note, until), work))
    return tally.report()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--served", type=int, default=400)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=900, help="for each half of the serving")
    options = parser.parse_args()
    result: dict[str, Any] = {"here": decode_here(options.files)}
    print(json.dumps(result), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model, scratch = write_whole_model(Path(folder) / "tiny"), Path(folder) / "scratch"
        scratch.mkdir()
        os.environ["TMPDIR"] = str(scratch)
        with serve(model, max_positions="400") as server:
            before = server.resident_bytes() or 0
            result["files"] = serve_files(server, options.served, time.monotonic() + options.seconds)
            print(json.dumps(result["files"]), flush=True)
            between = server.resident_bytes() or 0
            until = time.monotonic() + options.seconds
            result["requests"] = serve_requests(server, options.requests, until)
            after = server.resident_bytes() or 0
            result["health"] = httpx.get(f"{server.url}/health").status_code
        result["rss_mb"] = [round(number / 2**20) for number in (before, between, after)]
        result["left_behind"] = left_behind(scratch)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
