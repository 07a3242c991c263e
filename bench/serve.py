"""A load generator for the real HTTP API: how long clients wait, and how much speech the server generates.

    python -m bench.serve [--url http://127.0.0.1:8000] [--clients 1 4 16] [--requests 4]

Starts `python app.py` if no URL is given. Each client repeatedly requests a stream of speech in the voice of
test_audio.wav, with its own texts and seeds, and measures the time to the first and last audio, the real-time
factor (seconds per second of speech), and for how long a player that starts with the first audio stalls. One
request before the others encodes the voice. Ends in one line of JSON.
"""

import argparse
import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.answer import Answer

ROOT = Path(__file__).parent.parent
SENTENCES = (ROOT / "bench" / "sentences.txt").read_text("utf-8").splitlines()
BYTES_PER_SECOND = 2 * 24_000
START_SECONDS, PATIENCE_SECONDS = 120, 600


@contextmanager
def server() -> Iterator[str]:
    """Run `python app.py` on a free port; yield its URL when ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py")], env=os.environ | {"HIGGS_PORT": str(port)}, cwd=ROOT
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready(url):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("bench.serve: the server did not start")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait()


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def ask(url: str, number: int) -> Answer:
    recording = base64.b64encode((ROOT / "test_audio.wav").read_bytes()).decode()
    body = {
        "model": "higgs-audio",
        "modalities": ["text", "audio"],
        "audio": {"voice": "clone", "format": "pcm16"},
        "stream": True,
        "seed": number,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "input_audio", "input_audio": {"data": recording, "format": "wav"}},
                    {"type": "text", "text": SENTENCES[number % len(SENTENCES)]},
                ],
            }
        ],
    }
    start, answer = time.perf_counter(), Answer()
    url = f"{url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, timeout=PATIENCE_SECONDS) as response:
        answer.status = response.status_code
        for data in sound_of(response):
            answer.hear(time.perf_counter() - start, len(data) / BYTES_PER_SECOND)
    return answer


def sound_of(response: httpx.Response) -> Iterator[bytes]:
    """Yield the audio chunks in a stream of events; none if the request was refused."""
    for line in response.iter_lines():
        event = line.removeprefix("data: ")
        if event.startswith('{"id"'):
            for choice in json.loads(event)["choices"]:
                if data := (choice["delta"].get("audio") or {}).get("data"):
                    yield base64.b64decode(data)


def load(url: str, clients: int, requests: int) -> dict[str, float]:
    """Run `clients` concurrent clients, each with `requests` requests in sequence."""

    def one_client(client: int) -> list[Answer]:
        return [ask(url, client * requests + number) for number in range(requests)]

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answers = [answer for of_one in pool.map(one_client, range(clients)) for answer in of_one]
    seconds = time.perf_counter() - start
    good = [answer for answer in answers if answer.status == 200 and answer.speech > 0]
    firsts = sorted(answer.first for answer in good)
    factors = sorted(answer.last / answer.speech for answer in good)
    return {
        "answered": len(good),
        "refused": len(answers) - len(good),
        "first_audio_p50_s": round(firsts[len(good) // 2], 3),
        "first_audio_max_s": round(firsts[-1], 3),
        "starved_max_s": round(max(answer.starved for answer in good), 3),
        "rtf_p50": round(factors[len(good) // 2], 3),
        "audio_s_per_s": round(sum(answer.speech for answer in good) / seconds, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--requests", type=int, default=4, help="of each client")
    arguments = parser.parse_args()
    if arguments.url:
        measure(arguments.url, arguments.clients, arguments.requests)
    else:
        with server() as url:
            measure(url, arguments.clients, arguments.requests)


def measure(url: str, numbers_of_clients: list[int], requests: int) -> None:
    ask(url, 0)
    results = {}
    for clients in numbers_of_clients:
        results[str(clients)] = load(url, clients, requests)
        print(f"{clients:3} clients: {results[str(clients)]}")
    print(json.dumps({"serve": results}))


if __name__ == "__main__":
    main()
