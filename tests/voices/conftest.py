"""Stores on each kind of database: SQLite everywhere, the servers where their packages are installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.voices.servers import SERVERS, DatabaseServer, program
from voices.store.tables import Base
from voices.store.voice_store import VoiceStore


def _server(kind: str, folder: Path) -> Iterator[DatabaseServer]:
    binary, start = SERVERS[kind]
    if program(binary) is None:
        pytest.skip(f"{binary} is not installed; .ci/run installs it")
    with start(folder) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    yield from _server("postgresql", tmp_path_factory.mktemp("postgresql"))


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    yield from _server("mariadb", tmp_path_factory.mktemp("mariadb"))


@pytest.fixture(params=["sqlite", *SERVERS])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'voices.db'}"
        return
    server = request.getfixturevalue(f"{request.param}_server")
    yield server.url
    engine = create_engine(server.url)
    with engine.begin() as connection:
        Base.metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    engine.dispose()


@pytest.fixture
def store(database_url: str) -> Iterator[VoiceStore]:
    store = VoiceStore(database_url)
    yield store
    store.close()
