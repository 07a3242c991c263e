"""Room on the disk that is held in reserve, so that a full one still takes what makes room: a deletion."""

import logging
from pathlib import Path

log = logging.getLogger(__name__)

RESERVE_BYTES = 2**20  # the log of a deletion takes some 100 KB


class Reserve:
    """A file beside the database of SQLite, which is given up while something is deleted."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}-reserve")

    def hold(self) -> None:
        """Take the room, as far as there is some; zeros would be no room on some file systems."""
        try:
            if not self._path.exists() or self._path.stat().st_size < RESERVE_BYTES:
                self._path.write_bytes(bytes(range(256)) * (RESERVE_BYTES // 256))
        except OSError as error:
            log.warning("no room can be held in reserve beside the voice store: %s", error.strerror)
            self._path.unlink(missing_ok=True)

    def give_up(self) -> bool:
        """Whether there was some."""
        held = self._path.exists()
        self._path.unlink(missing_ok=True)
        return held
