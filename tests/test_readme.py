"""The README is true: its examples run, and its tables of settings and errors are the code's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from settings import Settings, flag, variable
from tests.live import ROOT, LiveServer

README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"
ROOMS = ("api", "asr", "audio", "higgs", "speakers", "synthesis", "text", "voices")
INTERPRETERS = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def table_rows(first_cell: str) -> list[list[str]]:
    """The cells of the table rows whose first cell begins so."""
    rows = re.findall(rf"^\| {first_cell}.*\|$", README, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize("language", ["bash", "python"])
def test_examples_run_and_write_speech(language: str, live_server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "test_audio.wav").symlink_to(ROOT / "test_audio.wav")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HIGGS_MODEL": "bundled", "HIGGS_DEVICE": "cpu"}
    for example in examples(language):
        command = [*INTERPRETERS[language], example.replace(ADDRESS, live_server.url)]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=300)
    promised = set(re.findall(r"[a-z_]+\.wav", "".join(examples(language)))) - {"test_audio.wav"}
    assert promised
    assert promised == {path.name for path in tmp_path.glob("*.wav")} - {"test_audio.wav"}
    for name in promised:
        assert soundfile.info(tmp_path / name).samplerate == 24_000


def test_the_settings_table_is_the_code() -> None:
    assert table_rows("`HIGGS_[A-Z_]+` \\| `--") == [
        [f"`{variable(name)}`", f"`{flag(name)}`", shown(field.default), field.description]
        for name, field in Settings.model_fields.items()
    ]


def shown(default: object) -> str:
    return "" if default is None else f"`{default}`"


def test_the_table_of_errors_is_the_code() -> None:
    files = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    documented = {code for row in table_rows(r"[45]\d\d") for code in re.findall(r"`(\w+)`", row[1])}
    raised = set(re.findall(r'\bcode="(\w+)"', source))
    assert raised - documented == set()
    assert {code for code in documented if f'"{code}"' not in source} == set()
