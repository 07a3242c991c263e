"""A crowd on real HTTP: who is refused and when, what a client that leaves gives back, who needs a thread."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
import torch

from errors import StoreUnavailable
from higgs.engine.engine import Engine
from settings import Settings
from speakers.encoder import weights_file
from tests.api.test_chat import NOT_AUDIO, RECORDING, ask, said
from tests.audio.media import sound_file
from tests.tiny_server import TinyServer, ready
from voices.library import MAX_ONBOARDINGS

WAIT = 60
THREADS = 40  # AnyIO's default
CLIP = sound_file("mp3")
CLONE = {"voice": "clone", "format": "wav"}


class HeldCodec:
    """A codec that encodes nothing until it is let go; it counts those that wait."""

    def __init__(self, codec: Any) -> None:
        self._codec, self.begun, self.let_go = codec, threading.Event(), threading.Event()

    def encode(self, waveform: np.ndarray) -> torch.Tensor:
        self.begun.set()
        assert self.let_go.wait(WAIT)
        return self._codec.encode(waveform)

    def decoder(self) -> Any:
        return self._codec.decoder()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def small_server(endless_model: Path, tmp_path: Path) -> Iterator[TinyServer]:
    """One request speaks, for minutes, and one may wait."""
    settings = Settings(
        model=str(endless_model),
        device="cpu",
        slots=1,
        queue_limit=1,
        max_frames_per_byte=1e6,
        max_speech_seconds=1e6,
        data_dir=tmp_path,
    )
    with ready(settings) as server:
        yield server


@contextmanager
def speaking(server: TinyServer) -> Iterator[None]:
    """Somebody listens to an endless stream meanwhile."""
    body = {"model": "tiny", "input": "A long text. " * 300, "response_format": "pcm"}
    with httpx.stream("POST", f"{server.url}/v1/audio/speech", json=body, timeout=WAIT) as response:
        pieces = response.iter_bytes()  # httpx hangs up where nobody holds its iterator
        next(pieces)
        yield


def test_a_full_queue_is_told_before_a_recording_is_read(small_server: TinyServer) -> None:
    """A kind of fault: the work of a request is done, and only then is there no room for it."""
    with speaking(small_server), speaking_next(small_server):
        for fields in ({"audio": CLONE}, {"audio": CLONE, "stream": True}):
            response = ask(small_server, said("Hello.", NOT_AUDIO), **fields)
            assert (response.status_code, response.json()["error"]["code"]) == (429, "overloaded")
            assert int(response.headers["retry-after"]) > 0
        speech = {"model": "tiny", "input": "Hello.", "ref_audio": NOT_AUDIO}
        assert httpx.post(f"{small_server.url}/v1/audio/speech", json=speech, timeout=WAIT).status_code == 429
    refused = ask(small_server, said("Hello.", NOT_AUDIO), audio=CLONE)
    assert refused.json()["error"]["code"] == "audio_undecodable", "with room it is read"


def test_a_full_queue_is_told_before_a_body_is_read_or_parsed(small_server: TinyServer) -> None:
    """A kind of fault: a crowd is refused one by one, each after its megabytes of JSON were parsed, and all
    others wait behind that."""
    with speaking(small_server), speaking_next(small_server):
        for path in ("/v1/audio/speech", "/v1/audio/speech/batch"):
            assert status_of_unsent(small_server, path) == 429
        refused = httpx.post(f"{small_server.url}/v1/chat/completions", content="{no JSON", timeout=WAIT)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
        words = ask(small_server, said("", NOT_AUDIO), modalities=["text"])
        assert words.json()["error"]["code"] == "audio_undecodable", "the recogniser has a queue of its own"
        whole = httpx.post(f"{small_server.url}/v1/audio/speech", content=b" " * 2**21, timeout=WAIT)
        assert whole.status_code == 429, "a client that sends all before it reads gets the answer, too"
        counted = httpx.get(f"{small_server.url}/metrics", timeout=WAIT).text
    assert 'route="/v1/audio/speech",status="429"' in counted and 'route="unknown"' not in counted


def status_of_unsent(server: TinyServer, path: str) -> int:
    """What is answered to a request whose body never comes."""
    with begun_request(server, path, length=10_000_000) as connection:
        return int(connection.recv(12).split()[1])


def begun_request(server: TinyServer, path: str, length: int) -> socket.socket:
    """A connection that has sent the head of a request."""
    address = httpx.URL(server.url)
    connection = socket.create_connection((address.host, address.port or 80), timeout=WAIT)
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {length}\r\n\r\n".encode())
    return connection


@contextmanager
def speaking_next(server: TinyServer) -> Iterator[None]:
    """Somebody waits for the only slot meanwhile, and leaves."""
    engine = server.app.state.server.cloner.engine
    body = json.dumps({"model": "tiny", "input": "Next.", "stream": False}).encode()
    with begun_request(server, "/v1/audio/speech", len(body)) as connection:
        connection.sendall(body)
        wait_for(lambda: engine.waiting == 1)
        yield
    wait_for(lambda: engine.waiting == 0)


def test_a_client_that_leaves_while_its_recording_waits_frees_its_place(small_server: TinyServer) -> None:
    """A kind of fault: only what has begun to speak notices that nobody listens any more."""
    cloner = small_server.app.state.server.cloner
    engine, codec = cloner.engine, HeldCodec(cloner.codec)
    cloner.resident._served = replace(cloner.resident.use(), codec=codec)
    with ThreadPoolExecutor(2) as pool:
        for number, waiting in enumerate((RECORDING, RECORDING), 1):
            pool.submit(left_after_a_second, small_server, waiting)
            wait_for(partial(reserved, engine, number))
        assert codec.begun.wait(WAIT)
        assert ask(small_server, said("Hello."), stream=True).status_code == 429
        wait_for(lambda: engine._scheduler.reserved == 0)
        with speaking(small_server):  # while the codec still works on the recording of those who left
            codec.let_go.set()


def reserved(engine: Engine, number: int) -> bool:
    return engine._scheduler.reserved == number


def left_after_a_second(server: TinyServer, recording: str) -> None:
    with pytest.raises(httpx.TimeoutException):
        ask(server, said("Hello.", recording), audio=CLONE, timeout=1)


@contextmanager
def default_threads_taken(server: TinyServer) -> Iterator[None]:
    """All of AnyIO's threads for everybody wait meanwhile, for a database."""
    begun, over = threading.Semaphore(0), threading.Event()
    profiles = server.app.state.server.voices.store.profiles

    def block(*_: Any, **__: Any) -> None:
        begun.release()
        over.wait(WAIT)
        raise StoreUnavailable("The database is away.")

    profiles.page = block
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in range(THREADS):
                pool.submit(httpx.get, f"{server.url}/v1/audio/voices", timeout=WAIT)
            try:
                for _ in range(THREADS):
                    assert begun.acquire(timeout=WAIT)
                yield
            finally:
                over.set()
    finally:
        del profiles.page


def test_what_is_trivial_needs_no_thread(small_server: TinyServer) -> None:
    """A kind of fault: the thread pool is a hidden queue, in front of every other."""
    with default_threads_taken(small_server):
        for path in ("/health", "/livez", "/readyz", "/metrics", "/v1/models", "/v1/models/tiny"):
            assert httpx.get(small_server.url + path, timeout=10).status_code == 200, path
        with speaking(small_server):
            pass


def recordings_sent(server: TinyServer, voice_id: str, exported: bytes) -> dict[str, httpx.Response]:
    """The answers of all routes that work on a recording at once."""
    forms: dict[str, tuple[dict[str, str], dict[str, bytes]]] = {
        "voices/check": ({}, {"audio_sample": CLIP}),
        "voices/similarity": ({}, {"recording": CLIP, "other": CLIP}),
        "voice_consents": ({"name": "Anna", "language": "en"}, {"recording": CLIP}),
        f"voices/{voice_id}/samples": ({"ref_text": "Some words."}, {"audio_sample": CLIP}),
        "voices/import": ({"name": f"Imported {uuid4().hex}"}, {"file": exported}),
    }
    urls = {name: f"{server.url}/v1/audio/{name}" for name in forms}
    return {
        name: httpx.post(urls[name], data=form, files=files, timeout=WAIT)
        for name, (form, files) in forms.items()
    }


def test_recordings_take_no_thread_of_what_is_short_and_only_so_many_are_worked_on(
    tiny_server: TinyServer,
) -> None:
    """A kind of fault: 45 recordings to compare, and all that needs the database waits for seconds."""
    voices = f"{tiny_server.url}/v1/audio/voices"
    named = {"name": f"Anna {uuid4().hex}", "ref_text": "The words."}
    kept = httpx.post(voices, data=named, files={"audio_sample": CLIP}, timeout=WAIT).json()
    exported = httpx.get(f"{voices}/{kept['id']}/export", timeout=WAIT).content
    with default_threads_taken(tiny_server):
        for name, answer in recordings_sent(tiny_server, kept["id"], exported).items():
            installed = name != "voices/similarity" or weights_file() is not None
            assert answer.status_code == (200 if installed else 501), (name, answer.text)
        speech = {"model": "tiny", "input": "Hi.", "max_tokens": 20, "stream": False}
        said = httpx.post(f"{tiny_server.url}/v1/audio/speech", json=speech, timeout=WAIT)
        assert said.status_code == 200
    with ExitStack() as places:
        library = tiny_server.app.state.server.voices
        for _ in range(MAX_ONBOARDINGS):
            places.enter_context(library.place())
        for name, answer in recordings_sent(tiny_server, kept["id"], exported).items():
            installed = name != "voices/similarity" or weights_file() is not None
            assert answer.status_code == (429 if installed else 501), (name, answer.text)


def test_a_text_that_grows_when_it_is_read_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    """4,096 nines are 20,479 characters to speak, which took 24 GB."""
    settings = Settings(
        model=str(tiny_model), device="cpu", data_dir=tmp_path, reading="english", max_speech_seconds=2
    )
    with ready(settings) as server:
        url, body = f"{server.url}/v1/audio/speech", {"model": "tiny", "response_format": "wav"}
        streamed = httpx.post(url, json=body | {"input": "9" * 4_096}, timeout=WAIT)
        whole = httpx.post(url, json=body | {"input": "9" * 4_096, "stream": False}, timeout=WAIT)
        chat = ask(server, said("9" * 4_096))
        long = httpx.post(url, json=body | {"input": "A word. " * 300}, timeout=WAIT)
    for response, param in ((streamed, "input"), (whole, "input"), (chat, "messages[0].content")):
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (413, "text_too_long", param)
    assert long.status_code == 200 and len(long.content) <= 2 * 24_000 * 2 + 44 + 8_000


def test_the_words_of_a_recording_are_limited_wherever_they_stand(tiny_server: TinyServer) -> None:
    """A kind of fault: a field without a limit beside one that has one."""
    words = "word " * 401
    found = [
        ask(tiny_server, said("Hello.", RECORDING), audio=CLONE | {"ref_text": words}),
        ask(tiny_server, said(words), said("", RECORDING, role="assistant"), said("Hello."), audio=CLONE),
        httpx.post(
            f"{tiny_server.url}/v1/audio/speech",
            json={"model": "tiny", "input": "Hello.", "ref_audio": RECORDING, "ref_text": words},
        ),
    ]
    errors = [response.json()["error"] for response in found]
    assert [(error["code"], error["param"]) for error in errors] == [
        ("text_too_long", "audio.ref_text"),
        ("text_too_long", "messages[0].content"),
        ("text_too_long", "ref_text"),
    ]
    assert all(response.status_code == 413 for response in found)
