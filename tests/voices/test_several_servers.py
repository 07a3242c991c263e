"""Several servers on one database: a session is its own server's, and a newer server's tables are let be."""

import time
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import create_engine, text

from errors import Cancelled, InvalidRequest, NotFound, StartError
from tests.voices.interleaved import interleaved
from tests.voices.test_jobs import queued
from tests.voices.test_samples import sample
from tests.voices.test_store import CODES, NUMBERS, clone_session, consent, profile
from voices.store import sessions
from voices.store.sessions import LEASE_SECONDS
from voices.store.voice_store import VoiceStore


def test_a_session_that_no_server_renews_is_interrupted(store: VoiceStore, database_url: str) -> None:
    """Another server that starts meanwhile lets it be; a month later it is forgotten."""
    store.sessions.begin(clone_session("voice_now"))
    store.sessions.begin(clone_session("voice_old", created_at=1.0))
    again = VoiceStore(database_url)
    assert again.sessions.get("me", "voice_now").state == "running"
    with pytest.raises(NotFound):
        again.sessions.get("me", "voice_old")
    again.sessions.sweep(time.time() + LEASE_SECONDS + 1)
    found = again.sessions.get("me", "voice_now")
    assert found.state == "interrupted" and found.finished_at is not None
    store.sessions.progress("voice_now", [])
    assert again.sessions.get("me", "voice_now").state == "running"
    again.close()


def test_a_session_that_is_held_is_renewed(store: VoiceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LEASE_SECONDS", 0.0)
    store.sessions.begin(clone_session("voice_now"))
    assert store.sessions.get("me", "voice_now").state == "interrupted"
    monkeypatch.setattr(sessions, "LEASE_SECONDS", 60.0)
    monkeypatch.setattr(sessions, "RENEWAL_SECONDS", 0.01)
    with store.sessions.held("voice_now"):
        deadline = time.monotonic() + 60
        while store.sessions.get("me", "voice_now").state != "running" and time.monotonic() < deadline:
            time.sleep(0.01)
    assert store.sessions.get("me", "voice_now").state == "running"


def test_a_database_of_a_newer_server_is_refused_and_left_as_it_is(
    store: VoiceStore, database_url: str
) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StartError, match="version 9999, made by a newer server"):
        VoiceStore(database_url)
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    engine.dispose()


def test_what_is_deleted_while_it_is_changed_is_not_found(store: VoiceStore, database_url: str) -> None:
    """Kind: a row is read, and is gone when it is written."""
    another = VoiceStore(database_url)
    voices, agreed, job_id = [profile("Anna"), profile("Bert"), profile("Cleo")], consent(), queued(store)
    for voice in voices:
        store.keep(voice)
    renamed, recoded, resampled = (voice.id for voice in voices)
    store.samples.add("me", more := sample(resampled))
    store.consents.add(agreed)
    store.sessions.begin(clone_session("voice_begun"))
    store.sessions.begin(clone_session("voice_ended"))
    ended = profile("Dora", id="voice_ended")
    cases: list[tuple[Callable[[], object], Callable[[], object], type[Exception] | None]] = [
        (
            partial(store.delete, "me", renamed),
            partial(another.profiles.change, "me", renamed, name="A"),
            NotFound,
        ),
        (
            partial(store.delete, "me", recoded),
            partial(another.profiles.set_codes, "me", recoded, CODES, "two"),
            NotFound,
        ),
        (
            partial(store.delete, "me", resampled),
            partial(another.samples.set_codes, more, CODES, "two"),
            None,
        ),
        (
            partial(store.delete, "me", "voice_begun"),
            partial(another.sessions.progress, "voice_begun", []),
            None,
        ),
        (partial(store.delete, "me", "voice_ended"), partial(another.keep, ended, []), Cancelled),
        (
            partial(store.consents.delete, "me", agreed.id),
            partial(another.consents.rename, "me", agreed.id, "B"),
            NotFound,
        ),
        (partial(store.jobs.delete, "me", job_id), partial(another.jobs.resume, "me", job_id), NotFound),
    ]
    for delete, change, raised in cases:
        deleted, changed = interleaved(store, delete, change)
        deleted.result()
        assert type(changed.exception()) is (raised or type(None)), change
    another.close()


def test_no_more_are_kept_than_may_be_by_requests_at_once(database_url: str) -> None:
    """Kind: each of two transactions counts without what the other adds."""
    store, another = (VoiceStore(database_url, max_voices=1, max_jobs=1) for _ in range(2))
    cases: list[tuple[Callable[[VoiceStore], object], str]] = [
        (lambda store: store.keep(profile(f"Voice {next(NUMBERS)}")), "voices_full"),
        (lambda store: store.consents.add(consent()), "voices_full"),
        (queued, "jobs_full"),
    ]
    for add, code in cases:
        added, refused = interleaved(store, partial(add, store), partial(add, another))
        added.result()
        with pytest.raises(InvalidRequest) as full:
            refused.result()
        assert full.value.code == code
    queued(another, owner="you")
    store.close()
    another.close()


def test_a_voice_that_is_kept_as_it_is_deleted_is_gone(store: VoiceStore, database_url: str) -> None:
    another, kept = VoiceStore(database_url), profile("Anna")
    store.sessions.begin(clone_session(kept.id))
    for one in interleaved(store, partial(store.keep, kept, []), partial(another.delete, "me", kept.id)):
        one.result()
    with pytest.raises(NotFound):
        store.profiles.get("me", kept.id)
    another.close()
