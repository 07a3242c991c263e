"""The table of a model's own voices: names that lead to them, and tables that can't be used."""

import json
from pathlib import Path

import pytest

from errors import StartError
from synthesis.built_in_voices import BuiltInVoices

ROW = {
    "id": "hugo",
    "description": "calm",
    "file": "hugo.flac",
    "transcript": "Hello.",
    "answers_to": ["onyx"],
}


def model_folder(folder: Path, table: object) -> Path:
    (folder / "voices").mkdir()
    (folder / "voices" / "hugo.flac").write_bytes(b"sound")
    (folder / "voices" / "voices.json").write_text(json.dumps(table))
    return folder


def test_a_voice_is_found_by_its_id_and_by_what_it_answers_to(tmp_path: Path) -> None:
    voices = BuiltInVoices.load(model_folder(tmp_path, {"default": "hugo", "voices": [ROW]}))
    by_id = voices.find("hugo")
    assert by_id is not None and by_id is voices.find("onyx") and by_id is voices.default
    assert (by_id.recording, by_id.transcript) == (b"sound", "Hello.")
    assert voices.find("alloy") is None


def test_a_model_without_a_table_has_none(tmp_path: Path) -> None:
    voices = BuiltInVoices.load(tmp_path)
    assert voices.voices == () and voices.default is None and voices.find("hugo") is None


@pytest.mark.parametrize(
    "table",
    [
        {"default": "nobody", "voices": [ROW]},
        {"default": "hugo", "voices": [ROW | {"file": "missing.flac"}]},
        {"voices": [ROW]},
        [ROW],
    ],
)
def test_a_damaged_table_stops_the_start_and_names_the_file(tmp_path: Path, table: object) -> None:
    with pytest.raises(StartError, match=r"voices\.json"):
        BuiltInVoices.load(model_folder(tmp_path, table))
