"""/v1/audio/speech/jobs over real HTTP: a book in, a file with chapters out, and live requests go first."""

import base64
import io
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from api.schemas.jobs import SpeechJobEvent
from audio.decode import decode_audio
from settings import Settings
from tests.api.speech_jobs import BOOK, CHAPTERS, WAIT, Job, ask, ended, pieces_of, queue, refused, wait_for
from tests.audio.media import sound_file
from tests.tiny_server import TinyServer, ready, write_endless_model

NOT_AUDIO = base64.b64encode(b"no sound at all").decode()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_endless_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    """A server of two keys; each part of a text lasts 8 s, since the model never ends."""
    settings = Settings(
        model=str(model),
        device="cpu",
        data_dir=tmp_path_factory.mktemp("data"),
        api_keys=SecretStr("ann,bob"),
        max_frames_per_byte=0.1,
        max_speech_seconds=3,
        max_attempts=1,
        max_jobs=6,
        max_job_characters=20_000,
        max_text_characters=500,
    )
    with ready(settings) as server:
        yield server


@pytest.fixture(scope="module")
def done(server: TinyServer) -> Job:
    job = queue(server)
    assert (job["object"], job["status"], job["title"]) == ("audio.speech.job", "queued", "Zoë")
    return wait_for(server, job["id"], ended)


def test_a_book_is_spoken_piece_by_piece(server: TinyServer, done: Job) -> None:
    assert (done["status"], done["error"]) == ("completed", None)
    pieces = pieces_of(server, done["id"])
    assert done["pieces"] == {"total": len(pieces), "done": len(pieces)}
    said = " ".join(piece["text"] for piece in pieces)
    assert said == " ".join(f"{one['title'].removesuffix(' 🌳')}. {one['text']}" for one in CHAPTERS)
    assert [piece["chapter"] for piece in pieces] == [0, 0, 1, 1]
    assert [chapter["title"] for chapter in done["chapters"]] == [one["title"] for one in CHAPTERS]
    assert done["seconds_left"] == 0 and done["started_at"] and done["finished_at"]
    assert pieces[0]["seed"] == done["seed"] == 2**63 - 1
    for piece in pieces:
        assert piece["seconds"] > 3 and piece["faults"][0]["kind"] == "too_long"
        sound = ask(server, f"/{done['id']}/pieces/{piece['number']}/content?response_format=wav")
        assert len(decode_audio(sound.content)) / 24_000 == pytest.approx(piece["seconds"], abs=1e-3)


def test_the_same_book_of_the_same_seed_is_the_same(server: TinyServer, done: Job) -> None:
    again = queue(server)
    wait_for(server, again["id"], ended)
    first, second = (
        ask(server, f"/{job['id']}/content?response_format=flac").content for job in (done, again)
    )
    assert first == second
    assert ask(server, f"/{again['id']}", "DELETE").json()["deleted"] is True
    refused(ask(server, f"/{again['id']}"), 404, "job_not_found")


@pytest.mark.parametrize("format", ["m4b", "mp3"])
def test_the_file_has_the_chapters(server: TinyServer, done: Job, format: str) -> None:
    answer = ask(server, f"/{done['id']}/content?response_format={format}")
    assert answer.headers["content-type"] == {"m4b": "audio/mp4", "mp3": "audio/mpeg"}[format]
    with av.open(io.BytesIO(answer.content), mode="r") as file:
        assert file.metadata["title"] == "Zoë"
        marks = file.chapters()
        seconds = float(file.duration or 0) / av.time_base
    assert [mark["metadata"]["title"] for mark in marks] == [one["title"] for one in CHAPTERS]
    assert {mark["time_base"] for mark in marks} == {Fraction(1, 1000)}
    times = [(mark["start"] / 1000, mark["end"] / 1000) for mark in marks]
    lengths = [chapter["seconds"] for chapter in done["chapters"]]
    assert times[0] == (0, pytest.approx(lengths[0], abs=0.01))
    assert times[1] == (times[0][1], pytest.approx(sum(lengths), abs=0.01))
    assert seconds == pytest.approx(sum(lengths), abs=0.2)
    assert len(decode_audio(answer.content)) / 24_000 == pytest.approx(sum(lengths), abs=0.2)


def test_the_file_is_the_pieces_with_pauses_between_them(server: TinyServer, done: Job) -> None:
    whole = decode_audio(ask(server, f"/{done['id']}/content?response_format=flac").content)
    sounds = [
        decode_audio(ask(server, f"/{done['id']}/pieces/{number}/content").content) for number in range(4)
    ]
    silence = [np.zeros(round(pause * 24_000), np.float32) for pause in (0.75, 1.5, 0.75, 0.0)]
    joined = np.concatenate([part for pair in zip(sounds, silence, strict=True) for part in pair])
    np.testing.assert_allclose(whole, joined, atol=1e-4)  # they are written with 16 bits once more
    chapter = ask(server, f"/{done['id']}/content?response_format=flac&chapter=1").content
    second = np.concatenate([sounds[2], silence[2], sounds[3]])
    np.testing.assert_allclose(decode_audio(chapter), second, atol=1e-4)
    refused(ask(server, f"/{done['id']}/content?chapter=2"), 404, "chapter_not_found", "chapter")


def test_a_piece_is_made_again_by_its_number(server: TinyServer, done: Job) -> None:
    before = pieces_of(server, done["id"])
    sounds = [ask(server, f"/{done['id']}/pieces/{number}/content").content for number in (0, 1)]
    job = ask(server, f"/{done['id']}/pieces/1", "POST", json={"seed": 12}).json()
    assert job["status"] in ("queued", "in_progress", "completed")
    wait_for(server, done["id"], ended)
    after = pieces_of(server, done["id"])
    assert after[1]["seed"] == 12 and after[0] == before[0] and after[2:] == before[2:]
    assert ask(server, f"/{done['id']}/pieces/0/content").content == sounds[0]
    refused(ask(server, f"/{done['id']}/pieces/9", "POST", json={}), 404, "piece_not_found")


def test_jobs_are_told_as_events_and_in_lists(server: TinyServer, done: Job) -> None:
    job = queue(server)
    events = []
    with httpx.stream(
        "GET",
        f"{server.url}/v1/audio/speech/jobs/{job['id']}/events",
        headers={"authorization": "Bearer ann"},
        timeout=WAIT,
    ) as answer:
        for line in answer.iter_lines():
            if line:
                events.append(SpeechJobEvent.model_validate_json(line.removeprefix("data: ")))
    assert events[-1].type == "audio.speech.job.ended" and events[-1].job.status == "completed"
    counts = [event.job.pieces.done for event in events]
    assert counts == sorted(counts) and counts[-1] == 4
    assert {event.type for event in events[:-1]} <= {"audio.speech.job.updated"}
    listed = ask(server, "?limit=1").json()
    assert [one["id"] for one in listed["data"]] == [job["id"]] and listed["has_more"]
    assert done["id"] in [one["id"] for one in ask(server, f"?after={job['id']}").json()["data"]]
    ask(server, f"/{job['id']}", "DELETE")


def test_keys_see_their_own_jobs_only(server: TinyServer, done: Job) -> None:
    for path, method in (
        *(("", "GET"), ("/events", "GET"), ("/content", "GET"), ("", "DELETE"), ("/cancel", "POST")),
        *(("/resume", "POST"), ("/pieces", "GET"), ("/pieces/0", "GET"), ("/pieces/0/content", "GET")),
    ):
        refused(ask(server, f"/{done['id']}{path}", method, key="bob"), 404, "job_not_found")
    assert ask(server, key="bob").json()["data"] == []


def test_a_recording_is_kept_with_the_job(server: TinyServer) -> None:
    recording = base64.b64encode(sound_file("wav")).decode()
    job = queue(server, chapters=[{"text": "Hello."}], ref_audio=recording, ref_text="Some words.")
    assert job["voices"] == ["clone"]
    assert wait_for(server, job["id"], ended)["status"] == "completed"
    ask(server, f"/{job['id']}", "DELETE")


def test_a_voice_that_was_deleted_fails_the_job(server: TinyServer) -> None:
    headers = {"authorization": "Bearer ann"}
    kept = httpx.post(
        f"{server.url}/v1/audio/voices",
        data={"name": "Anna"},
        files={"audio_sample": ("a.wav", sound_file("wav"))},
        headers=headers,
        timeout=WAIT,
    ).json()
    job = queue(server, voice="Anna", chapters=[{"text": "Hello there, you. " * 1000}])
    assert job["voices"] == [kept["id"]]
    wait_for(server, job["id"], lambda now: now["pieces"]["done"] > 0)
    httpx.delete(f"{server.url}/v1/audio/voices/{kept['id']}", headers=headers)
    failed = wait_for(server, job["id"], ended)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "voice_not_found")
    assert kept["id"] in failed["error"]["message"] and failed["pieces"]["done"] > 0
    refused(ask(server, f"/{job['id']}/content"), 409, "job_not_completed")
    ask(server, f"/{job['id']}", "DELETE")


def test_a_job_is_cancelled_and_resumed_behind_what_was_made(server: TinyServer) -> None:
    job = queue(server, chapters=[{"text": "Hello there, you. " * 200}])
    wait_for(server, job["id"], lambda now: now["pieces"]["done"] > 0)
    stopped = ask(server, f"/{job['id']}/cancel", "POST").json()
    assert stopped["status"] == "cancelled"
    made = pieces_of(server, job["id"])[0]
    assert ask(server, f"/{job['id']}/resume", "POST").json()["status"] in ("queued", "in_progress")
    finished = wait_for(server, job["id"], ended)
    assert finished["status"] == "completed" and pieces_of(server, job["id"])[0] == made
    ask(server, f"/{job['id']}", "DELETE")


def test_live_requests_are_answered_while_jobs_wait(server: TinyServer) -> None:
    """However long the books are, whoever is live is spoken to, and the books go on."""
    jobs = [queue(server, key="bob", chapters=[{"text": "Hello there, you. " * 1000}]) for _ in range(2)]
    speech = {"model": "tiny", "input": "Hello.", "response_format": "pcm", "stream": False, "max_tokens": 30}
    for _ in range(5):
        live = httpx.post(
            f"{server.url}/v1/audio/speech",
            json=speech,
            headers={"authorization": "Bearer ann"},
            timeout=WAIT,
        )
        assert live.status_code == 200 and len(live.content) == 22 * 960 * 2
    for job in jobs:
        assert ask(server, f"/{job['id']}", key="bob").json()["status"] in ("queued", "in_progress")
        ask(server, f"/{job['id']}", "DELETE", key="bob")
    assert "higgs_job_pieces_total" in httpx.get(f"{server.url}/metrics").text


COVER = "![](cover.png)\n\n# Part One\n\n# Chapter 1\n\nIt rained.\n\n# Chapter 2\n\n---\n"
SENT = [
    {"title": "Part One"},
    {"title": "...", "text": "It rained. [pause 1s] ![](a)"},
    {"text": "<!-- x -->"},
]


@pytest.mark.parametrize(
    ("fields", "chapters", "texts"),
    [
        ({"input": COVER, "speak_titles": False}, {"Chapter 1": 1}, ["It rained."]),
        (
            {"input": COVER},
            {"Part One": 1, "Chapter 1": 2, "Chapter 2": 1},
            ["Part One.", "Chapter 1.", "It rained.", "Chapter 2."],
        ),
        ({"chapters": SENT, "speak_titles": False}, {"Part One": 0, "...": 1, "": 0}, ["It rained."]),
        ({"chapters": SENT}, {"Part One": 1, "...": 1, "": 0}, ["Part One.", "It rained."]),
    ],
)
def test_chapters_with_nothing_to_speak_are_passed_over(
    server: TinyServer, fields: Job, chapters: dict[str, int], texts: list[str]
) -> None:
    """Kind: a cover, or a part's title above the first chapter, refused the whole book."""
    asked: Job = {"chapters": None} | fields
    job = queue(server, **asked)
    assert {chapter["title"]: chapter["pieces"] for chapter in job["chapters"]} == chapters
    assert [piece["text"] for piece in pieces_of(server, job["id"])] == texts
    for number, pieces in enumerate(chapters.values()):
        if not pieces:
            silent = ask(server, f"/{job['id']}/content?chapter={number}")
            refused(silent, 404, "chapter_not_found", "chapter")
            assert "nothing to speak" in silent.text
    ask(server, f"/{job['id']}", "DELETE")


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"input": "Hello."}, 400, "invalid_value", None),
        ({"chapters": None}, 400, "invalid_value", None),
        ({"chapters": []}, 400, "invalid_value", "chapters"),
        ({"chapters": [{"title": "..."}, {"text": "!?"}]}, 400, "text_empty", "chapters"),
        ({"chapters": [{"title": "A"}], "speak_titles": False}, 400, "text_empty", "chapters"),
        ({"chapters": [{"text": "[pause 99s] a"}]}, 400, "invalid_pause", "chapters[0].text"),
        ({"chapters": [{"text": "a" * 20_001}]}, 413, "text_too_long", "chapters"),
        ({"chapters": None, "input": "#"}, 400, "text_empty", "input"),
        ({"chapters": [{"title": "x" * 201, "text": "A."}]}, 400, "invalid_value", "chapters[0].title"),
        ({"title": "a\u0007b"}, 400, "invalid_value", "title"),
        ({"voice": "nobody"}, 404, "voice_not_found", "voice"),
        ({"ref_audio": NOT_AUDIO}, 400, "audio_undecodable", "ref_audio"),
        ({"max_tokens": 9}, 400, "unsupported", "max_tokens"),
        ({"model": "gpt-4o"}, 404, "model_not_found", "model"),
        ({"reference_id": "x"}, 400, "unsupported", "reference_id"),
    ],
)
def test_what_cannot_be_spoken_is_refused_before_it_is_queued(
    server: TinyServer, fields: Job, status: int, code: str, param: str | None
) -> None:
    count = len(ask(server).json()["data"])
    refused(ask(server, method="POST", json=BOOK | fields), status, code, param)
    assert len(ask(server).json()["data"]) == count


def test_no_more_jobs_are_kept_than_may_be(server: TinyServer) -> None:
    jobs = [queue(server, key="bob") for _ in range(6 - len(ask(server, key="bob").json()["data"]))]
    refused(ask(server, method="POST", key="bob", json=BOOK), 400, "jobs_full")
    for job in jobs:
        ask(server, f"/{job['id']}", "DELETE", key="bob")


def test_a_book_with_many_commas_is_taken(server: TinyServer) -> None:
    """Kind: values of JSON are counted by their commas, and a book is full of them."""
    body = json.dumps(BOOK | {"chapters": [{"text": "a, " * 660}], "padding": "," * 60_000})
    answer = ask(server, method="POST", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    ask(server, f"/{answer.json()['id']}", "DELETE")
