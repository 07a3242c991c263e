"""A complete codec of the published architecture, so narrow that a second of audio takes milliseconds."""

import shutil
from pathlib import Path

NATIVE = Path(__file__).parent / "golden" / "codec_native"


def write_tiny_codec(folder: Path) -> Path:
    """Write a codec folder in the native layout, random weights, as transformers saves it; return it."""
    shutil.copytree(NATIVE, folder, dirs_exist_ok=True)
    return folder
