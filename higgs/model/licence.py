"""Under which licence a model's weights stand, as far as they say so themselves."""

from pathlib import Path

import yaml
from huggingface_hub import ModelCard

V3_LICENCE = "Boson Higgs Audio v3 Research and Non-Commercial License: research and non-commercial use only"


def licence_of(folder: Path, generation: int) -> str | None:
    """What the folder's model card, README.md, names; None: nothing. All v3 weights descend from Boson's."""
    if generation == 3:
        return V3_LICENCE
    card = folder / "README.md"
    if not card.is_file():
        return None
    try:
        data = ModelCard.load(card).data
    except (OSError, ValueError, yaml.YAMLError):  # no card of the hub's form, so it names nothing
        return None
    return data.get("license_name") or data.license
