"""`python -m bench.gpu`: whatever one of its runs does, the others are had, in time, from requirements.txt.

What the runs compute is tried on fake tensors: tests/cuda_shapes/test_bench.py.
"""

import sys

from bench.gpu import RUNS, last_line
from tests.test_imports import imports_of, module_name, room_of, source_files
from tests.test_requirements import ROOT, pins, third_party_imports_of


def python(code: str, seconds: float = 60) -> object:
    return last_line([sys.executable, "-c", code], seconds)


def test_a_run_that_fails_hangs_or_says_nothing_is_none() -> None:
    assert python("print('so far'); print('{\"ms\": 2.5}')") == {"ms": 2.5}
    assert python("print('{\"ms\": 2.5}'); raise SystemExit(1)") is None
    assert python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)") is None
    assert python("pass") is None
    assert python("print('a warning, behind the figures')") is None
    assert python("import time; print('{}', flush=True); time.sleep(600)", seconds=1) is None
    child = "import subprocess; subprocess.Popen(['sleep', '600']).wait()"
    assert python(child, seconds=3) is None, "its children hold the pipe, and end too"


def test_all_runs_together_take_less_than_8_minutes() -> None:
    assert sum(seconds for _, seconds in RUNS.values()) < 480
    assert list(RUNS)[-1] == "peers"


def test_it_imports_only_what_requirements_txt_names() -> None:
    files = {module_name(path): path for path in source_files() if room_of(module_name(path)) != "tests"}
    found: set[str] = set()
    new = {"bench.gpu"} | {f"bench.{run}" for run in RUNS}
    while new:
        found |= new
        names = {name for module in new for _, name in imports_of(files[module])}
        named = {part for name in names for part in (name, name.rpartition(".")[0])}
        new = {name for name in named & files.keys() if room_of(name) in {"bench", "train"}} - found
    assert {"bench.subject", "bench.boson", "bench.qwen", "train.tokenizer"} <= found
    foreign = third_party_imports_of([files[module] for module in found])
    assert foreign - pins(ROOT / "requirements.txt").keys() == set()
