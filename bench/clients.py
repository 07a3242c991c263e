"""Requests of benchmark clients, and monitoring of the server meanwhile."""

import base64
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import soundfile

from bench.process import ROOT, Running

PATIENCE = 600.0
SENTENCES = (ROOT / "bench" / "sentences.txt").read_text("utf-8").splitlines()
RECORDING, RATE = soundfile.read(ROOT / "test_audio.wav", dtype="float32")


def prose(characters: int) -> str:
    text = " ".join(SENTENCES * (characters // 500 + 1))[:characters]
    return text[: text.rfind(" ")]


def speech(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "tts-1", "voice": "default", "input": text, "seed": 1, **fields}


def clone(text: str, recording: str) -> dict[str, Any]:
    part = {"type": "input_audio", "input_audio": {"data": recording, "format": "wav"}}
    content = [part, {"type": "text", "text": text}]
    audio = {"voice": "clone", "format": "mp3"}
    return {"model": "higgs-audio", "audio": audio, "messages": [{"role": "user", "content": content}]}


def wav(samples: np.ndarray, rate: int = RATE) -> str:
    output = BytesIO()
    soundfile.write(output, samples, rate, format="WAV")
    return base64.b64encode(output.getvalue()).decode()


def request_bytes(path: str, body: dict[str, Any]) -> bytes:
    """Return a complete HTTP request for a connection of its own."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}connection: close\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data


@contextmanager
def health_watched(server: Running) -> Iterator[list[float]]:
    """Measure how long each /health takes, polled every 20 ms while the block runs."""
    waits: list[float] = []
    over = threading.Event()

    def watch() -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            while not over.wait(0.02):
                begun = time.perf_counter()
                client.get(f"{server.url}/health")
                waits.append(time.perf_counter() - begun)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


def summary(waits: list[float]) -> dict[str, float]:
    ordered = sorted(waits)
    return {
        "asked": len(ordered),
        "p50_s": round(ordered[len(ordered) // 2], 4),
        "p99_s": round(ordered[int(0.99 * len(ordered))], 4),
        "worst_s": round(ordered[-1], 4),
    }


def opus_of_silence(seconds: int) -> bytes:
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono"]
    command += [
        "-t",
        str(seconds),
        "-c:a",
        "libopus",
        "-b:a",
        "6k",
        "-frame_duration",
        "60",
        "-f",
        "ogg",
        "-",
    ]
    return subprocess.run(command, capture_output=True, check=True).stdout
