"""A thousand requests that arrive, wait, are cancelled and disconnect at random, on the real HTTP API.

    python -m bench.soak [--url http://127.0.0.1:8000] [--arrivals 1000] [--clients 44] [--seed 0]

Starts `python app.py` if no URL is given. Clients request speech, streamed or as a file, in a recording's
voice or the model's own, with texts from one word to three sentences; a third of them hang up after a random
time. Each answer must be complete, or refused with Retry-After, or cut off by its client. Afterwards no
request may wait or hold a slot (by /metrics), the server must answer as before, and its memory must not have
grown since the first third. Exits with 1 otherwise. Ends in one line of JSON.
"""

import argparse
import base64
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import httpx

from bench.serve import ROOT, SENTENCES, server

RECORDING = base64.b64encode((ROOT / "test_audio.wav").read_bytes()).decode()
IMPATIENT, MAX_PATIENCE = 1 / 3, 1.5  # of the clients; seconds until they hang up
GROWTH_ALLOWED_MIB = 64
PATIENCE_SECONDS, REST_SECONDS = 300, 30
WELL_BEHAVED = -1  # the number of a client that waits


def body_of(numbers: random.Random) -> tuple[str, dict]:
    """Return a path and a request body."""
    words = " ".join(numbers.choices(SENTENCES, k=3)).split()
    text = " ".join(words[: numbers.randrange(1, len(words))])
    seed = numbers.randrange(2**31)
    if numbers.random() < 0.5:
        speech = {"model": "tts-1", "voice": "default", "input": text, "seed": seed}
        return "/v1/audio/speech", speech | {"response_format": numbers.choice(["pcm", "wav", "mp3"])}
    content = [
        {"type": "input_audio", "input_audio": {"data": RECORDING, "format": "wav"}},
        {"type": "text", "text": text},
    ]
    return "/v1/chat/completions", {
        "model": "higgs-audio",
        "modalities": ["text", "audio"],
        "audio": {"voice": "clone", "format": "pcm16"},
        "stream": True,
        "seed": seed,
        "messages": [{"role": "user", "content": content}],
    }


def one_client(url: str, number: int) -> str:
    """Return how this request ended."""
    numbers = random.Random(number)
    path, body = body_of(numbers)
    leaves = number != WELL_BEHAVED and numbers.random() < IMPATIENT
    patience = numbers.random() * MAX_PATIENCE if leaves else PATIENCE_SECONDS
    begun, received = time.monotonic(), b""
    try:
        with httpx.stream("POST", url + path, json=body, timeout=PATIENCE_SECONDS) as response:
            if response.status_code in (429, 503):
                response.read()
                time.sleep(1)  # another client comes a little later
                return "refused" if "retry-after" in response.headers else "refused without Retry-After"
            if response.status_code != 200:
                return f"status {response.status_code}: {response.read()[:200]!r}"
            for part in response.iter_bytes():
                received += part
                if time.monotonic() - begun > patience:
                    return "left"
    except httpx.HTTPError as error:
        return f"broken off: {error!r}"
    if body.get("stream"):
        return "whole" if received.endswith(b"data: [DONE]\n\n") and b'"error"' not in received else "torn"
    return "whole" if len(received) > 1000 else "torn"


def gauge(url: str, name: str) -> float:
    """Return a value of /metrics."""
    lines = httpx.get(f"{url}/metrics", timeout=PATIENCE_SECONDS).text.splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).split()[1])


def idle(url: str) -> bool:
    return gauge(url, "higgs_waiting_requests") == gauge(url, "higgs_speaking_requests") == 0


def soak(url: str, arrivals: int, clients: int, seed: int) -> dict:
    """Return how the requests ended, and what the server holds afterwards."""
    ends: Counter[str] = Counter()
    warm, memory = 0.0, 0.0
    begun = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        for done, end in enumerate(
            pool.map(lambda number: one_client(url, seed + number), range(arrivals)), 1
        ):
            ends[end] += 1
            if done % max(1, arrivals // 10) == 0:
                memory = gauge(url, "process_resident_memory_bytes")
                warm = warm or (memory if done >= arrivals / 3 else 0.0)
                print(f"{done:5} {memory / 2**20:7.0f} MiB  {dict(ends)}", flush=True)
    seconds = time.monotonic() - begun
    deadline = time.monotonic() + REST_SECONDS
    while not idle(url) and time.monotonic() < deadline:
        time.sleep(0.2)
    return {
        "arrivals": arrivals,
        "seconds": round(seconds, 1),
        "ends": dict(ends),
        "idle_afterwards": idle(url),
        "answers_afterwards": one_client(url, WELL_BEHAVED) == "whole",
        "grown_mib": round((gauge(url, "process_resident_memory_bytes") - warm) / 2**20, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url")
    parser.add_argument("--arrivals", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=44)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with nullcontext(arguments.url) if arguments.url else server() as url:
        result = soak(url, arguments.arrivals, arguments.clients, arguments.seed)
    print(json.dumps({"soak": result}))
    well = (
        result["idle_afterwards"]
        and result["answers_afterwards"]
        and result["grown_mib"] < GROWTH_ALLOWED_MIB
    )
    sys.exit(0 if well and result["ends"].keys() <= {"whole", "refused", "left"} else 1)


if __name__ == "__main__":
    main()
