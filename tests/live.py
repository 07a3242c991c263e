"""A real server in a process of its own: `python app.py` on a free port, for tests and measurements."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from setting_names import variable
from tests.compiling import compiling
from tests.forked import ForkedProcess
from tests.plain_http import RefusedError, ask

ROOT = Path(__file__).resolve().parent.parent
BUNDLED_MODEL = ROOT / "models" / "higgs-small"
START_SECONDS = 300


@dataclass(frozen=True)
class LiveServer:
    """Where the server listens and, where this machine runs it, its process."""

    url: str
    pid: int | None = None

    def resident_bytes(self) -> int | None:
        """Memory the process holds now (RSS); None for a server of someone else's."""
        if self.pid is None:
            return None
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serve(model: Path, **settings: str) -> Iterator[LiveServer]:
    """Run app.py on this model folder for a while; `queue_limit="1"` sets HIGGS_QUEUE_LIMIT.

    The process is forked from one that has imported the server; `any_server` runs `python app.py`.
    """
    with ExitStack() as stack:
        with compiling(str(model)):
            server = stack.enter_context(_served(model, settings))
        yield server


@contextmanager
def _served(model: Path, settings: Mapping[str, str], fresh: bool = False) -> Iterator[LiveServer]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        log, script = Path(folder, "log"), ROOT / "app.py"
        own = {"model": model, "port": port, "device": "cpu", "data_dir": f"{folder}/data"}
        environment = environment_of(own | dict(settings))
        process: subprocess.Popen[bytes] | ForkedProcess
        if fresh:
            with log.open("w") as output:
                command = [sys.executable, str(script)]
                process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        else:
            process = ForkedProcess(script, [], environment, ROOT, log)
        try:
            server = LiveServer(f"http://127.0.0.1:{port}", process.pid)
            if not _ready(server.url, process):
                raise RuntimeError(f"the server did not start:\n{log.read_text()}")
            yield server
        finally:
            process.terminate()
            process.wait(timeout=30)


def environment_of(settings: Mapping[str, object]) -> dict[str, str]:
    """The environment of a process with these settings and no others: queue_limit sets HIGGS_QUEUE_LIMIT."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("HIGGS_")}
    return others | {variable(name): str(value) for name, value in settings.items()}


@contextmanager
def any_server(url: str | None) -> Iterator[LiveServer]:
    """The server at this address, or one of our own with the bundled model."""
    if url:
        yield LiveServer(url.rstrip("/"))
    else:
        with _served(BUNDLED_MODEL, {}, fresh=True) as server:
            yield server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(url: str, process: subprocess.Popen[bytes] | ForkedProcess) -> bool:
    """Wait for 200 from /health; False when the process has ended or time is up."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError, RefusedError):  # not listening yet, or loading
            ask(f"{url}/health", "", timeout=5)
            return True
        time.sleep(0.1)
    return False
