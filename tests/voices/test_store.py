"""The store, alike on every database: what goes in comes out, owners are apart, names are taken once."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from errors import Cancelled, Conflict, InvalidRequest, NotFound, StartError, VoiceServerError
from voices.store.profiles import packed
from voices.store.tables import Base, VoiceCloneSession, VoiceConsent, VoiceProfile
from voices.store.voice_store import VoiceStore

CODES = np.random.default_rng(0).integers(0, 1024, (8, 75))
NUMBERS = itertools.count(1)


def profile(name: str = "Anna", owner: str = "me", **fields: Any) -> VoiceProfile:
    number = next(NUMBERS)
    values: dict[str, Any] = {
        "id": f"voice_{number}",
        "owner": owner,
        "user_id": "",
        "name": name,
        "created_at": 1e9 + number,
        "source_seconds": 9.0,
        "start_seconds": 1.5,
        "end_seconds": 4.5,
        "findings": [{"name": "hum", "message": "There is a hum of 50 Hz."}],
        "codec": "one",
        "flac": b"fLaC" + bytes(range(256)) * 4096,
        "codes": packed(CODES),
    }
    return VoiceProfile(**values | fields)


def clone_session(voice_id: str, owner: str = "me", **fields: Any) -> VoiceCloneSession:
    values: dict[str, Any] = {
        "voice_id": voice_id,
        "owner": owner,
        "user_id": "",
        "voice_name": "Anna",
        "file_name": "anna.mp4",
        "upload_bytes": 50 * 2**20,
        "created_at": time.time(),
        "state": "running",
        "steps": [],
    }
    return VoiceCloneSession(**values | fields)


def consent(owner: str = "me") -> VoiceConsent:
    number = next(NUMBERS)
    return VoiceConsent(
        id=f"cons_{number}", owner=owner, created_at=float(number), name="Anna", language="en", flac=b"fLaC"
    )


def test_a_voice_comes_back_as_it_went_in(store: VoiceStore) -> None:
    kept = profile("Ünïcode 🎙 voice", transcript="Zwölf Boxkämpfer. " * 500)
    store.keep(kept)
    found = store.profiles.get("me", kept.id)
    assert (found.name, found.transcript, found.findings) == (kept.name, kept.transcript, kept.findings)
    assert (found.created_at, found.source_seconds) == (kept.created_at, 9.0)
    sample = store.profiles.sample("me", kept.id)
    assert sample.flac == kept.flac and sample.codec == "one"
    np.testing.assert_array_equal(sample.codes, CODES)


def test_a_voice_survives_the_store(store: VoiceStore, database_url: str) -> None:
    store.keep(profile("Anna"))
    store.close()
    again = VoiceStore(database_url)
    assert again.profiles.find("me", "Anna") is not None
    again.close()


def test_a_voice_is_found_by_id_and_by_name(store: VoiceStore) -> None:
    anna, lower = profile("Anna"), profile("anna")
    store.keep(anna)
    store.keep(lower)
    for name, expected in ((anna.id, anna), ("Anna", anna), ("anna", lower)):
        found = store.profiles.find("me", name)
        assert found is not None and found.id == expected.id
    assert store.profiles.find("me", "Änna") is None


def test_two_users_of_one_owner_may_use_one_name(store: VoiceStore) -> None:
    for user in ("ann", "bob"):
        store.keep(profile("My voice", user_id=user))
    assert store.profiles.taken("me", "ann", "My voice")
    assert not store.profiles.taken("me", "eve", "My voice")
    with pytest.raises(InvalidRequest) as caught:
        store.profiles.find("me", "My voice")
    assert caught.value.code == "voice_ambiguous"


def test_an_alias_belongs_to_one_voice_of_an_owner(store: VoiceStore) -> None:
    anna, bert, yours = profile("Anna"), profile("Bert"), profile("Anna", "you")
    for kept in (anna, bert, yours):
        store.keep(kept)
        store.profiles.change(kept.owner, kept.id, aliases={"alloy", "nova"})
    assert store.profiles.aliases("me") == {"alloy": bert.id, "nova": bert.id}
    changed = store.profiles.change("me", anna.id, name="Ann", aliases={"nova"})
    assert (changed.name, [alias.name for alias in changed.aliases]) == ("Ann", ["nova"])
    found = store.profiles.aliased("you", "nova")
    assert found is not None and found.id == yours.id
    store.delete("me", bert.id)
    assert store.profiles.aliases("me") == {"nova": anna.id}
    assert store.profiles.aliased("me", "alloy") is None


def test_owners_do_not_see_each_other(store: VoiceStore) -> None:
    mine, yours = profile("Anna", "me"), profile("Anna", "you")
    for kept in (mine, yours):
        store.sessions.begin(clone_session(kept.id, kept.owner))
        store.keep(kept)
    assert [row.id for row in store.profiles.page("me", after=None, limit=9).rows] == [mine.id]
    assert store.profiles.find("me", yours.id) is None
    seen: list[Any] = [
        lambda: store.profiles.get("me", yours.id),
        lambda: store.profiles.sample("me", yours.id),
        lambda: store.profiles.change("me", yours.id, name="Mine now"),
        lambda: store.profiles.page("me", after=yours.id, limit=9),
        lambda: store.sessions.get("me", yours.id),
        lambda: store.delete("me", yours.id),
    ]
    for look in seen:
        with pytest.raises(NotFound):
            look()
    assert store.profiles.get("you", yours.id).name == "Anna"


def test_a_taken_name_is_a_conflict_and_changes_nothing(store: VoiceStore) -> None:
    anna, bert = profile("Anna"), profile("Bert")
    store.keep(anna)
    store.keep(bert)
    with pytest.raises(Conflict):
        store.keep(profile("Anna"))
    with pytest.raises(Conflict):
        store.profiles.change("me", bert.id, name="Anna", transcript="Lost.")
    assert store.profiles.get("me", bert.id).transcript is None
    assert store.profiles.change("me", bert.id, name="Bertha").name == "Bertha"
    assert {row.name for row in store.profiles.page("me", after=None, limit=9).rows} == {"Anna", "Bertha"}


def test_a_delivery_is_kept_and_changed_alone(store: VoiceStore) -> None:
    kept = profile("Anna", speed=1.25, instructions="Wärmer. 🎙")
    store.keep(kept)
    changed = store.profiles.change("me", kept.id, delivery={"pitch": -2.5, "speed": None})
    assert (changed.speed, changed.pitch, changed.volume) == (None, -2.5, None)
    found = store.profiles.get("me", kept.id)
    assert (found.name, found.pitch, found.instructions) == ("Anna", -2.5, "Wärmer. 🎙")


def test_of_many_who_take_a_name_at_once_one_gets_it(store: VoiceStore) -> None:
    def take(kept: VoiceProfile) -> str:
        try:
            store.keep(kept)
        except Conflict:
            return "conflict"
        return "kept"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(take, [profile("Anna") for _ in range(8)]))
    assert sorted(outcomes) == ["conflict"] * 7 + ["kept"]


def test_pages_follow_each_other_newest_first(store: VoiceStore) -> None:
    kept = [profile(f"Voice {number}", created_at=float(number // 2)) for number in range(7)]
    for one in kept:
        store.keep(one)
    expected = [one.id for one in sorted(kept, key=lambda one: (one.created_at, one.id), reverse=True)]
    seen: list[str] = []
    more, after = True, None
    while more:
        page = store.profiles.page("me", after=after, limit=3)
        seen += [row.id for row in page.rows]
        more, after = page.has_more, seen[-1]
    assert seen == expected


def test_transcript_and_codes_can_be_replaced(store: VoiceStore) -> None:
    kept = profile()
    store.keep(kept)
    store.profiles.change("me", kept.id, transcript="Other words.")
    store.profiles.set_codes("me", kept.id, CODES[:, :10], "two")
    assert store.profiles.get("me", kept.id).transcript == "Other words."
    sample = store.profiles.sample("me", kept.id)
    assert sample.codec == "two" and sample.codes.shape == (8, 10)


def test_a_text_that_no_database_takes_is_refused(store: VoiceStore) -> None:
    for name in ("lone \ud800 surrogate", "n\x00l"):
        try:
            assert store.profiles.find("me", name) is None
        except InvalidRequest as error:
            assert error.code == "invalid_value"


def test_deleting_leaves_nothing_and_happens_once(store: VoiceStore) -> None:
    kept = profile()
    store.sessions.begin(clone_session(kept.id))
    store.keep(kept)
    store.delete("me", kept.id)
    for look in (store.profiles.get, store.sessions.get, store.delete):
        with pytest.raises(NotFound):
            look("me", kept.id)


def test_a_voice_deleted_while_it_is_made_does_not_come_back(store: VoiceStore) -> None:
    kept = profile()
    store.sessions.begin(clone_session(kept.id))
    store.delete("me", kept.id)
    store.sessions.progress(kept.id, [])
    with pytest.raises(Cancelled):
        store.keep(kept, [])
    with pytest.raises(NotFound):
        store.profiles.get("me", kept.id)


def test_a_session_tells_its_steps_and_its_end(store: VoiceStore) -> None:
    kept, steps = profile(), [{"name": "read", "state": "running", "started_at": 1.5, "seconds": None}]
    store.sessions.begin(clone_session(kept.id))
    store.sessions.progress(kept.id, steps)
    assert store.sessions.get("me", kept.id).steps == steps
    store.keep(kept, steps)
    found = store.sessions.get("me", kept.id)
    assert found.state == "completed" and found.finished_at is not None
    store.sessions.begin(clone_session("voice_bad"))
    store.sessions.end("voice_bad", "failed", steps, VoiceServerError("Too short.", code="audio_too_short"))
    found = store.sessions.get("me", "voice_bad")
    assert (found.state, found.error_code, found.error_message) == ("failed", "audio_too_short", "Too short.")


def test_a_consent_may_go_and_the_voice_stays(store: VoiceStore) -> None:
    agreed, other = consent(), consent("you")
    store.consents.add(agreed)
    store.consents.add(other)
    assert [row.id for row in store.consents.page("me", after=None, limit=9).rows] == [agreed.id]
    kept = profile(consent_id=agreed.id)
    store.keep(kept)
    assert store.consents.rename("me", agreed.id, "Bert").name == "Bert"
    with pytest.raises(NotFound):
        store.consents.delete("me", other.id)
    store.consents.delete("me", agreed.id)
    assert store.profiles.get("me", kept.id).consent_id is None
    with pytest.raises(NotFound):
        store.keep(profile("Bert", consent_id=agreed.id))


def test_the_migrations_make_the_tables(store: VoiceStore, database_url: str) -> None:
    engine = create_engine(database_url)
    # MariaDB calls a blob of 16 MiB MEDIUMBLOB, which is not known to be the same.
    options = {"compare_type": engine.dialect.name != "mariadb"}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_servers_that_start_at_once_migrate_once(database_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        stores = list(pool.map(VoiceStore, [database_url] * 3))
    for one in stores:
        one.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("oracle://here/voices", "choose one of sqlite"),
        ("no url", "not a database URL"),
        ("sqlite:////no/such/folder/voices.db", "unable to open database file"),
        ("postgresql://me:secret@127.0.0.1:1/voices", "HIGGS_DATABASE_URL"),
        ("mysql://me:secret@127.0.0.1:1/voices", "HIGGS_DATABASE_URL"),
    ],
)
def test_a_database_that_can_not_be_had_stops_the_start(url: str, why: str) -> None:
    with pytest.raises(StartError, match=why) as caught:
        VoiceStore(url)
    assert "secret" not in caught.value.message
