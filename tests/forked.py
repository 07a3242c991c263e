"""Run the project's scripts in processes forked from one that has imported them already: tests.fork_server.

`python app.py` imports for three seconds, and the tests start it some forty times.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Client, Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 120
ADDRESS = "TESTS_FORK_SERVER"  # the variable that tells pytest's workers of the one they share


def fork_server() -> str:
    """The address of the one that pytest's workers share, or else of one that ends with this process."""
    if ADDRESS not in os.environ:
        os.environ[ADDRESS] = f"{tempfile.mkdtemp(prefix='fork-server-')}/socket"
        _started(os.environ[ADDRESS])
    return os.environ[ADDRESS]


@cache
def _started(address: str) -> "subprocess.Popen[bytes]":
    """A fork server; it ends when the pipe of its input is closed, so it is kept."""
    command = [sys.executable, "-m", "tests.fork_server", address]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)


class ForkedProcess:
    """A script, or a function of an importable module, that runs in a process of its own.

    It has the methods of `subprocess.Popen` that the tests need.
    """

    def __init__(
        self,
        script: Path | Callable[[], object],
        arguments: list[str],
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        errors: Path | None = None,
    ) -> None:
        """Start it, as `python SCRIPT ARGUMENTS` would.

        Args:
            script: what is run.
            arguments: of the command line.
            environment: the environment variables.
            folder: its working directory.
            log: the file of its output.
            errors: the file of its errors; None for the same.
        """
        self._connection = _connected(fork_server())
        self._connection.send((script, arguments, dict(environment), folder, log, errors or log))
        self.pid: int = self._connection.recv()
        self._code: int | None = None

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float) -> int:
        code = self._ended(timeout)
        if code is None:
            raise TimeoutError(f"process {self.pid} runs on after {timeout} s")
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float) -> int | None:
        if self._code is None and self._connection.poll(timeout):
            self._code = self._connection.recv()
            self._connection.close()
        return self._code


def run(
    script: Path | Callable[[], object], *arguments: str, environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, as `subprocess.run` would."""
    with tempfile.TemporaryDirectory() as kept:
        log, errors = Path(kept, "log"), Path(kept, "errors")
        process = ForkedProcess(script, list(arguments), environment, folder, log, errors)
        try:
            code = process.wait(SECONDS)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, code, log.read_text(), errors.read_text())


def _connected(address: str) -> Connection:
    """A connection to the fork server, which may still be starting."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return Client(address)
        time.sleep(0.02)
    raise TimeoutError(f"no fork server listens at {address} after {SECONDS} s")
