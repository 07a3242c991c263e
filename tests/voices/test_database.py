"""What is read of the database, and what is given back to it where something fails."""

from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine, delete, event, text

from errors import NotFound, StartError, StoreUnavailable
from tests.voices.servers import DatabaseServer
from tests.voices.test_store import CODES, consent, profile
from voices.store import database
from voices.store.database import LOCKS, MYSQL_LOCK, Database, _alone
from voices.store.tables import VoiceConsent
from voices.store.voice_store import VoiceStore


def test_codes_are_read_without_the_recording(store: VoiceStore) -> None:
    """A kind of waste: a megabyte is fetched for each request that needs a few kilobytes of it."""
    kept = profile("Codes alone")
    store.keep(kept)
    statements: list[str] = []
    engine = store._database._engine
    event.listen(engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    codes, codec = store.profiles.codes("me", kept.id)
    np.testing.assert_array_equal(codes, CODES)
    assert codec == "one" and not any("flac" in statement for statement in statements)
    with pytest.raises(NotFound):
        store.profiles.codes("you", kept.id)


class LockedConnection:
    """What the lock of migrations uses of a connection; it notes what it is asked."""

    class dialect:
        name = "postgresql"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def execute(self, statement: Any) -> None:
        self.asked.append(str(statement))

    def scalar(self, statement: Any) -> int:
        self.execute(statement)
        return 1

    def commit(self) -> None:
        self.asked.append("commit")

    def rollback(self) -> None:
        self.asked.append("rollback")


def test_a_migration_that_fails_leaves_its_lock() -> None:
    """A kind of fault: what is taken is given back only where all goes well."""
    connection: Any = LockedConnection()
    with pytest.raises(ZeroDivisionError), _alone(connection):
        raise ZeroDivisionError
    take, leave = LOCKS["postgresql"]
    assert connection.asked == [take, "commit", "rollback", leave, "commit"]


def test_nobody_migrates_while_another_server_does(
    mariadb_server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: a lock is asked for, and the answer isn't read. PostgreSQL waits as long as it takes."""
    take, leave = MYSQL_LOCK
    monkeypatch.setitem(database.LOCKS, "mariadb", (take.replace("50", "0"), leave))
    engine = create_engine(mariadb_server.url)
    with engine.connect() as another:
        assert another.scalar(text(take)) == 1
        with pytest.raises(StartError, match="migrating"):
            Database(mariadb_server.url)
        another.execute(text(leave))
        assert another.scalar(text("SHOW TABLES")) is None
    engine.dispose()


READ_ONLY = {
    "sqlite": ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
    "postgresql": ("SET default_transaction_read_only = on", "SELECT 1"),
    "mariadb": ("SET SESSION TRANSACTION READ ONLY", "SELECT 1"),
}


def test_a_database_that_can_only_be_read_is_unavailable_until_it_can_be_written(store: VoiceStore) -> None:
    """As a server of PostgreSQL or MariaDB is that another one has replaced: it is left at once."""
    engine = store._database._engine
    only_read, written = READ_ONLY[engine.dialect.name]
    asked = only_read

    def prepare(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(asked)
        connection.commit()

    event.listen(engine, "connect", prepare)
    engine.dispose()
    for add in (lambda: store.consents.add(consent()), lambda: store.keep(profile())):
        with pytest.raises(StoreUnavailable):
            add()
    asked = written
    if engine.dialect.name == "sqlite":  # the same file, which can be written again
        engine.dispose()
    store.consents.add(consent())


def test_what_a_transaction_finds_deleted_is_not_found(store: VoiceStore) -> None:
    kept = consent()
    store.consents.add(kept)
    with pytest.raises(NotFound), store._database.writing() as session:
        found = session.get_one(VoiceConsent, kept.id)
        session.execute(delete(VoiceConsent), execution_options={"synchronize_session": False})
        found.name = "Another"
