"""CI refuses large files in the history. Kind of fault: weights that are committed again and again."""

import subprocess
from pathlib import Path

import pytest

from tests.live import ROOT

AUTHOR = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
SCRIPT = ROOT / ".ci" / "large_blobs"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *AUTHOR, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "base")
    git(tmp_path, "tag", "base")
    return tmp_path


def commit(folder: Path, name: str, size: int) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(bytes(size))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", name)


def judged(folder: Path, base: str = "base") -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, base], cwd=folder, capture_output=True, text=True)


def test_small_files_and_models_pass(repository: Path) -> None:
    commit(repository, "a.bin", 999_999)
    commit(repository, "models/weights.safetensors", 2_000_000)
    assert judged(repository).returncode == 0


def test_a_large_file_is_refused_by_name_even_when_it_was_removed_again(repository: Path) -> None:
    commit(repository, "docs/a film.mp4", 1_000_001)
    git(repository, "rm", "--quiet", "docs/a film.mp4")
    git(repository, "commit", "--quiet", "--message", "gone")
    result = judged(repository)
    assert result.returncode == 1
    assert "1000001 bytes: docs/a film.mp4" in result.stderr


def test_what_was_there_before_the_rule_passes(repository: Path) -> None:
    commit(repository, "old.bin", 1_500_000)
    assert judged(repository, base="HEAD").returncode == 0


def test_without_the_base_as_in_a_shallow_clone_what_is_there_is_judged(repository: Path) -> None:
    commit(repository, "a.bin", 1_500_000)
    assert judged(repository, base="0" * 40).returncode == 1
