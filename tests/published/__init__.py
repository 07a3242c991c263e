"""Names, shapes and ids of the published checkpoints, and files that hold the shapes without the weights.

The tables were read from a public copy of the 3B's repository: higgs-v2-3b.tsv (397 tensors, boson's names),
higgs-v2-codec.tsv (602, model.pth), higgs-v2-special-tokens.tsv.
"""

import json
import math
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

HERE = Path(__file__).parent
Shapes = dict[str, tuple[int, ...]]


def read_shapes(name: str) -> Shapes:
    """A table of names and shapes such as 3072x8192."""
    rows = (line.split("\t") for line in (HERE / name).read_text("utf-8").splitlines())
    return {name: tuple(int(size) for size in shape.split("x")) for name, shape in rows}


def read_special_tokens() -> dict[str, int]:
    """The ids of v2's special tokens, by their names."""
    rows = (
        line.split("\t") for line in (HERE / "higgs-v2-special-tokens.tsv").read_text("utf-8").splitlines()
    )
    return {token: int(number) for number, token in rows}


@contextmanager
def sparse_folder() -> Iterator[Path]:
    """A folder for files that are mostly holes; in memory where it can be.

    safetensors makes the system read a file ahead: 10 GB of zeros on a disk, nothing in memory.
    """
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def write_safetensors(path: Path, shapes: Shapes, dtype: str = "BF16") -> None:
    """A whole file of these tensors, all zeros, which takes no room: its end is a hole of the file system."""
    size = {"BF16": 2, "F32": 4}[dtype]
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + size * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head)
    os.truncate(path, 8 + len(head) + end)


def write_pickled(path: Path, shapes: Shapes) -> None:
    """A file for torch.load of these tensors, without their numbers."""
    torch.save({name: torch.empty(shape, device="meta") for name, shape in shapes.items()}, path)
