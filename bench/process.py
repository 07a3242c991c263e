"""A server in its own process, with measurements of its memory and CPU time."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
START_SECONDS = 300
MIB = 2**20


@dataclass(frozen=True)
class Running:
    """A server that is ready: its URL and its process."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def resident_mib(self) -> float:
        """Return the process's current memory (RSS)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Peak:
    """The largest RSS in MiB since creation or `reset`, sampled every 5 ms until `stop`."""

    def __init__(self, server: Running) -> None:
        self.mib = 0.0
        self._server, self._stopped = server, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def reset(self) -> None:
        self.mib = self._server.resident_mib()

    def stop(self) -> float:
        self._stopped.set()
        self._thread.join()
        return self.mib

    def _watch(self) -> None:
        while not self._stopped.wait(0.005):
            self.mib = max(self.mib, self._server.resident_mib())


@contextmanager
def running(root: Path = ROOT, **settings: str | int) -> Iterator[Running]:
    """Run `python app.py` of a checkout on a free port; `slots=2` sets HIGGS_SLOTS."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HIGGS_")}
        environment |= {"HIGGS_PORT": str(port), "HIGGS_DATA_DIR": data, "HIGGS_LOG_LEVEL": "error"}
        environment |= {f"HIGGS_{name.upper()}": str(value) for name, value in settings.items()}
        process = subprocess.Popen([sys.executable, "app.py"], env=environment, cwd=root)
        server = Running(f"http://127.0.0.1:{port}", process)
        try:
            _wait_until_ready(server)
            yield server
        finally:
            process.kill()
            process.wait()


def _wait_until_ready(server: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if httpx.get(f"{server.url}/health").status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.2)
    raise RuntimeError("the server did not start")
