"""The averaged weights in bfloat16, in parts that a lent machine gives back: at most 8 files of 16 MiB."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

PART_BYTES = 14_000_000
NAME = "average-{}.safetensors"


def save_parts(weights: dict[str, torch.Tensor], folder: Path, step: int = 0) -> None:
    """Write weights into average-0.safetensors and so on; large ones are cut at their first dimension."""
    groups: list[dict[str, torch.Tensor]] = [{}]
    room = PART_BYTES
    for name, weight in weights.items():
        left = weight.detach().to("cpu", torch.bfloat16)
        row = left[:1].numel() * 2
        at = 0
        while at < len(left):
            if room < row:
                groups.append({})
                room = PART_BYTES
            count = min(len(left) - at, room // row)
            groups[-1][f"{name}:{at}"] = left[at : at + count].contiguous()
            at, room = at + count, room - count * row
    for number, group in enumerate(groups):
        partial = folder / f"{NAME.format(number)}.partial"
        save_file(group, partial, {"parts": json.dumps(len(groups)), "step": str(step)})
        partial.replace(folder / NAME.format(number))


def load_parts(folder: Path) -> dict[str, torch.Tensor]:
    """Read what `save_parts` wrote. Raises ValueError if the parts aren't of one save."""
    found: dict[str, dict[int, torch.Tensor]] = {}
    told = set()
    number, count = 0, 1
    while number < count:
        with safe_open(folder / NAME.format(number), "pt") as part:
            count = int(part.metadata()["parts"])
            told.add((count, part.metadata()["step"]))
            for key in part.keys():  # noqa: SIM118  # it is no dictionary
                name, at = key.rsplit(":", 1)
                found.setdefault(name, {})[int(at)] = part.get_tensor(key)
        number += 1
    if len(told) > 1:
        raise ValueError(f"{folder} has parts of different saves: {told}.")
    return {name: torch.cat([rows[at] for at in sorted(rows)]) for name, rows in found.items()}
