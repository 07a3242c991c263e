"""Real database servers of one's own, from Debian's packages: started in a folder, gone with it."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

START_SECONDS = 120


class DatabaseServer:
    """A server that can be stopped and started again; `url` names an empty database on it."""

    def __init__(self, url: str, command: list[str], user: str | None, stop: int = signal.SIGTERM) -> None:
        self.url = url
        self._stop = stop
        self._command, self._user = command, user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            self._process = subprocess.Popen(self._command, user=self._user, stdout=log, stderr=log)
            deadline = time.monotonic() + START_SECONDS
            while not self._answers():
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"the database server did not start:\n{log.read()}")
                time.sleep(0.1)

    def _answers(self) -> bool:
        engine = create_engine(self.url)
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError:
            return False
        finally:
            engine.dispose()
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(self._stop)
            self._process.wait(timeout=60)
            self._process = None


def lasting_port() -> int:
    """A free port below those of outgoing connections, so that a server that comes back finds it free."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def program(name: str) -> str | None:
    """Where a program is; Debian keeps servers out of the PATH of users."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(kept[-1]) if kept else shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


def _unprivileged(folder: Path, user: str) -> str | None:
    """Give the folder to this user if we are root, whom the servers refuse."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, user)
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    return user


@contextmanager
def _running(server: DatabaseServer) -> Iterator[DatabaseServer]:
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def postgresql(folder: Path) -> Iterator[DatabaseServer]:
    user, port = _unprivileged(folder, "postgres"), lasting_port()
    initdb, postgres = program("initdb"), program("postgres")
    assert initdb and postgres
    data = folder / "data"
    make = [initdb, "-D", str(data), "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(make, user=user, check=True, capture_output=True, cwd=folder)
    command = [postgres, "-D", str(data), "-p", str(port), "-k", str(folder), "-c", "fsync=off"]
    url = f"postgresql+psycopg://tests@127.0.0.1:{port}/postgres"
    # SIGTERM would wait for the clients to go; SIGINT sends them away.
    server = DatabaseServer(url, command, user, signal.SIGINT)
    with _running(server):
        server.start()
        yield server


@contextmanager
def mariadb(folder: Path) -> Iterator[DatabaseServer]:
    user, port = _unprivileged(folder, "mysql"), lasting_port()
    install, mariadbd = program("mariadb-install-db"), program("mariadbd")
    assert install and mariadbd
    data = folder / "data"
    options = ["--no-defaults", f"--datadir={data}"]
    make = [install, *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(make, user=user, check=True, capture_output=True, cwd=folder)
    by_socket = f"--socket={folder}/mariadb.sock"
    command = [mariadbd, *options, f"--port={port}", "--bind-address=127.0.0.1", by_socket]
    url = f"mariadb+pymysql://root@127.0.0.1:{port}/mysql"
    server = DatabaseServer(url, command, user)
    with _running(server):
        server.start()
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("CREATE DATABASE voices"))
        engine.dispose()
        server.url = f"mariadb+pymysql://root@127.0.0.1:{port}/voices"
        yield server


SERVERS: dict[str, tuple[str, Callable[[Path], AbstractContextManager[DatabaseServer]]]] = {
    "postgresql": ("postgres", postgresql),
    "mariadb": ("mariadbd", mariadb),
}


@contextmanager
def redis(folder: Path) -> Iterator["RedisServer"]:
    """An empty Redis that keeps nothing on the disk."""
    binary, port = program("redis-server"), lasting_port()
    assert binary
    server = RedisServer(binary, port, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class RedisServer:
    """A Redis that can be stopped and started again; what it held is gone then."""

    def __init__(self, binary: str, port: int, folder: Path) -> None:
        self.url = f"redis://127.0.0.1:{port}"
        self._command = [binary, "--port", str(port), "--dir", str(folder), "--save", ""]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        client = Redis.from_url(self.url, retry=Retry(ConstantBackoff(0.05), 200))
        client.ping()
        client.close()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None
