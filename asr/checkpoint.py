"""Whether the recogniser of the settings exists, before somebody sends it a recording."""

from typing import Any

from transformers import PretrainedConfig

from asr.sphinx import Sphinx
from asr.transcriber import AUTO
from errors import StartError

WHISPER = "whisper"
REMEDY = "Use pocketsphinx, or the folder or hub id of a Whisper in transformers' format."


def check_recogniser(name: str) -> None:
    """Look for a named Whisper: its config.json in the folder, in the hub's cache, or else in the hub.

    What `auto` chooses is not looked for: a server that transcribes nothing needs no hub.

    Raises:
        StartError: there is none, or it is another model.
    """
    if name in (AUTO, Sphinx.name):
        return
    try:
        kind = _config(name).get("model_type")
    except (OSError, ValueError) as error:
        message = f"HIGGS_RECOGNISER {name} is no folder of a model and can't be downloaded from the hub"
        raise StartError(f"{message} ({error}). {REMEDY}") from error
    if kind != WHISPER:
        raise StartError(f"HIGGS_RECOGNISER {name} is a model of type {kind}, not {WHISPER}. {REMEDY}")


def _config(name: str) -> dict[str, Any]:
    try:
        return PretrainedConfig.get_config_dict(name, local_files_only=True)[0]
    except (OSError, ValueError):
        return PretrainedConfig.get_config_dict(name)[0]
