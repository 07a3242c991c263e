"""Speech jobs in the store, alike on every database: owners are apart, a piece is made once, leases end."""

import itertools
import time
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from errors import Conflict, InvalidRequest, NotFound
from tests.voices.interleaved import interleaved
from voices.store.job_queue import LEASE_SECONDS, JobQueue, MadePiece
from voices.store.job_tables import SpeechJob, SpeechPiece
from voices.store.voice_store import VoiceStore

NUMBERS = itertools.count(1)


def job(owner: str = "me", model: str = "small", **fields: Any) -> SpeechJob:
    number = next(NUMBERS)
    values: dict[str, Any] = {
        "id": f"job_{number}",
        "owner": owner,
        "created_at": 1e9 + number,
        "status": "queued",
        "model": model,
        "title": "Zoë 🎧",
        "voices": ["default"],
        "options": {"speed": None},
        "seed": 2**63 - 1,
        "verify": False,
        "chapters": ["One", "Two"],
        "leased_until": 0.0,
    }
    return SpeechJob(**values | fields)


def pieces_for(job_id: str, count: int = 3) -> list[SpeechPiece]:
    return [
        SpeechPiece(
            job_id=job_id,
            number=number,
            chapter=min(number, 1),
            parts=[[0, "Hello."], 0.5],
            characters=10 * (number + 1),
            pause=0.25,
            seed=number,
            faults=[],
        )
        for number in range(count)
    ]


def queued(store: VoiceStore, **fields: Any) -> str:
    added = job(**fields)
    store.jobs.add(added, pieces_for(added.id))
    return added.id


def make_next(store: VoiceStore, job_id: str, queue: JobQueue | None = None) -> bool:
    queue = queue or store.job_queue
    piece = queue.next_piece(job_id)
    assert piece is not None
    return queue.keep(job_id, piece, MadePiece(piece.number, 77, b"fLaC", 2.0, 1.0, []))


def test_a_job_is_made_piece_by_piece(store: VoiceStore) -> None:
    job_id = queued(store)
    assert [one.id for one in store.job_queue.open_jobs("small")] == [job_id]
    assert store.job_queue.open_jobs("large") == []
    assert store.job_queue.claim(job_id) and store.job_queue.claim(job_id)
    assert not store.job_queue.complete(job_id)
    for number in range(3):
        piece = store.job_queue.next_piece(job_id)
        assert piece is not None and (piece.number, piece.parts) == (number, [[0, "Hello."], 0.5])
        assert make_next(store, job_id)
        assert store.jobs.sound(job_id, number) == b"fLaC"
    assert store.job_queue.next_piece(job_id) is None
    assert store.job_queue.complete(job_id) and not store.job_queue.complete(job_id)
    ended = store.jobs.get("me", job_id)
    assert ended.status == "completed" and ended.started_at and ended.finished_at
    assert (ended.seed, ended.title) == (2**63 - 1, "Zoë 🎧")
    assert store.job_queue.open_jobs("small") == []


def test_progress_is_told_chapter_by_chapter(store: VoiceStore) -> None:
    job_id, other = queued(store), queued(store)
    make_next(store, job_id)
    make_next(store, job_id)
    found = store.jobs.progress([job_id, other, "job_0"])
    one, two = found[job_id]
    assert (one.chapter, one.pieces, one.done, one.characters, one.characters_done) == (0, 1, 1, 10, 10)
    assert (two.pieces, two.done, two.characters, two.characters_done) == (2, 1, 50, 20)
    assert (one.seconds, two.seconds, two.took) == (2.25, 2.25, 1.0)
    assert [chapter.done for chapter in found[other]] == [0, 0] and found["job_0"] == []
    assert found[other][0].seconds == 0


def test_owners_are_apart(store: VoiceStore) -> None:
    job_id = queued(store)
    jobs = store.jobs
    for look in (
        lambda: jobs.get("you", job_id),
        lambda: jobs.cancel("you", job_id),
        lambda: jobs.resume("you", job_id),
        lambda: jobs.delete("you", job_id),
        lambda: jobs.pieces("you", job_id),
        lambda: jobs.piece("you", job_id, 0),
        lambda: jobs.make_again("you", job_id, 0, 1),
        lambda: jobs.page("you", after=job_id, limit=2),
    ):
        with pytest.raises(NotFound):
            look()
    assert jobs.page("you", after=None, limit=9).rows == []


def test_jobs_are_listed_in_pages_and_no_more_are_kept_than_may_be(database_url: str) -> None:
    store = VoiceStore(database_url, max_jobs=3)
    ids = [queued(store) for _ in range(3)]
    page = store.jobs.page("me", after=None, limit=2)
    assert [one.id for one in page.rows] == ids[:0:-1] and page.has_more
    assert [one.id for one in store.jobs.page("me", after=ids[1], limit=2).rows] == ids[:1]
    for refused in (lambda: store.jobs.check_room("me"), lambda: queued(store)):
        with pytest.raises(InvalidRequest) as full:
            refused()
        assert full.value.code == "jobs_full"
    queued(store, owner="you")
    store.jobs.delete("me", ids[0])
    queued(store)
    store.close()


def test_a_job_that_was_cancelled_or_failed_can_be_resumed(store: VoiceStore) -> None:
    job_id = queued(store)
    store.job_queue.claim(job_id)
    make_next(store, job_id)
    assert store.jobs.cancel("me", job_id).status == "cancelled"
    assert not store.job_queue.claim(job_id)
    assert store.jobs.resume("me", job_id).status == "queued"
    store.job_queue.fail(job_id, "voice_not_found", "The voice is gone.")
    failed = store.jobs.get("me", job_id)
    assert (failed.status, failed.error_code) == ("failed", "voice_not_found")
    again = store.jobs.resume("me", job_id)
    assert (again.status, again.error_code, again.finished_at) == ("queued", None, None)
    assert store.job_queue.claim(job_id)
    assert store.jobs.progress([job_id])[job_id][0].done == 1


def test_a_piece_is_made_again_by_another_seed(store: VoiceStore) -> None:
    job_id = queued(store)
    for _ in range(3):
        make_next(store, job_id)
    store.job_queue.complete(job_id)
    assert store.jobs.make_again("me", job_id, 1, 9).status == "queued"
    piece = store.job_queue.next_piece(job_id)
    assert piece is not None and (piece.number, piece.seed) == (1, 9)
    with pytest.raises(Conflict):
        store.jobs.sound(job_id, 1)
    assert make_next(store, job_id) and store.jobs.piece("me", job_id, 1).seed == 77
    with pytest.raises(NotFound):
        store.jobs.make_again("me", job_id, 3, 9)


def test_what_is_not_wanted_any_more_is_not_kept(store: VoiceStore) -> None:
    """Kind: two servers made the same piece, or it is to be made anew, or the job was deleted meanwhile."""
    job_id = queued(store)
    piece = store.job_queue.next_piece(job_id)
    assert piece is not None
    made = MadePiece(0, 77, b"fLaC", 2.0, 1.0, [])
    store.jobs.make_again("me", job_id, 0, 5)
    assert not store.job_queue.keep(job_id, piece, made)
    assert make_next(store, job_id)
    assert not store.job_queue.keep(job_id, piece, made)
    store.jobs.delete("me", job_id)
    assert not store.job_queue.keep(job_id, piece, made)
    assert store.job_queue.next_piece(job_id) is None


def test_a_job_is_leased_to_one_server(store: VoiceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = queued(store)
    other = JobQueue(store._database, "other")
    assert store.job_queue.claim(job_id)
    assert not other.claim(job_id) and other.open_jobs("small") == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LEASE_SECONDS + 1)
    assert other.claim(job_id) and not store.job_queue.claim(job_id)
    other.release()
    assert store.job_queue.claim(job_id)


def test_a_server_of_a_file_takes_over_what_killed_ones_held_if_none_lives(database_url: str) -> None:
    store = VoiceStore(database_url)
    job_id = queued(store)
    store.job_queue.claim(job_id)
    beside = VoiceStore(database_url)
    assert not beside.job_queue.claim(job_id)
    store.close()
    after = VoiceStore(database_url)
    assert not after.job_queue.claim(job_id)
    for one in (beside, after):
        one.close()
    alone = VoiceStore(database_url)
    assert alone.job_queue.claim(job_id) is database_url.startswith("sqlite")
    alone.close()


def test_the_voice_of_a_job_is_kept_once_and_with_its_piece(store: VoiceStore) -> None:
    """Kind: of two transactions the second is lost, and the pieces have two voices."""
    job_id, commits = queued(store), list[object]()
    event.listen(store._database._engine, "commit", commits.append)
    for number, voice in enumerate((None, (b"first", "Words."), (b"second", "More."))):
        assert store.job_queue.recording(job_id) == ((None, None) if number < 2 else (b"first", "Words."))
        piece = store.job_queue.next_piece(job_id)
        assert piece is not None
        before = len(commits)
        assert store.job_queue.keep(job_id, piece, MadePiece(number, 77, b"fLaC", 2.0, 1.0, []), voice)
        assert len(commits) == before + 1
    assert store.job_queue.recording(job_id) == (b"first", "Words.")
    other = queued(store)
    asked = store.job_queue.next_piece(other)
    assert asked is not None and make_next(store, other)
    stale = MadePiece(0, 77, b"fLaC", 2.0, 1.0, [])
    assert not store.job_queue.keep(other, asked, stale, (b"stale", "Words."))
    assert store.job_queue.recording(other) == (None, None)


@pytest.mark.parametrize("repeated_first", [True, False])
def test_a_job_with_a_piece_to_make_is_never_completed(
    store: VoiceStore, database_url: str, repeated_first: bool
) -> None:
    """Kind: each of two transactions goes by what it read before the other's change."""
    added = job()
    store.jobs.add(added, pieces_for(added.id, 1))
    store.job_queue.claim(added.id)
    make_next(store, added.id)
    another = VoiceStore(database_url)
    if repeated_first:
        again = partial(store.jobs.make_again, "me", added.id, 0, 9)
        completed = interleaved(store, again, partial(another.job_queue.complete, added.id))[1]
    else:
        again = partial(another.jobs.make_again, "me", added.id, 0, 9)
        completed = interleaved(store, partial(store.job_queue.complete, added.id), again)[0]
    assert completed.result() is not repeated_first
    assert store.job_queue.next_piece(added.id) is not None
    assert [one.id for one in store.job_queue.open_jobs("small")] == [added.id]
    another.close()


def test_a_job_that_ends_as_it_is_cancelled_stays_completed(store: VoiceStore, database_url: str) -> None:
    added = job()
    store.jobs.add(added, pieces_for(added.id, 1))
    make_next(store, added.id)
    another = VoiceStore(database_url)
    complete, cancel = (
        partial(store.job_queue.complete, added.id),
        partial(another.jobs.cancel, "me", added.id),
    )
    assert interleaved(store, complete, cancel)[1].result().status == "completed"
    another.close()


def test_a_server_whose_lease_is_over_fails_no_job(store: VoiceStore) -> None:
    job_id = queued(store)
    assert store.job_queue.claim(job_id)
    other = JobQueue(store._database, "other")
    store.job_queue.release()
    assert other.claim(job_id)
    assert not store.job_queue.fail(job_id, "model_error", "Of a server that is late.")
    assert store.jobs.get("me", job_id).status == "in_progress"
    assert other.fail(job_id, "model_error", "It can't be spoken.") and not other.fail(job_id, None, "Twice.")
    assert store.jobs.get("me", job_id).error_code == "model_error"
