"""Under which licence a model's weights stand, as far as they say so themselves."""

from pathlib import Path
from typing import NamedTuple

import yaml
from huggingface_hub import ModelCard


class Licence(NamedTuple):
    """A licence's name, and the notice that it wants shown to whoever uses the model; None for none."""

    name: str
    notice: str | None = None


V2_LICENCE = Licence(
    "Boson Higgs Audio 2 Community License",
    # Word by word as its section 1.b.i gives it, "All Right Reserved" included.
    "Built with Higgs Materials licensed from Boson AI USA, Inc., Copyright Boson AI USA, Inc., All Rights "
    "Reserved and Meta Llama 3 licensed under the Meta Llama 3 Community License, Copyright Meta Platforms, "
    "Inc., All Right Reserved",
)
V3_LICENCE = Licence(
    "Boson Higgs TTS 3 Research and Non-Commercial License: research and non-commercial use only; its "
    "Creator Use Grant asks for a credit",
    "Made with Boson AI's Higgs Audio",
)


def licence_of(folder: Path, generation: int) -> Licence | None:
    """What the folder's model card, README.md, names.

    Args:
        generation: Of the model. All weights of the third descend from Boson's and stand under its licence.

    Returns:
        None where there is no card, or it names nothing. "other", as the published card of v2 says, is
        Boson's own licence.
    """
    if generation == 3:
        return V3_LICENCE
    card = folder / "README.md"
    if not card.is_file():
        return None
    try:
        data = ModelCard.load(card).data
    except (OSError, ValueError, yaml.YAMLError):  # no card of the hub's form, so it names nothing
        return None
    name = data.get("license_name") or data.license
    if not name:
        return None
    return V2_LICENCE if name == "other" or "boson" in name.lower() else Licence(name)
