"""The image holds all that the server runs on, and nothing else. No engine builds it here."""

from fnmatch import fnmatch

from tests.test_imports import ROOT, imports_of, module_name, room_of, source_files

IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def in_image(path: str) -> bool:
    """Whether a file at the root, or a folder there, gets into it: the last pattern that fits decides."""
    kept = True
    for pattern in IGNORED:
        if fnmatch(path, pattern.removeprefix("!")):
            kept = pattern.startswith("!")
    return kept


def test_every_room_that_the_server_imports_is_in_the_image() -> None:
    modules = {module_name(path): path for path in source_files()}
    reached, waiting = set(), ["app", "migrate"]
    while waiting:
        module = waiting.pop()
        if module in modules and module not in reached:
            reached.add(module)
            names = [name for _, name in imports_of(modules[module])]
            waiting += [*names, *(name.rpartition(".")[0] for name in names)]
    rooms = {room_of(module) for module in reached}
    assert {"api", "higgs", "settings", "errors"} <= rooms
    tops = {room if (ROOT / room).is_dir() else f"{room}.py" for room in rooms}
    assert {top for top in tops if not in_image(top)} == set()
    for path in ("requirements.lock", "requirements-cuda.lock", "models", "web"):
        assert in_image(path) and (ROOT / path).exists()


def test_nothing_of_the_workshop_is_in_the_image() -> None:
    for path in (
        ".git",
        ".venv",
        "tests",
        "train",
        "bench",
        "data",
        "test_voice_cloning.py",
        "test_audio.wav",
    ):
        assert not in_image(path)
