"""The process that tests.forked has its processes forked from: `python -m tests.fork_server SOCKET`.

It imports at the first request, and ends when its standard input does: with whoever started it. A request is
a connection. It brings what is to run, and is told the process's id and, at its end, its exit code.
"""

import os
import runpy
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path


def main(address: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that watch others
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen(64)
        owner = sys.stdin.fileno()
        while owner not in wait([door, owner]):
            connection = Connection(door.accept()[0].detach())
            import_module("tests.preloaded")
            if os.fork() == 0:
                door.close()
                _watch(connection)
            connection.close()
    Path(address).unlink()
    Path(address).parent.rmdir()


def _watch(connection: Connection) -> None:
    """Fork what is asked for, tell how it ends, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    given = connection.recv()
    pid = os.fork()
    if pid == 0:
        connection.close()
        os._exit(_exit_code(lambda: _run(*given)))
    connection.send(pid)
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # nobody asks any more
        connection.send(os.waitstatus_to_exitcode(status))
    os._exit(0)


def _exit_code(run: Callable[[], None]) -> int:
    """Run to the end, as the interpreter would, without its clearing up."""
    code: object = 0
    try:
        run()
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 1


def _run(
    script: Path | Callable[[], object],
    arguments: list[str],
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    errors: Path,
) -> None:
    """Become, in the new process, what was asked for."""
    for path, number in ((Path(os.devnull), 0), (log, 1), (errors, 2)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
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


if __name__ == "__main__":
    main(sys.argv[1])
