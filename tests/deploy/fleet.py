"""Two replicas on a Ray of one's own, with a PostgreSQL and a Redis: started for tests, gone with them."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.api.test_metrics import figures
from tests.live import ROOT, environment_of
from tests.voices.servers import lasting_port, postgresql, redis

START_SECONDS = 900
REPLICA = b"ray::ServeReplica:"


@dataclass(frozen=True)
class Fleet:
    """Where the replicas are asked, where each tells its metrics, and the process that started them."""

    url: str
    metrics_ports: tuple[int, int]
    process: subprocess.Popen[bytes]

    def replicas(self) -> list[int]:
        """The ids of the replicas' processes."""
        return [
            pid
            for path in Path("/proc").glob("[0-9]*")
            if (pid := int(path.name)) and command_of(pid).startswith(REPLICA) and self._started(pid)
        ]

    def _started(self, pid: int) -> bool:
        """Whether it descends from this fleet's process."""
        while pid > 1:
            if pid == self.process.pid:
                return True
            pid = parent_of(pid)
        return False

    def figures(self) -> list[dict[str, float]]:
        """The metrics of each replica that answers."""
        found = []
        for port in self.metrics_ports:
            with suppress(httpx.TransportError):
                found.append(figures(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text))
        return found

    def whole(self) -> bool:
        """Whether both replicas are there and warm."""
        slots = [seen.get("higgs_slots") for seen in self.figures()]
        return len(slots) == 2 and None not in slots and len(self.replicas()) == 2

    def wait_until_whole(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.whole():
            assert self.process.poll() is None and time.monotonic() < deadline, "the replicas are not there"
            time.sleep(0.5)


@contextmanager
def fleet(folder: Path, model: Path, **settings: str) -> Iterator[Fleet]:
    """The fleet, whole, with HIGGS_ settings besides those of what it shares."""
    (folder / "postgresql").mkdir()
    with postgresql(folder / "postgresql") as database, redis(folder) as shared:
        port, metrics_port = lasting_port(), lasting_port()
        chosen = {"model": str(model), "device": "cpu", "database_url": database.url, "redis_url": shared.url}
        environment = environment_of(chosen | settings)
        environment |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"} | PATIENT
        command = [sys.executable, "-m", "deploy", "--port", str(port), "--metrics-port", str(metrics_port)]
        with open(folder / "log", "w+b") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            running = Fleet(f"http://127.0.0.1:{port}", (metrics_port, metrics_port + 1), process)
            try:
                running.wait_until_whole()
                yield running
            except BaseException:
                log.seek(0)
                print(log.read().decode("utf-8", "replace")[-20_000:])
                raise
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=300)


# Where other work shares the cores, Ray's own patience ends before its processes are up. For its agents it
# waits 15 s and no more, so a very busy machine fails at the start.
PATIENT = {
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_worker_register_timeout_seconds": "900",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "600",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "600",
}


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
