"""The walls of the house: who may import whom, and how long a file may be.

    app → api → voices → voice_cloning → synthesis → higgs, text, audio, asr, speakers, voices.store → errors

Every import statement counts, those inside functions and under TYPE_CHECKING too.
"""

import ast
import graphlib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 300

GROUND = {"errors"}
DOMAIN = {"higgs", "text", "audio", "voices", "asr", "speakers"}
PYTHON_DOOR = {"voice_cloning", "synthesis"} | DOMAIN | GROUND
EVERYTHING_SHARED = PYTHON_DOOR | {"settings", "api"}
MAY_IMPORT = {
    "errors": set(),
    "higgs": GROUND,
    "text": GROUND,
    "audio": GROUND,
    "voices": PYTHON_DOOR,
    "asr": GROUND,
    "speakers": GROUND,
    "settings": GROUND,
    "synthesis": {"higgs", "text", "audio"} | GROUND,
    "voice_cloning": {"synthesis"} | DOMAIN | GROUND | {"settings"},
    "api": PYTHON_DOOR,
    "app": EVERYTHING_SHARED,
    "migrate": {"settings", "voices"} | GROUND,
    "bench": EVERYTHING_SHARED | {"train"},  # the bundled model is measured beside its teachers
    "train": {"higgs", "audio", "text"} | GROUND,
}
TESTS = {"tests", "test_voice_cloning"}  # may import anything
ROOMS = MAY_IMPORT.keys() | TESTS
MAY_USE = {
    "fastapi": {"api", "app"},
    "starlette": {"api", "app"},
    "uvicorn": {"app"},
    "pydantic_settings": {"settings"},
    "sqlalchemy": {"voices"},
    "alembic": {"voices"},
}


def source_files() -> list[Path]:
    """Every Python file of the house; `train/work` holds the recipe's scratch data."""
    files = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    return sorted(path for path in files if ROOT / "train" / "work" not in path.parents)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return module.partition(".")[0]


@cache
def imports_of(path: Path) -> list[tuple[int, str]]:
    """(line, full name) of each import; `from a import b` gives `a.b`."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
    return found


def broken_walls() -> list[str]:
    broken = []
    for path in source_files():
        room = room_of(module_name(path))
        for line, name in imports_of(path):
            target, where = room_of(name), f"{path.relative_to(ROOT)}:{line}"
            if name.startswith("."):
                broken.append(f"{where} imports {name}: imports are absolute here")
            elif room in TESTS or target == room:
                continue
            elif target in ROOMS and target not in MAY_IMPORT[room]:
                broken.append(f"{where}: {room} may not import {target}")
            elif target in MAY_USE and room not in MAY_USE[target]:
                broken.append(f"{where}: {room} may not use {target}")
    return broken


def test_every_top_level_file_belongs_to_a_known_room() -> None:
    assert {room_of(module_name(path)) for path in source_files()} <= ROOMS


def test_imports_go_downwards() -> None:
    assert broken_walls() == []


def test_no_import_cycles() -> None:
    modules = {module_name(path): path for path in source_files()}
    graph = {
        module: {
            target
            for _, name in imports_of(path)
            for target in (name, name.rpartition(".")[0])
            if target in modules and target != module
        }
        for module, path in modules.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in source_files()}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}
