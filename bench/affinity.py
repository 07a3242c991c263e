"""What it brings that requests of a voice prefer one replica: hits of prefilled voices, and waits for sound.

    make serve-cluster ARGS="--metrics-port 9100"
    python -m bench.affinity [--url http://127.0.0.1:8000] [--metrics 9100 9101] [--voices 24] [--clients 4]

Each client asks for short speech in one of the voices at random, which come as recordings (parts of
test_audio.wav): first without the header x-session-id, then with it and with other voices, so that no run
finds what the other left. Ends in one line of JSON.
"""

import argparse
import base64
import json
import random
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from audio.decode import decode_audio
from audio.encode import encode_audio
from audio.frames import SAMPLE_RATE

RECORDING = Path(__file__).parent.parent / "test_audio.wav"
LOOKUPS = re.compile(r'^higgs_cache_lookups_total\{cache="voice",result="(\w+)"\} (\S+)$', re.MULTILINE)
PATIENCE_SECONDS, MIN_SECONDS = 600, 3.0


def recordings(count: int, seed: int) -> list[str]:
    """As many different recordings of one voice, base64."""
    samples, drawn = decode_audio(RECORDING.read_bytes()), np.random.default_rng(seed)
    ends = drawn.integers(int(MIN_SECONDS * SAMPLE_RATE), len(samples), count)
    return [base64.b64encode(encode_audio(samples[:end], "flac").data).decode() for end in ends]


def lookups(ports: Sequence[int]) -> dict[str, float]:
    """Hits and misses of prefilled voices, of all replicas."""
    found = {"hit": 0.0, "miss": 0.0}
    for port in ports:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_SECONDS).text
        for result, count in LOOKUPS.findall(text):
            found[result] += float(count)
    return found


def first_sound(url: str, recording: str, header: dict[str, str]) -> float:
    """Seconds until the first sound of a streamed answer that is read to its end."""
    body: dict[str, Any] = {"model": "higgs-audio", "input": "Nice to meet you.", "ref_audio": recording}
    body |= {"response_format": "pcm", "max_tokens": 60}
    begin = time.perf_counter()
    address = f"{url}/v1/audio/speech"
    with httpx.stream("POST", address, json=body, headers=header, timeout=PATIENCE_SECONDS) as response:
        if response.status_code != 200:
            sys.exit(f"bench.affinity: {response.status_code}: {response.read().decode()}")
        pieces = response.iter_bytes()
        next(pieces)
        first = time.perf_counter() - begin
        for _ in pieces:
            pass
    return first


def measured(arguments: argparse.Namespace, prefers: bool) -> dict[str, Any]:
    """Hit rate and waits of one run; prefers: with the header."""
    voices, drawn = recordings(arguments.voices, seed=prefers), random.Random(7)
    asked = [drawn.randrange(len(voices)) for _ in range(arguments.requests)]
    before = lookups(arguments.metrics)

    def ask(voice: int) -> float:
        header = {"x-session-id": f"voice {voice}"} if prefers else {}
        return first_sound(arguments.url, voices[voice], header)

    with ThreadPoolExecutor(arguments.clients) as pool:
        seconds = np.array(list(pool.map(ask, asked)))
    after = lookups(arguments.metrics)
    hits, misses = (after[result] - before[result] for result in ("hit", "miss"))
    p50, p95 = np.percentile(seconds, (50, 95))
    return {"hit_rate": round(hits / (hits + misses), 3), "p50": round(p50, 3), "p95": round(p95, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--metrics", type=int, nargs="+", default=[9100, 9101], help="ports of the replicas")
    parser.add_argument("--voices", type=int, default=24)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--requests", type=int, default=96)
    arguments = parser.parse_args()
    print(json.dumps({name: measured(arguments, name == "with") for name in ("without", "with")}))


if __name__ == "__main__":
    main()
