"""Disk space held in reserve, so that rows can still be deleted when the disk is full."""

import logging
from pathlib import Path

log = logging.getLogger(__name__)

RESERVE_BYTES = 2**20  # the log of a deletion needs some 100 KB


class Reserve:
    """A file next to the SQLite database, removed during a deletion."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}-reserve")

    def hold(self) -> None:
        """Reserve the space if possible. Not zeros: they would take no space on some file systems."""
        try:
            if not self._path.exists() or self._path.stat().st_size < RESERVE_BYTES:
                self._path.write_bytes(bytes(range(256)) * (RESERVE_BYTES // 256))
        except OSError as error:
            log.warning("can't reserve disk space for the voice database: %s", error.strerror)
            self._path.unlink(missing_ok=True)

    def give_up(self) -> bool:
        """Free the space; return whether any was reserved."""
        held = self._path.exists()
        self._path.unlink(missing_ok=True)
        return held
