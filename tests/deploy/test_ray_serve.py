"""Replicas on Ray Serve, real parts all: what they share, and what a killed one takes along.

`make test-cluster` runs this with Ray. FLEET_REQUESTS=300 sends as many requests while replicas are killed.
"""

import base64
import json
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.test_chat import RECORDING, said
from tests.audio.media import sound_file
from tests.deploy.asking import FRAME_BYTES, SPEECH, WAIT, speak, wait_for
from tests.deploy.fleet import Fleet

pytest.importorskip("ray", reason="`make test-cluster` installs it")

REQUESTS = int(os.environ.get("FLEET_REQUESTS", "48"))
CLIENTS = 4
KILL_EVERY = max(REQUESTS // 4, 12)  # requests
CHAT: dict[str, Any] = {"model": "tiny", "seed": 1, "temperature": 0, "max_completion_tokens": 40}


def chat(fleet: Fleet, *messages: dict[str, Any], **fields: Any) -> httpx.Response:
    body = CHAT | {"messages": messages} | fields
    return httpx.post(f"{fleet.url}/v1/chat/completions", json=body, timeout=WAIT)


def kept_voice(fleet: Fleet) -> str:
    form = {"user_id": "me", "voice_name": uuid4().hex, "sample_text": "Hello."}
    clone = f"{fleet.url}/api/public/voice/onboarding/clone"
    answer = httpx.post(clone, data=form, files={"audio_file": ("me.mkv", sound_file("mkv"))}, timeout=WAIT)
    assert answer.status_code == 200, answer.text
    return answer.json()["voice_id"]


def served(fleet: Fleet, route: str) -> list[float]:
    """Requests of a route that each replica answered with 200."""
    return [seen.get(f"higgs_requests_total,POST,{route},200", 0) for seen in fleet.figures()]


def test_chunks_events_and_refusals_pass_as_they_are(replicas: Fleet) -> None:
    whole, streamed = speak(replicas, "Hello.", stream=False), speak(replicas, "Hello.")
    events = speak(replicas, "Hello.", stream_format="sse").text.split("\n\n")
    deltas = [json.loads(event.removeprefix("data: ")) for event in events if event]
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas[:-1]) == streamed.content
    assert deltas[-1]["type"] == "speech.audio.done"
    assert len(streamed.content) == len(whole.content) == (60 - 8) * FRAME_BYTES
    refused = speak(replicas, "", stream=False)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "text_empty")
    named = httpx.get(f"{replicas.url}/v1/models", headers={"x-request-id": "mine-1"})
    assert named.headers.get_list("x-request-id") == ["mine-1"]
    done = chat(replicas, said("Hi."), stream=True).text
    assert done.endswith("data: [DONE]\n\n")


def test_a_voice_and_an_answer_of_one_replica_are_known_to_the_other(replicas: Fleet) -> None:
    voice, before = kept_voice(replicas), served(replicas, "/v1/audio/speech")
    with ThreadPoolExecutor(4) as pool:
        spoken = list(pool.map(lambda _: speak(replicas, "Hello again.", voice=voice), range(12)))
    assert {answer.headers["x-voice-used"] for answer in spoken} == {voice}
    assert len({answer.content for answer in spoken}) == 1
    wait_for(lambda: sum(served(replicas, "/v1/audio/speech")) - sum(before) == 12)
    assert all(now > then for now, then in zip(served(replicas, "/v1/audio/speech"), before, strict=True))
    first = chat(replicas, said("First.")).json()["choices"][0]["message"]["audio"]["id"]
    named = {"role": "assistant", "audio": {"id": first}}
    with ThreadPoolExecutor(4) as pool:
        audio = {"voice": "clone", "format": "wav"}
        go_on = list(
            pool.map(lambda _: chat(replicas, said("First."), named, said("Then."), audio=audio), range(8))
        )
    assert {answer.json()["voice"]["used"] for answer in go_on} == {"clone"}


def test_a_limit_counts_for_both(replicas: Fleet) -> None:
    def left(_: int) -> int:
        """What an answer says is left: requests that run beside it may be counted in it, too."""
        answer = httpx.get(f"{replicas.url}/v1/models", timeout=WAIT)
        return int(answer.headers["x-ratelimit-remaining-requests"])

    before = left(0)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(left, range(16)))
    assert left(0) == before - 17


@pytest.mark.parametrize("voice", ["Anna", "Bert", "Cleo"])
def test_a_voice_prefers_its_home(replicas: Fleet, voice: str) -> None:
    """All requests of a voice, one after the other, go to one replica."""
    before = served(replicas, "/v1/audio/speech")
    for _ in range(5):
        body = SPEECH | {"input": "Hello.", "ref_audio": RECORDING, "response_format": "pcm"}
        url, headers = f"{replicas.url}/v1/audio/speech", {"x-session-id": voice}
        assert httpx.post(url, json=body, headers=headers, timeout=WAIT).status_code == 200
    wait_for(lambda: sum(served(replicas, "/v1/audio/speech")) - sum(before) == 5)
    grown = [now - then for now, then in zip(served(replicas, "/v1/audio/speech"), before, strict=True)]
    assert sorted(grown) == [0, 5]


class Kills:
    """When replicas were killed; one at a time, and only while both are there."""

    def __init__(self, fleet: Fleet) -> None:
        self.moments: list[float] = []
        self._fleet, self._killing = fleet, threading.Lock()

    def kill(self, number: int) -> None:
        with self._killing:
            self._fleet.wait_until_whole()
            victim = self._fleet.replicas()[number % 2]
            os.kill(victim, signal.SIGKILL)
            self.moments.append(time.monotonic())

    def during(self, begin: float, end: float) -> bool:
        return any(begin <= moment <= end for moment in self.moments)


def mixed(fleet: Fleet, number: int, voice: str, audio_id: str) -> str:
    """One request of several kinds; how it ended: ok, or refused or broken off, which a client notices."""
    named = {"role": "assistant", "audio": {"id": audio_id}}
    kinds = [
        lambda: speak(fleet, "Hello.", voice=voice),
        lambda: speak(fleet, "Hello.", stream_format="sse"),
        lambda: chat(fleet, said("Hi.", RECORDING), audio={"voice": "clone", "format": "wav"}, stream=True),
        lambda: chat(fleet, said("First."), named, said("Then."), audio={"voice": "clone", "format": "wav"}),
        lambda: httpx.get(f"{fleet.url}/v1/audio/voices/{voice}", timeout=WAIT),
        lambda: httpx.get(f"{fleet.url}/readyz", timeout=WAIT),
    ]
    kind = number % len(kinds)
    try:
        answer = kinds[kind]()
    except httpx.TransportError:
        return "broken off"
    if answer.status_code != 200:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "replica_unavailable"), (
            answer.text
        )
        assert answer.headers["retry-after"] == "1"
        return "refused"
    ends = {0: len(answer.content) > 10_000, 1: b"speech.audio.done" in answer.content}
    ends |= {2: answer.content.endswith(b"data: [DONE]\n\n")}
    return "ok" if ends.get(kind, True) else "torn"


def test_nothing_is_lost_while_replicas_are_killed(replicas: Fleet) -> None:
    """No answer is torn without an error, and each request that no kill met succeeds."""
    voice = kept_voice(replicas)
    audio_id = chat(replicas, said("First.")).json()["choices"][0]["message"]["audio"]["id"]
    kills = Kills(replicas)

    def ask(number: int) -> tuple[str, bool]:
        if number % KILL_EVERY == KILL_EVERY // 2:
            kills.kill(number)
        begin = time.monotonic()
        ending = mixed(replicas, number, voice, audio_id)
        return ending, kills.during(begin, time.monotonic())

    with ThreadPoolExecutor(CLIENTS) as pool:
        endings = Counter(pool.map(ask, range(REQUESTS)))
    print(json.dumps({"requests": REQUESTS, "kills": len(kills.moments), "endings": str(dict(endings))}))
    assert len(kills.moments) >= 3
    assert {ending for ending, killed in endings if not killed} == {"ok"}
    assert "torn" not in {ending for ending, _ in endings}
    replicas.wait_until_whole()
    assert speak(replicas, "Hello.", voice=voice).headers["x-voice-used"] == voice


def test_a_fleet_lacks_nothing_that_it_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deploy.ray_serve import check_shared
    from errors import StartError
    from settings import Settings

    alone = Settings(data_dir=tmp_path)
    with pytest.raises(StartError, match="HIGGS_REDIS_URL"):
        check_shared(alone, machines=1)
    with pytest.raises(StartError, match="HIGGS_DATABASE_URL"):
        check_shared(alone, machines=2)


def test_a_voice_has_one_home_and_few_move() -> None:
    from deploy.voice_router import home_of

    names, voices = ["a", "b", "c", "d"], [f"voice_{number}" for number in range(400)]
    homes = {voice: names[home_of(voice, names)] for voice in voices}
    assert min(Counter(homes.values()).values()) > 60
    assert all(names[::-1][home_of(voice, names[::-1])] == home for voice, home in homes.items())
    moved = [voice for voice, home in homes.items() if names[:3][home_of(voice, names[:3])] != home]
    assert all(homes[voice] == "d" for voice in moved)
