"""The script of the stories needs nothing but what `make serve` installs.

Kind: what a newcomer runs first must not need what only developers have.
"""

import subprocess
import sys

from tests.live import ROOT

RUN = """
import runpy, sys
for name in ("httpx", "openai", "pytest", "playwright", "hypothesis", "schemathesis"):
    sys.modules[name] = None  # importing it fails
sys.argv = ["test_voice_cloning.py", {arguments}]
runpy.run_path("test_voice_cloning.py", run_name="__main__")
"""


def run(arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN.format(arguments=arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_script_runs_with_the_server_s_packages_alone() -> None:
    shown = run("'--help'")
    assert shown.returncode == 0, shown.stderr
    assert "--api-url" in shown.stdout and "--chatterbox-url" in shown.stdout


def test_a_server_that_is_not_there_is_told_in_a_line() -> None:
    told = run("'--api-url', 'http://127.0.0.1:9'")
    assert told.returncode == 1
    assert told.stderr.startswith("http://127.0.0.1:9: ") and len(told.stderr.splitlines()) == 1
