"""The README and docs/ are true: their examples run, their links lead somewhere, their tables are the code's.

Kind of fault: an example that a change of the API broke; a setting, target or file that was renamed; an error
code that no page names.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile

from setting_names import flag, variable
from settings import Settings
from tests import forked
from tests.api.test_node_sdk import FOLDER, install_sdk
from tests.live import ROOT, LiveServer
from tests.test_imports import ROOMS, TESTS

ADDRESS = "127.0.0.1:8000"
README_LINES = 180
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
}
EVERYTHING = "\n".join(PAGES.values())
RUNNERS = {"bash": ["bash", "-euo", "pipefail", "-c"], "js": ["node", "--input-type=module", "--eval"]}
RUN = {"python", *RUNNERS}
# Not run: `console` installs, serves or builds (its names are checked), `text` draws.
SHOWN = {"console", "text"}


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and the text of each fenced block, whatever its indentation."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


EXAMPLES = [
    pytest.param(language, text, id=f"{name}-{number}-{language}")
    for name, page in PAGES.items()
    for number, (language, text) in enumerate(blocks(page))
    if language in RUN
]


@pytest.mark.parametrize(("language", "text"), EXAMPLES)
def test_an_example_runs_and_writes_the_speech_it_promises(
    language: str, text: str, live_server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "test_audio.wav").symlink_to(ROOT / "test_audio.wav")
    if language == "js":
        install_sdk()
        (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HIGGS_MODEL": "bundled", "HIGGS_DEVICE": "cpu"}
    example = text.replace(ADDRESS, live_server.url.removeprefix("http://"))
    if language == "python":
        script = tmp_path / "example.py"
        script.write_text(example, "utf-8")
        ended = forked.run(script, environment=environment, folder=tmp_path)
    else:
        command = [*RUNNERS[language], example]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, timeout=300
        )
    assert ended.returncode == 0, ended.stderr
    promised = set(re.findall(r"\b[a-z_]+\.wav", text)) - {"test_audio.wav"}
    assert promised == {path.name for path in tmp_path.glob("*.wav")} - {"test_audio.wav"}
    for name in promised:
        assert soundfile.info(tmp_path / name).samplerate == 24_000


def test_the_readme_has_examples_in_bash_and_python() -> None:
    assert {language for language, _ in blocks(PAGES["README.md"])} == {"bash", "python", "console"}


def test_every_block_says_what_it_is() -> None:
    languages = {language for page in PAGES.values() for language, _ in blocks(page)}
    assert languages <= RUN | SHOWN
    assert EVERYTHING.count("\n```") == 2 * sum(len(blocks(page)) for page in PAGES.values())


def test_what_is_only_shown_names_what_is_there() -> None:
    shown = "\n".join(text for page in PAGES.values() for language, text in blocks(page) if language in SHOWN)
    targets = set(re.findall(r"\bmake ([a-z-]+)", shown + re.sub(r"[^`]*(`[^`]*`)?", r"\1 ", EVERYTHING)))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for path in re.findall(r"^\.venv/bin/python ([\w./]+\.py)", shown, re.MULTILINE):
        assert (ROOT / path).is_file(), path


def test_every_setting_that_is_named_is_there() -> None:
    known = {variable(name) for name in Settings.model_fields}
    assert set(re.findall(r"\bHIGGS_[A-Z_]*[A-Z]", EVERYTHING)) <= known


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_a_file_and_its_heading(page: str) -> None:
    for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", PAGES[page]):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if heading:
            assert heading in anchors(path.read_text(encoding="utf-8")), f"{target}#{heading}"


@pytest.mark.parametrize("page", PAGES)
def test_files_and_names_in_them_are_there(page: str) -> None:
    """`folder/file.py: name` says that file.py defines or mentions the name."""
    for path, name in re.findall(r"`([\w./-]+(?:\.py|/))(?:: ([\w.]+))?`", PAGES[page]):
        assert (ROOT / path).exists(), path
        if name:
            source = (ROOT / path).read_text(encoding="utf-8")
            assert all(re.search(rf"\b{part}\b", source) for part in name.split(".")), f"{path}: {name}"


def anchors(page: str) -> set[str]:
    """The headings of a page as GitHub links to them."""
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= README_LINES


def table_rows(page: str, first_cell: str) -> list[list[str]]:
    """The cells of the table rows whose first cell begins so."""
    rows = re.findall(rf"^\| {first_cell}.*\|$", PAGES[page], re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_settings_table_is_the_code() -> None:
    """Else run `make docs`."""
    assert table_rows("docs/operations.md", "`HIGGS_[A-Z_]+` \\| `--") == [
        [f"`{variable(name)}`", f"`{flag(name)}`", shown_default(field.default), field.description]
        for name, field in Settings.model_fields.items()
    ]


def shown_default(default: object) -> str:
    return "" if default is None else f"`{default}`"


def test_the_table_of_errors_is_the_code() -> None:
    rooms = ROOMS - TESTS - {"bench", "train"}
    files = [*ROOT.glob("*.py"), *(path for room in rooms for path in (ROOT / room).rglob("*.py"))]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    rows = table_rows("docs/api.md", r"[45]\d\d")
    documented = {code for row in rows for code in re.findall(r"`(\w+)`", row[1])}
    raised = set(re.findall(r'\bcode="(\w+)"', source))
    assert raised - documented == set()
    assert {code for code in documented if f'"{code}"' not in source} == set()


def test_node_is_there_where_its_examples_are_run() -> None:
    """In CI, else examples in js would be skipped without a word."""
    if os.environ.get("CI"):
        assert shutil.which("node") and shutil.which("npm")
