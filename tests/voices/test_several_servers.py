"""Several servers on one database: a session is its own server's, and a newer server's tables are let be."""

import time

import pytest
from sqlalchemy import create_engine, text

from errors import NotFound, StartError
from tests.voices.test_store import clone_session
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
