"""The database (SQLite, PostgreSQL, MySQL or MariaDB): connection, transactions and migrations."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from errors import InvalidRequest, NotFound, StartError, StoreUnavailable
from voices.store.open_file import OpenFile
from voices.store.reserve import Reserve

log = logging.getLogger(__name__)

Result = TypeVar("Result")
FULL = "disk is full"  # SQLite's own words
# What a server that is not the primary any more says: PostgreSQL, and MySQL or MariaDB.
READ_ONLY_STATE, READ_ONLY_NUMBERS = "25006", (1290, 1792, 1836)

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
MYSQL_TIMEOUTS = {"connect_timeout": 5, "read_timeout": 60, "write_timeout": 60}
CONNECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": 30},
    "postgresql": {"connect_timeout": 5},
    "mysql": MYSQL_TIMEOUTS,
    "mariadb": MYSQL_TIMEOUTS,
}
# Servers that start at the same time migrate one after the other; the first statement gives 1 where they may.
# SQLite's write lock already ensures that. MySQL waits for less than its read_timeout, so that it can answer.
MYSQL_LOCK = ("SELECT GET_LOCK('voices migration', 50)", "SELECT RELEASE_LOCK('voices migration')")
LOCKS = {
    "postgresql": ("SELECT 1 FROM pg_advisory_lock(7230001)", "SELECT pg_advisory_unlock(7230001)"),
    "mysql": MYSQL_LOCK,
    "mariadb": MYSQL_LOCK,
}
# Transactions that add for one owner follow each other. MySQL's locks of a name don't end with a transaction:
# there, those of all owners take turns at the only row of this table. SQLite's write lock ensures it, too.
MYSQL_TURN = "SELECT version_num FROM alembic_version FOR UPDATE"
TURNS = {
    "postgresql": "SELECT pg_advisory_xact_lock(7230002, hashtext(:owner))",
    "mysql": MYSQL_TURN,
    "mariadb": MYSQL_TURN,
}


class Database:
    """A database at the latest migration.

    Every transaction raises StoreUnavailable if the database is unavailable, full or read-only,
    InvalidRequest for text that it can't store, and NotFound if what it changes is deleted meanwhile.

    opened_alone: it is a file, SQLite's, which no other server had open when this one opened it.
    """

    def __init__(self, url: str) -> None:
        """Connect and migrate.

        Args:
            url: an SQLAlchemy URL; see DRIVERS.

        Raises:
            StartError: the URL is unsupported, or the database can't be opened, or another server
                is still migrating it, or a newer one has.
        """
        engine = _engine(_parsed(url))
        self._reading = sessionmaker(engine, expire_on_commit=False)
        self._writing = sessionmaker(engine.execution_options(writes=True), expire_on_commit=False)
        self._engine = engine
        file = engine.url.database if engine.url.get_backend_name() == "sqlite" else None
        self._reserve = Reserve(Path(file)) if file else None
        self._open_file = OpenFile(Path(file)) if file else None
        try:
            with self._open_file.opening() if self._open_file else nullcontext(False) as self.opened_alone:
                _open(engine)
        except (SQLAlchemyError, OSError) as error:
            shown, why = engine.url.render_as_string(hide_password=True), _cause(error)
            remedy = "Check HIGGS_DATABASE_URL and HIGGS_DATA_DIR, and that the database is running."
            raise StartError(f"Can't open the voice database {shown}: {why}. {remedy}") from error
        if self._reserve is not None:
            self._reserve.hold()

    def reading(self) -> AbstractContextManager[Session]:
        """Return a read-only transaction."""
        return _transaction(self._reading)

    def writing(self) -> AbstractContextManager[Session]:
        """Return a transaction, committed at the end of its block and rolled back on an exception."""
        return _transaction(self._writing)

    @contextmanager
    def adding(self, owner: str) -> Iterator[Session]:
        """As `writing`; nobody else adds for this owner meanwhile, so that what the block counts stays so."""
        turn = TURNS.get(self._engine.dialect.name)
        with self.writing() as session:
            if turn is not None:
                session.execute(text(turn), {"owner": owner})
            yield session

    def deleting(self, delete: Callable[[Session], Result]) -> Result:
        """Run a transaction that deletes rows, and return its result; it may use reserved disk space."""
        try:
            with self.writing() as session:
                return delete(session)
        except StoreUnavailable as error:
            full = FULL in str(error.__cause__)
            if not full or self._reserve is None or not self._reserve.give_up():
                raise
        try:
            with self.writing() as session:
                return delete(session)
        finally:
            self._reserve.hold()

    def close(self) -> None:
        self._engine.dispose()
        if self._open_file is not None:
            self._open_file.close()


@contextmanager
def _transaction(sessions: sessionmaker[Session]) -> Iterator[Session]:
    try:
        with sessions.begin() as session:
            yield session
    except (OperationalError, InterfaceError, InternalError, PoolTimeout) as error:
        log.warning("the voice database is unavailable: %s", _cause(error))
        message = "The voice database is unavailable, and nothing was changed; try again in a moment."
        raise StoreUnavailable(message) from error
    except (DataError, UnicodeEncodeError) as error:
        message = "The request has a name or text that can't be stored, such as one with control characters."
        raise InvalidRequest(message, code="invalid_value") from error
    except StaleDataError as error:
        raise NotFound("What the request changes was deleted meanwhile.") from error


def _open(engine: Engine) -> None:
    with engine.connect().execution_options(writes=True) as connection, _alone(connection):
        _migrate(connection)


def _migrate(connection: Connection) -> None:
    """Migrate to the latest version, in one transaction if the database supports it.

    Raises:
        StartError: the database is at a version that this server doesn't know.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with connection.begin():
        newer = set(MigrationContext.configure(connection).get_current_heads()) - known
        if newer:
            version, latest = ", ".join(sorted(newer)), max(known)
            raise StartError(
                f"The voice store is at version {version}, made by a newer server; this one knows {latest} at"
                " most. Start the newer server, or name another database in HIGGS_DATABASE_URL."
            )
        command.upgrade(config, "head")


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Hold the migration lock, outside any transaction. Raises StartError if another server keeps it."""
    take, leave = LOCKS.get(connection.dialect.name, (None, None))
    if take is None or leave is None:
        yield
        return
    if connection.scalar(text(take)) != 1:
        message = (
            "Another server has been migrating the voice database for a while; start again when it is done."
        )
        raise StartError(message)
    connection.commit()
    try:
        yield
    finally:
        # A failure may leave a transaction open. The lock must be released explicitly: the pool keeps the
        # connection, and another server would wait for it.
        connection.rollback()
        connection.execute(text(leave))
        connection.commit()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StartError(f"HIGGS_DATABASE_URL is not a database URL: {error}.") from error
    kind = parsed.get_backend_name()
    if kind not in DRIVERS:
        raise StartError(f"HIGGS_DATABASE_URL names {kind!r}; choose one of {', '.join(DRIVERS)}.")
    return parsed.set(drivername=DRIVERS[kind])


def _engine(url: URL) -> Engine:
    kind = url.get_backend_name()
    engine = create_engine(url, pool_pre_ping=True, pool_recycle=1800, connect_args=CONNECT_ARGUMENTS[kind])
    if kind == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _leave_read_only)
    return engine


def _leave_read_only(context: ExceptionContext) -> None:
    """Connect anew after a failover, since the server of before goes on without writing."""
    error = context.original_exception
    number = error.args[0] if error.args else None
    if getattr(error, "sqlstate", None) == READ_ONLY_STATE or number in READ_ONLY_NUMBERS:
        context.is_disconnect = True


def _prepare_sqlite(connection: Any, record: object) -> None:
    # By default the driver begins transactions itself, and none before a CREATE TABLE.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that starts with a read can't write after another one has written.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _cause(error: BaseException) -> str:
    """Return the driver's message on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
