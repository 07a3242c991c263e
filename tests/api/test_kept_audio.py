"""Earlier answers named by their ids: found until they expire, bounded, and a voice to go on with."""

from typing import Any

import numpy as np
import pytest

from api.kept_audio import AudioInMemory
from audio.decode import decode_audio
from audio.encode import encode_audio
from tests.api.test_chat import answer, ask, audio_of, said
from tests.audio.media import recording
from tests.tiny_server import TinyServer

FLAC = encode_audio(recording(), "flac").data
CLONE = {"voice": "clone", "format": "wav"}


def test_an_answer_is_kept_as_it_was_spoken_until_it_expires() -> None:
    kept = AudioInMemory()
    kept.keep("ann", "audio_1", FLAC, "Some words.")
    found = kept.find("ann", "audio_1")
    assert found is not None and found.transcript == "Some words."
    np.testing.assert_allclose(decode_audio(found.audio), recording(), atol=1 / 16_384)
    assert kept.find("ann", "audio_2") is None
    assert kept.find("bob", "audio_1") is None
    gone = AudioInMemory(seconds=0)
    gone.keep("ann", "audio_1", FLAC, "Some words.")
    assert gone.find("ann", "audio_1") is None


def test_the_oldest_go_when_all_grow_too_large() -> None:
    kept = AudioInMemory(max_bytes=500_000)
    for number in range(4):
        kept.keep("ann", f"audio_{number}", FLAC, "Some words.")
    found = [kept.find("ann", f"audio_{number}") is not None for number in range(4)]
    assert found == [False, False, True, True]


def named(body: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "audio": {"id": body["choices"][0]["message"]["audio"]["id"]}}


def test_a_clone_goes_on_in_the_voice_of_the_answer_named_last(tiny_server: TinyServer) -> None:
    first = answer(tiny_server, said("First."), temperature=0)
    second = answer(tiny_server, said("Second."), temperature=0, max_completion_tokens=60)
    audio = first["choices"][0]["message"]["audio"]
    assert audio["expires_at"] == pytest.approx(first["created"] + 3_600, abs=5)
    messages = [said("First."), named(first), said("Second."), named(second), said("Third.")]
    body = answer(tiny_server, *messages, audio=CLONE)
    assert body["voice"]["used"] == "clone"
    assert audio_of(body) == audio_of(answer(tiny_server, *messages[2:], audio=CLONE))
    in_the_first = answer(tiny_server, said("First."), named(first), said("Third."), audio=CLONE)
    assert audio_of(body) != audio_of(in_the_first)
    default = answer(tiny_server, *messages)
    said_of_it = {"used": "default", "reference": None, "note": None, "instructions_followed": None}
    assert default["voice"] == said_of_it


def test_an_unknown_audio_is_404(tiny_server: TinyServer) -> None:
    unknown = {"role": "assistant", "audio": {"id": "audio_0"}}
    response = ask(tiny_server, said("First."), unknown, said("Second."))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (404, "audio_not_found")
    assert error["param"] == "messages[1].audio.id"


def test_an_answer_is_kept_as_the_model_spoke_it(tiny_server: TinyServer) -> None:
    plain = answer(tiny_server, said("First."), temperature=0)
    manner = {"speed": 2, "volume": -30}
    delivered = answer(tiny_server, said("First. [pause 3s]"), temperature=0, audio=manner)
    clones = [
        answer(tiny_server, named(first), said("Second."), audio={"voice": "clone"}, temperature=0)
        for first in (plain, delivered)
    ]
    assert clones[0]["voice"] == clones[1]["voice"]
    assert clones[0]["usage"] == clones[1]["usage"]
