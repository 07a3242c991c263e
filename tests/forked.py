"""Run the project's scripts in processes forked from one that has imported them already.

`python app.py` imports for three seconds, and the tests start it some forty times.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

SECONDS = 120


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
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.preloaded"])
        given = (script, arguments, dict(environment), folder, log, errors or log)
        self._process: ForkServerProcess = context.Process(target=_run, args=given, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"process {self.pid} runs on after {timeout} s")
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


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


def _run(
    script: Path | Callable[[], object],
    arguments: list[str],
    environment: dict[str, str],
    folder: Path,
    log: Path,
    errors: Path,
) -> None:
    """Become, in the new process, what was asked for."""
    for path, number in ((log, 1), (errors, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None  # it is of the environment of before
    sys.argv = [str(script), *arguments]
    if callable(script):
        script()
    else:
        runpy.run_path(str(script), run_name="__main__")
