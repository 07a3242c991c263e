"""What is installed is what is named: the imports, the pins of requirements.txt, and the hashed locks.

Kind of fault: a package that only another package brings, gone when that one drops it; a lock that was
not made again after a pin had changed; a package that a lock forgot, which pip --no-deps would not install.
"""

import ast
import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_imports import ROOMS, ROOT, TESTS, imports_of, module_name, room_of, source_files

LOCKS = {name: ROOT / f"requirements{name}.lock" for name in ("", "-cuda", "-dev", "-cluster")}
# Environments beside the server's; torch, whose build differs by machine, is in none of these locks.
ALONE = ("requirements-reference", "bench/requirements-judges", "train/requirements")
# torch's CUDA build brings the version that it was built for; without CUDA nothing imports it.
WITH_CUDA = {"triton"}


def listed(path: Path) -> dict[str, Requirement]:
    """The requirements in a file, hashes and comments apart, by their canonical name."""
    lines = [line.split(" \\")[0] for line in path.read_text().splitlines() if re.match(r"\w", line)]
    found = [Requirement(line) for line in lines]
    return {
        canonicalize_name(each.name): each for each in found if each.marker is None or each.marker.evaluate()
    }


def pins(path: Path) -> dict[str, str]:
    return {name: str(each.specifier) for name, each in listed(path).items()}


def third_party_imports(rooms: set[str]) -> set[str]:
    """The distributions that these rooms import; the makers of golden values have others."""
    return third_party_imports_of(
        [
            path
            for path in source_files()
            if room_of(module_name(path)) in rooms and not path.name.startswith("make_")
        ]
    )


def third_party_imports_of(files: list[Path]) -> set[str]:
    """The distributions that these files import."""
    tops = {room_of(name) for path in files for _, name in imports_of(path)}
    distributions = packages_distributions()
    foreign = tops - ROOMS - sys.stdlib_module_names
    return {canonicalize_name(each) for top in foreign for each in distributions.get(top, [top])}


def test_tests_import_only_what_requirements_dev_txt_names_besides() -> None:
    named = pins(ROOT / "requirements.txt").keys() | pins(ROOT / "requirements-dev.txt").keys()
    assert third_party_imports(TESTS) - named <= WITH_CUDA


def test_the_server_imports_only_what_requirements_txt_names() -> None:
    server = third_party_imports(set(ROOMS - TESTS - {"bench", "deploy", "train"}))
    assert server - pins(ROOT / "requirements.txt").keys() <= WITH_CUDA
    assert pins(LOCKS["-cuda"]).keys() >= WITH_CUDA


def test_deploy_imports_only_what_requirements_cluster_txt_names_besides() -> None:
    named = pins(ROOT / "requirements.txt").keys() | pins(ROOT / "requirements-cluster.txt").keys()
    assert third_party_imports({"deploy"}) - named == set()


@pytest.mark.parametrize(
    ("source", "locks"),
    [
        ("requirements.txt", [""]),
        ("requirements-weights.txt", [""]),
        ("requirements-dev.txt", ["", "-dev"]),
        ("requirements-cluster.txt", ["", "-cluster"]),
    ],
)
def test_the_locks_hold_the_pins(source: str, locks: list[str]) -> None:
    """Else `make lock` has not been run since they changed."""
    locked = {name: pin for lock in locks for name, pin in pins(LOCKS[lock]).items()}
    assert pins(ROOT / source).items() - locked.items() == set()


@pytest.mark.parametrize("path", ALONE)
def test_the_locks_beside_the_servers_hold_the_pins(path: str) -> None:
    named = [each for each in (f"{path}.txt", f"{path}-nodeps.txt") if (ROOT / each).exists()]
    wanted = {name: pin for each in named for name, pin in pins(ROOT / each).items() if name != "torch"}
    assert wanted.items() - pins(ROOT / f"{path}.lock").items() == set()


def test_the_locks_are_complete() -> None:
    """Every requirement of a locked package is locked, too, in a version that it admits. Those of the cluster
    are not installed here: .cluster-venv checks them (`pip check`)."""
    paths = [path for part, path in LOCKS.items() if part != "-cluster"]
    locked = {name: each for path in paths for name, each in pins(path).items()}
    missing: list[str] = []
    weights_only = pins(ROOT / "requirements-weights.txt").keys()
    for name in locked.keys() - weights_only - pins(LOCKS["-cuda"]).keys():
        extras = {extra for path in ROOT.glob("requirements*.txt") for extra in extras_of(path, name)}
        for need in map(Requirement, requires(name) or []):
            wanted = need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras | {""})
            have = locked.get(canonicalize_name(need.name))
            if wanted and (have is None or not need.specifier.contains(have.removeprefix("=="))):
                missing.append(f"{name} needs {need}")
    assert missing == []


def extras_of(path: Path, name: str) -> set[str]:
    each = listed(path).get(name)
    return each.extras if each else set()


def test_every_pin_has_hashes() -> None:
    for path in (*LOCKS.values(), *(ROOT / f"{path}.lock" for path in ALONE)):
        blocks = re.split(r"^(?=\w)", path.read_text(), flags=re.MULTILINE)[1:]
        assert blocks and all("--hash=sha256:" in block for block in blocks)


def test_nothing_private_of_another_package_is_imported() -> None:
    """Such a name may change in any release. Tests may look inside: fake tensors have no other door."""
    private = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.module}"
        for path in source_files()
        if room_of(module_name(path)) not in TESTS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and room_of(node.module or "") not in ROOMS | {"__future__"}
        if any(
            part.startswith("_") for part in [*(node.module or "").split("."), *(a.name for a in node.names)]
        )
    ]
    assert private == []
