"""What a crowd, long answers and hostile requests cost the server: waits, memory, and the end of the process.

    python -m bench.pressure [--only crowd long whole nines many words json drain] [--root CHECKOUT]

Each part starts `python app.py` of the checkout (this one, if none is named) on the bundled model:

    crowd  48 clients with recordings of their own while slots and queue hold 10: /health meanwhile, and how
           soon a recording of ten minutes is refused with 429; clients that wait as the answers ask them to,
           and others that ask again at once
    long   memory while a stream of about five minutes runs, and how far above it is at its end
    whole  eight whole answers of 4,096 characters at once: the largest RSS of the server
    nines  4,096 nines: how soon and how they are answered, and the largest RSS
    many   RSS after 100 and after 1,000 small requests
    words  transcription of 58 silent minutes of Opus, alone and eight at once, and of five hours
    json   60 MB of `[],` as a body: the status, and /health meanwhile
    drain  from SIGTERM to the end of the process: idle, beside a slow reader, beside a half-sent body

Ends in one line of JSON; seconds are of the wall clock, memory in MiB.
"""

import argparse
import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from bench.clients import (
    PATIENCE,
    RATE,
    RECORDING,
    SENTENCES,
    clone,
    health_watched,
    opus_of_silence,
    prose,
    request_bytes,
    speech,
    summary,
    wav,
)
from bench.crowd import answer
from bench.process import ROOT, Peak, Running, running


def crowd(root: Path) -> dict[str, Any]:
    with running(root, slots=2, queue_limit=8) as server:
        return {"patient": beside_a_crowd(server, wait="1"), "impatient": beside_a_crowd(server, wait="0")}


def beside_a_crowd(server: Running, wait: str) -> dict[str, Any]:
    recording = wav(np.tile(RECORDING, 600 * RATE // len(RECORDING))[::3], RATE // 3)
    long = request_bytes("/v1/chat/completions", clone("Hello.", recording))
    command = [sys.executable, "-m", "bench.crowd", server.url, "48", "20", wait]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as clients:
        time.sleep(8)  # until all of them ask
        with health_watched(server) as waits:
            time.sleep(3)
            used, begun = server.cpu_seconds(), time.perf_counter()
            status, _ = asyncio.run(answer(*server.address, long))
            seconds, used = time.perf_counter() - begun, server.cpu_seconds() - used
            time.sleep(3)
        answers = json.loads(clients.communicate()[0])
    refusal = {"status": status, "seconds": round(seconds, 3), "cpu_s": round(used, 2)}
    return {"health": summary(waits), "long_recording": refusal, "answers": answers}


def long(root: Path) -> dict[str, Any]:
    """The end begins with the last piece of sound: what comes after it is the summary of the answer."""
    with running(root) as server:
        httpx.post(f"{server.url}/v1/audio/speech", json=speech("Hello."), timeout=PATIENCE)
        peak, idle, received = Peak(server), server.resident_mib(), 0
        body = speech(prose(4_096), stream_format="sse", response_format="pcm")
        with httpx.stream("POST", f"{server.url}/v1/audio/speech", json=body, timeout=PATIENCE) as response:
            while_running = last = 0.0
            for line in response.iter_lines():
                if '"speech.audio.delta"' in line:
                    received += len(line) * 3 // 4
                    while_running, last = peak.mib, time.perf_counter()
                    continue
                if '"speech.audio.done"' in line:
                    break
        end = time.perf_counter() - last
        at_end = peak.stop()
    return {
        "seconds_of_speech": round(received / 2 / 24_000),
        "idle_mib": round(idle),
        "while_running_mib": round(while_running),
        "above_at_end_mib": round(at_end - while_running),
        "end_s": round(end, 2),
    }


def whole(root: Path) -> dict[str, Any]:
    with running(root) as server:
        peak = Peak(server)
        begun = time.perf_counter()

        def ask(number: int) -> int:
            body = speech(prose(4_096), stream=False, response_format="wav") | {"seed": number}
            url = f"{server.url}/v1/audio/speech"
            return httpx.post(url, json=body, timeout=PATIENCE).status_code

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(ask, range(8)))
        seconds = time.perf_counter() - begun
        return {"statuses": statuses, "seconds": round(seconds), "peak_mib": round(peak.stop())}


def nines(root: Path) -> dict[str, Any]:
    with running(root) as server:
        peak, begun = Peak(server), time.perf_counter()
        body = speech("9" * 4_096, stream=False, response_format="wav")
        response = httpx.post(f"{server.url}/v1/audio/speech", json=body, timeout=PATIENCE)
        seconds = time.perf_counter() - begun
        return {
            "status": response.status_code,
            "seconds": round(seconds, 2),
            "peak_mib": round(peak.stop()),
        }


def many(root: Path) -> dict[str, Any]:
    with running(root) as server:
        recording = wav(RECORDING[: 5 * RATE])

        def ask(number: int) -> int:
            text = SENTENCES[number % len(SENTENCES)][:60]
            if number % 10 == 0:
                url, body = f"{server.url}/v1/chat/completions", clone(text, recording)
            else:
                url, body = f"{server.url}/v1/audio/speech", speech(text) | {"seed": number}
            return httpx.post(url, json=body, timeout=PATIENCE).status_code

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(100)))
            time.sleep(2)
            after_100 = server.resident_mib()
            statuses = list(pool.map(ask, range(100, 1_000)))
        time.sleep(2)
        after = server.resident_mib()
    return {
        "after_100_mib": round(after_100),
        "after_1000_mib": round(after),
        "grown_mib": round(after - after_100, 1),
        "ok": statuses.count(200),
    }


def words(root: Path) -> dict[str, Any]:
    with running(root) as server:
        hour, hours = opus_of_silence(58 * 60), opus_of_silence(5 * 3600)

        def ask(data: bytes) -> int:
            url, files = f"{server.url}/v1/audio/transcriptions", {"file": ("a.ogg", data)}
            return httpx.post(url, data={"model": "whisper-1"}, files=files, timeout=PATIENCE).status_code

        found: dict[str, Any] = {"idle_mib": round(server.resident_mib())}
        for name, data, at_once in (("one", hour, 1), ("eight", hour, 8), ("five_hours", hours, 1)):
            peak, begun = Peak(server), time.perf_counter()
            with ThreadPoolExecutor(at_once) as pool:
                statuses = list(pool.map(ask, [data] * at_once))
            seconds = round(time.perf_counter() - begun, 2)
            found[name] = {"statuses": statuses, "seconds": seconds, "peak_mib": round(peak.stop())}
        return found | {"afterwards_mib": round(server.resident_mib())}


def json_bomb(root: Path) -> dict[str, Any]:
    with running(root) as server, health_watched(server) as waits:
        time.sleep(1)
        body = b'{"model": "tts-1", "input": [' + b"[]," * (20 * 10**6) + b"[]]}"
        headers = {"content-type": "application/json"}
        url, begun = f"{server.url}/v1/audio/speech", time.perf_counter()
        response = httpx.post(url, content=body, headers=headers, timeout=PATIENCE)
        seconds = round(time.perf_counter() - begun, 2)
    return {"status": response.status_code, "seconds": seconds, "health": summary(waits)}


def drain(root: Path) -> dict[str, Any]:
    return {name: ended(root, beside) for name, beside in DRAINED_BESIDE.items()}


def ended(root: Path, beside: Callable[[Running], object]) -> dict[str, Any]:
    """How soon, and how, the process ends after SIGTERM; at most 60 s are waited."""
    with running(root) as server:
        client = beside(server)
        begun = time.perf_counter()
        server.process.send_signal(signal.SIGTERM)
        try:
            status: int | str = server.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            status = "still there"
        del client
        return {"exit": status, "seconds": round(time.perf_counter() - begun, 1)}


def slow_reader(server: Running) -> socket.socket:
    """Asks for a long answer and reads nothing of it."""
    connection = half_body(server)
    body = json.dumps(speech(prose(4_000), response_format="wav")).encode()
    connection.sendall(body.ljust(10_000))
    time.sleep(20)
    return connection


def half_body(server: Running) -> socket.socket:
    """Says that 10,000 bytes come, and sends none."""
    connection = socket.create_connection(server.address)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    head = "POST /v1/audio/speech HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: 10000\r\n\r\n".encode())
    time.sleep(1)
    return connection


DRAINED_BESIDE: dict[str, Callable[[Running], object]] = {
    "idle": lambda server: None,
    "slow_reader": slow_reader,
    "half_body": half_body,
}
PARTS = {
    "crowd": crowd,
    "long": long,
    "whole": whole,
    "nines": nines,
    "many": many,
    "words": words,
    "json": json_bomb,
    "drain": drain,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout whose app.py is measured")
    arguments = parser.parse_args()
    results = {}
    for name in arguments.only:
        results[name] = PARTS[name](arguments.root)
        print(f"{name}: {results[name]}", flush=True)
    print(json.dumps({"pressure": results}))


if __name__ == "__main__":
    main()
