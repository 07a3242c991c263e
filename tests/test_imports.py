"""The walls of the house: who may import whom, and how long a file may be.

import-linter would do, but its roots must be packages, and half of our walls are modules (app, voice_cloning,
settings, errors).

    app → api → jobs → voices → voice_cloning → synthesis
        → higgs, text, audio, asr, speakers, voices.store → errors

Every import statement counts, those inside functions and under TYPE_CHECKING too.
"""

import ast
import graphlib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 300

GROUND = {"concurrency", "errors"}
SIGNALS = {"audio"} | GROUND
DOMAIN = {"higgs", "text", "asr", "speakers", "voices.store"} | SIGNALS
PYTHON_DOOR = {"voice_cloning", "synthesis"} | DOMAIN
SERVER = {"jobs", "voices", "settings", "setting_values"} | PYTHON_DOOR
# A part of a room with walls of its own has its dotted name.
MAY_IMPORT = {
    "errors": set(),
    "concurrency": {"errors"},
    "audio": GROUND,
    "higgs": SIGNALS,
    "text": GROUND,
    "asr": SIGNALS,
    "speakers": SIGNALS,
    "voices.store": SIGNALS,
    "setting_names": {"errors"},
    "setting_values": set(),
    "settings": {"setting_names", "setting_values"} | GROUND,
    "synthesis": {"higgs", "text"} | SIGNALS,
    "voice_cloning": {"settings", "synthesis"} | DOMAIN,
    "voices": PYTHON_DOOR,
    "jobs": {"voices"} | PYTHON_DOOR,
    "api.schemas": {"voices"} | PYTHON_DOOR,
    "api": {"jobs", "voices", "api.schemas"} | PYTHON_DOOR,
    "api.middleware": {"api", "api.schemas"} | GROUND,
    "api.live": {"api", "api.schemas", "api.middleware", "voices"} | PYTHON_DOOR,
    "api.routes": {"api", "api.schemas", "api.middleware", "api.live", "jobs", "voices"} | PYTHON_DOOR,
    "app": {"api", "api.schemas", "api.middleware", "api.routes"} | SERVER,
    "migrate": {"settings", "voices.store"} | GROUND,
    "deploy": {"app", "api", "api.middleware", "setting_names"} | SERVER,
    "bench": {"app", "api", "train"} | SERVER,  # the bundled model is measured beside its teachers
    "train": {"higgs", "text"} | SIGNALS,
}
APART = {"api.routes"}  # rooms whose modules share nothing with each other but what stands below them
TESTS = {"tests", "test_voice_cloning", "conftest"}  # may import anything
ROOMS = MAY_IMPORT.keys() | TESTS
WEB = {"api", "api.schemas", "api.middleware", "api.live", "api.routes", "app"}
MAY_USE = {
    "fastapi": WEB,
    "starlette": WEB | {"deploy"},
    "uvicorn": {"api", "app", "deploy"},
    "pydantic_settings": {"settings"},
    "sqlalchemy": {"voices.store"},
    "alembic": {"voices.store"},
    "redis": {"api"},
    "ray": {"deploy"},
}


def source_files() -> list[Path]:
    """Every Python file of the house; `train/work` holds the recipe's scratch data."""
    files = [
        *ROOT.glob("*.py"),
        *(path for room in ROOMS for path in (ROOT / room.replace(".", "/")).rglob("*.py")),
    ]
    return sorted(path for path in files if ROOT / "train" / "work" not in path.parents)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room of a module or of a name in it; of a package from elsewhere, its first name."""
    first, _, rest = module.partition(".")
    part = f"{first}.{rest.partition('.')[0]}"
    return part if part in ROOMS else first


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
            elif room in TESTS or (target == room and room not in APART):
                continue
            elif target == room:
                broken.append(f"{where} imports {name}: put what they share below {room}")
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
