"""Which servers have an SQLite database open."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class OpenFile:
    """An empty file next to the database that each of its servers has locked while it lives.

    The system ends the lock with the process, even if that is killed, and in whatever container it runs.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}-open")
        self._file: BinaryIO | None = None

    @contextmanager
    def opening(self) -> Iterator[bool]:
        """Lock the file; yield whether no other server has. If so, others wait until the block ends.

        Where files can't be locked, no server can know that it is alone.
        """
        try:
            self._file = self._path.open("ab")
        except OSError:  # the database can't be opened either, and will say so
            yield False
            return
        alone = _locked(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not alone:
            _locked(self._file, fcntl.LOCK_SH)
        try:
            yield alone
        finally:
            _locked(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _locked(file: BinaryIO, how: int) -> bool:
    try:
        fcntl.flock(file, how)
    except OSError:
        return False
    return True
