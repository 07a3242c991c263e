"""/v1/audio/voices/check: a recording is judged before a voice is made of it, and nothing is kept."""

import httpx
import numpy as np

from audio.decode import decode_audio
from tests.audio.media import float_wav, sound_file
from tests.tiny_server import TinyServer

CLIP = sound_file("mp3")


def check(server: TinyServer, name: str, data: bytes) -> httpx.Response:
    files = {"audio_sample": (name, data)}
    return httpx.post(f"{server.url}/v1/audio/voices/check", files=files, timeout=60)


def saved(server: TinyServer) -> list[dict[str, object]]:
    return list(httpx.get(f"{server.url}/v1/audio/voices").json()["data"])


def test_the_part_and_the_problems_are_told_and_nothing_is_kept(tiny_server: TinyServer) -> None:
    """Kind: problems that are told once the voice exists; a check that leaves something behind."""
    before = saved(tiny_server)
    used = check(tiny_server, "me.mp3", CLIP).raise_for_status().json()["used"]
    assert 0 <= used["start"] < used["end"] <= used["seconds"]
    samples = decode_audio(CLIP)
    samples = np.clip(2.5 * samples / np.abs(samples).max(), -1, 1)
    found = check(tiny_server, "loud.wav", float_wav(samples)).raise_for_status().json()["findings"]
    assert [one["name"] for one in found] == ["clipping"] and found[0]["places"]
    assert all(0 <= place["start"] < place["end"] <= used["seconds"] + 0.1 for place in found[0]["places"])
    assert saved(tiny_server) == before


def test_what_is_no_voice_is_refused(tiny_server: TinyServer) -> None:
    refused = check(tiny_server, "letter.wav", b"Dear all,")
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, "audio_sample")
