"""The licence of a model's weights, as far as they state it."""

from pathlib import Path
from typing import NamedTuple

import yaml
from huggingface_hub import ModelCard


class Licence(NamedTuple):
    """A licence's name, and the notice that must be shown to users; None for none."""

    name: str
    notice: str | None = None


V2_LICENCE = Licence(
    "Boson Higgs Audio 2 Community License",
    # Verbatim from its section 1.b.i, including "All Right Reserved".
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
    """Return the licence that the folder's model card (README.md) names.

    Args:
        folder: the model's folder.
        generation: of the model. All v3 weights derive from Boson's and have its licence.

    Returns:
        None if there is no card, or it has no licence. "other", as in the published v2 card, is Boson's own.
    """
    if generation == 3:
        return V3_LICENCE
    card = folder / "README.md"
    if not card.is_file():
        return None
    try:
        data = ModelCard.load(card).data
    except (OSError, ValueError, yaml.YAMLError):  # not a model card
        return None
    name = data.get("license_name") or data.license
    if not name:
        return None
    return V2_LICENCE if name == "other" or "boson" in name.lower() else Licence(name)
