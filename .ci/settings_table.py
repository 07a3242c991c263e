"""Rewrite the settings table in docs/operations.md from settings.py; run by `make docs`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from setting_names import flag, variable  # noqa: E402  # the path comes first
from settings import Settings  # noqa: E402

PAGE = ROOT / "docs" / "operations.md"
ROWS = re.compile(r"(?:^\| `HIGGS_\w+` \| `--.*\n)+", re.MULTILINE)


def main() -> None:
    rows = (
        f"| `{variable(name)}` | `{flag(name)}` | {shown(field.default)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    )
    PAGE.write_text(ROWS.sub(lambda _: "".join(rows), PAGE.read_text(encoding="utf-8"), count=1), "utf-8")


def shown(default: object) -> str:
    return "" if default is None else f"`{default}`"


if __name__ == "__main__":
    main()
