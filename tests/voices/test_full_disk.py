"""A disk without room: nothing more is kept, but what makes room goes on.

Kind: whoever is told that the disk is full must be able to delete something.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from errors import NotFound, StoreUnavailable
from tests.voices.test_store import profile
from voices.store.voice_store import VoiceStore


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user may mount no file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> None:
    """Leave no byte of the disk free."""
    with (folder / "rest").open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def test_a_full_disk_keeps_nothing_more_but_deletes(small_disk: Path) -> None:
    database = small_disk / "voices.db"
    store = VoiceStore(f"sqlite:///{database}")
    kept = [profile(f"Voice {number}", flac=os.urandom(200_000)) for number in range(3)]
    for one in kept:
        store.keep(one)
    store.close()  # its log is gone with it
    store = VoiceStore(f"sqlite:///{database}")
    fill(small_disk)
    assert os.statvfs(small_disk).f_bavail == 0
    with pytest.raises(StoreUnavailable):
        store.keep(profile("One more"))
    for one in kept:
        store.delete(one.owner, one.id)
        with pytest.raises(NotFound):
            store.profiles.get(one.owner, one.id)
    store.close()
